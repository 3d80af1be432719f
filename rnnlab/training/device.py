"""Where a training runs: the device, and which of the two scans."""

from __future__ import annotations

from typing import Literal

import torch

from rnnlab.errors import DeviceMissingError, UsageError

Scan = Literal["fast", "general"]


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


def choose_scan(requested: str, has_rule: bool, device: torch.device) -> Scan:
    """The scan that runs: fast on a CPU for a cell with a rule, else general. Raises UsageError where it cannot."""
    possible = has_rule and device.type == "cpu"
    if requested == "fast" and not possible:
        reason = f"it runs on the CPU, not on {device}" if has_rule else "this cell has no rule"
        raise UsageError(f"train.scan: fast cannot be used here: {reason}; use auto or general")
    return "fast" if possible and requested != "general" else "general"
