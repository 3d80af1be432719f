"""The readings of one pass of a model held to finite differences, beside what `retain_grad` would have read."""

from __future__ import annotations

import copy
import functools
import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence

from rnnlab.errors import UsageError
from rnnlab.watching import verification
from rnnlab.watching.checked import Check, CheckedLayer
from rnnlab.watching.fused import CalledOnce, FusedModule
from rnnlab.watching.hooks import Hook
from rnnlab.watching.layers import directions_of
from rnnlab.watching.modules import check_model, fused_modules
from rnnlab.watching.plain_loop import SAMPLES, PlainLoop

_HELD = 1e-280, 1e280
"""Sizes of gradients that float64 holds together with what they are computed from."""


def check(model: nn.Module, batch: Any, loss: Callable[[Any], Tensor], timesteps: Sequence[int] | None = None) -> Check:
    """See `rnnlab.check`."""
    check_model(model)
    read = [
        checked
        for fused in _passed(model, batch, loss)
        for called in fused.called()
        for checked in _checked(fused, called, timesteps)
    ]
    if not read:
        raise UsageError("no gradient of the loss comes back to an nn.RNN, nn.LSTM or nn.GRU of the model")
    return Check(tuple(read))


def _passed(model: nn.Module, batch: Any, loss: Callable[[Any], Tensor]) -> list[FusedModule]:
    """The recurrent modules of a copy of the model after one pass forward and back."""
    try:
        twin = copy.deepcopy(model)
    except Exception as error:
        raise UsageError(f"the model cannot be copied, and is only checked in a copy: {error}") from error
    modules = fused_modules(twin)
    if not modules:
        raise UsageError("the model has no nn.RNN, nn.LSTM or nn.GRU; cells are not checked")
    watched = [FusedModule(name, module, _nothing, _raising) for name, module in modules]
    for fused in watched:
        fused.module.register_forward_pre_hook(_raising(functools.partial(_before_call, fused)))
        fused.module.register_forward_hook(_raising(functools.partial(_after_call, fused)), with_kwargs=True)
    parameters = [p.requires_grad_() for fused in watched for p in fused.module.parameters()]
    # Without cuDNN a recurrent layer has gradients in evaluation as well.
    with _random_state_kept(parameters), torch.enable_grad(), torch.backends.cudnn.flags(enabled=model.training):
        value = loss(twin(*_arguments(batch)))
        if not isinstance(value, Tensor) or value.numel() != 1 or not value.requires_grad:
            raise UsageError("loss(output) must give a tensor of one number that depends on the model's parameters")
        if not bool(value.isfinite()):
            raise UsageError(f"the loss is {value.item()}, so no gradient can be checked")
        # Of these parameters only: backward() would add to gradients of the user's own tensors in the loss.
        torch.autograd.grad(value, parameters, allow_unused=True)
    return watched


def _checked(fused: FusedModule, called: CalledOnce, timesteps: Sequence[int] | None) -> Iterator[CheckedLayer]:
    arrived = {name: gradient.double() for name, gradient in called.arrived.items()}
    replayed, loop = fused.replay.run(called.call, arrived), PlainLoop(called.call)
    T, B, H = loop.shape
    at = _timesteps(timesteps, T)
    layout = called.call.layout
    to_given = {"output": layout.time_major(arrived["output"]).cpu()} if "output" in arrived else {}
    to_given |= {name: layout.states(arrived[name]).cpu() for name in ("h", "c") if name in arrived}
    generator = torch.Generator().manual_seed(0)
    direction = torch.randn(min(B, SAMPLES), H, dtype=torch.float64, generator=generator)
    output = layout.time_major(called.call.output).cpu().double()
    of_scan = verification.deviation_of_states(called.call, replayed)
    for index, columns in enumerate(replayed.columns):
        layer, d = divmod(index, directions_of(fused.module))
        total = np.ma.filled(columns["h"]["log10_norm"], np.nan)[list(at)]
        adjoint, differences, of_states = _held(loop, index, at, direction, to_given, output)
        yield CheckedLayer(
            fused.name,
            layer,
            bool(d),
            called.number or 0,
            at,
            _retained(to_given, d, H, at) if layer == fused.module.num_layers - 1 else None,
            tuple(map(float, total)),
            tuple(_of_norm(float(log10), float(rows.norm())) for log10, rows in zip(total, adjoint, strict=True)),
            tuple(
                _of_products(*pair) for pair in zip(adjoint[:, : len(direction)] * direction, differences, strict=True)
            ),
            max(of_states, of_scan),
            verification.tolerance(called.call),
        )


