"""Where a training runs: the device, which scan, and in which number format its products are."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Literal

import torch

from rnnlab.cells.fused_modes import fused_mode
from rnnlab.errors import DeviceMissingError, UsageError
from rnnlab.scan.cuda.limits import reason_against

if TYPE_CHECKING:
    from rnnlab.config import Config

Scan = Literal["fast", "general", "fused", "triton"]
_PREFERRED: dict[str, tuple[Scan, ...]] = {"cpu": ("fast",), "cuda": ("fused", "triton")}
"""By type of device, what `auto` takes if it can run, the first of them."""


def choose_device(name: str) -> torch.device:
    """The device of that name; `auto` is CUDA where there is one. Raises DeviceMissingError."""
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    device = torch.device(name)
    if device.type == "cuda":
        count = torch.cuda.device_count() if torch.cuda.is_available() else 0
        if not count:
            raise DeviceMissingError(
                f"device {name}: this machine has no CUDA device that torch can use; use --device cpu"
            )
        if (device.index or 0) >= count:
            raise DeviceMissingError(
                f"device {name}: this machine has {count} CUDA device(s), cuda:0 to cuda:{count - 1}"
            )
    return device


def choose_scan(config: Config, device: torch.device, replicas: int = 1) -> Scan:
    """The scan that runs: the one asked for, or by `auto` the fastest that can, else general.

    Those are fast on a CPU, and on CUDA fused for one run and triton for a fleet. Raises UsageError where the one asked
    for cannot run.
    """
    requested = config.train.scan
    if requested == "auto":
        preferred = _PREFERRED.get(device.type, ())
        return next((scan for scan in preferred if not _obstacle(scan, config, device, replicas)), "general")
    if reason := _obstacle(requested, config, device, replicas):
        raise UsageError(f"train.scan: {requested} cannot be used here: {reason}; use auto or general")
    return requested


def can_run(scan: Scan, config: Config) -> bool:
    """Whether that scan can run one run of this config here."""
    return not _obstacle(scan, config, choose_device(config.device), 1)


def _obstacle(scan: Scan, config: Config, device: torch.device, replicas: int) -> str | None:
    """Why a scan cannot run here; None where it can."""
    cell = config.model.build_cell()
    if scan != "general" and config.train.detach:
        return "train.detach blocks paths that the general scan alone can block"
    if scan == "fast" and cell.rule() is None:
        return "this cell has no rule"
    if scan == "fast" and device.type != "cpu":
        return f"it runs on the CPU, not on {device}"
    if scan == "fused" and fused_mode(cell) is None:
        return "torch has no fused layer of this cell"
    if scan == "fused" and config.clip.in_scan() is not None:
        return "the adjoint clip acts inside the loop over time, which is torch's"
    if scan == "fused" and replicas > 1:
        return f"it is for one run, not for a fleet of {replicas}"
    if scan == "triton" and device.type != "cuda":
        return f"it runs on CUDA, not on {device}"
    if scan == "triton":
        return reason_against(cell.rule(), config.model.hidden, getattr(torch, config.dtype), device)
    return None


def check_tf32(config: Config, device: torch.device) -> None:
    """Raise UsageError where `train.tf32` is asked for and would change nothing."""
    if config.train.tf32 and device.type != "cuda":
        raise UsageError(
            f"train.tf32: products in TF32 are made on CUDA devices, not on {device}; leave it false there"
        )


@contextlib.contextmanager
def float32_products(*, tf32: bool) -> Iterator[None]:
    """Until the block ends, float32 products on CUDA are in TF32 or they are not, in cuBLAS and in cuDNN.

    torch's own defaults are not one: no for products, yes for cuDNN. What holds outside is the same afterwards.
    """
    settings = _settings()
    before = [getattr(place, name) for place, name, _ in settings]
    try:
        for place, name, values in settings:
            setattr(place, name, values[tf32])
        yield
    finally:
        for (place, name, _), value in zip(settings, before, strict=True):
            setattr(place, name, value)


def _settings() -> list[tuple[Any, str, tuple[Any, Any]]]:
    """What torch has for it: an object, its attribute, and the values for no and yes."""
    cuda: Any = torch.backends.cuda.matmul
    cudnn: Any = torch.backends.cudnn
    # From torch 2.9 on; where it is, the older attributes warn, or raise where both have been set.
    if hasattr(cuda, "fp32_precision"):
        return [(place, "fp32_precision", ("ieee", "tf32")) for place in (cuda, cudnn.conv, cudnn.rnn)]
    return [(place, "allow_tf32", (False, True)) for place in (cuda, cudnn)]