def _held(
    loop: PlainLoop, index: int, at: Sequence[int], direction: Tensor, to_given: dict[str, Tensor], output: Tensor
) -> tuple[Tensor, Tensor, float]:
    """dL/dh_t [K, B, H] in float64, dL/dh_t along the direction by differences [K, B'], and how far the states are."""
    with torch.enable_grad():
        carried = loop.run(index, at, direction)
        value = sum((carried.given[name] * gradient).sum() for name, gradient in to_given.items())
        assert isinstance(value, Tensor)
        adjoint = torch.autograd.grad(value, carried.added, materialize_grads=True)[0]
    some = len(direction)
    differences = sum(
        # The changes are [T, K, B', N].
        (carried.changes[name] * gradient[:, None, :some]).sum((0, -1))
        for name, gradient in to_given.items()
    )
    assert isinstance(differences, Tensor)
    given = carried.given["output"].detach()
    return adjoint, differences, float((given - output).norm() / output.norm().clamp(min=_HELD[0]))


def _of_norm(log10: float, norm: float) -> float:
    """The relative deviation of a reading from a norm in float64."""
    if norm == 0 or not _HELD[0] < norm < _HELD[1]:
        both_zero = norm == 0 and log10 == -math.inf
        return 0.0 if both_zero else math.nan if _agree_beyond(log10, norm) else math.inf
    return abs(math.expm1((log10 - math.log10(norm)) * math.log(10))) if math.isfinite(log10) else math.inf


def _agree_beyond(log10: float, norm: float) -> bool:
    """Whether a reading is on the same side of what float64 holds as the norm that should be it."""
    return log10 < math.log10(_HELD[0]) + 1 if norm < 1 else not log10 < math.log10(_HELD[1]) - 1


def _of_products(products: Tensor, differences: Tensor) -> float:
    """Between <dL/dh_t, v> [B', H], not yet summed, and what the differences gave [B']."""
    expected = products.sum(-1)
    size = float(expected.norm())
    if size == 0:
        return 0.0 if not differences.any() else math.inf
    return float((differences - expected).norm()) / size if _HELD[0] < size < _HELD[1] else math.nan


def _retained(to_given: dict[str, Tensor], d: int, H: int, at: Sequence[int]) -> tuple[float, ...]:
    if "output" not in to_given:
        return (-math.inf,) * len(at)
    norms = to_given["output"][list(at), :, d * H : (d + 1) * H].flatten(1).norm(dim=1)
    return tuple(norms.log10().tolist())


def _timesteps(asked: Sequence[int] | None, T: int) -> tuple[int, ...]:
    timesteps = tuple(dict.fromkeys((0, T // 2, T - 1) if asked is None else asked))
    if not timesteps or not all(0 <= t < T for t in timesteps):
        raise UsageError(f"timesteps={list(timesteps)}: a sequence has the timesteps 0 to {T - 1}")
    return timesteps


def _arguments(batch: Any) -> tuple[Any, ...]:
    # A packed sequence is a tuple too, but one argument.
    several = isinstance(batch, tuple) and not isinstance(batch, PackedSequence)
    arguments = batch if several else (batch,)
    # Copies, since a model may change its input in place.
    return tuple(item.detach().clone() if isinstance(item, Tensor) else item for item in arguments)


@contextmanager
def _random_state_kept(parameters: Sequence[Tensor]) -> Iterator[None]:
    devices = {p.device for p in parameters if p.device.type == "cuda"}
    with torch.random.fork_rng(devices=list(devices)):
        yield


def _before_call(fused: FusedModule, *_: Any) -> None:
    fused.before_call()


def _after_call(fused: FusedModule, module: nn.Module, arguments: Any, keywords: Any, given: Any) -> None:
    fused.after_call(arguments, keywords, given, due=True)


def _raising(function: Callable[..., None]) -> Hook:
    return Hook(function, _raise)


def _raise(error: Exception) -> None:
    raise error


def _nothing() -> None:
    pass
