"""Which modules of a model are watched, and which models cannot be."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import torch
from torch import nn

from rnnlab.cells.fused_modes import FUSED_MODES
from rnnlab.errors import UsageError
from rnnlab.watching.layers import cell_of

COMPILED = (
    "a call inside what torch.compile takes whole, or of a module after module.compile(), is not seen; compile the "
    "recurrent module alone, module = torch.compile(module), or watch it uncompiled"
)
"""What to do where a module's calls are compiled away."""

_INSIDE = "_orig_mod"
"""What torch.compile's wrapper calls the module inside it."""

_WRAPPERS = {
    "FullyShardedDataParallel": "FSDP flattens the parameters; watch the model on one device before it is wrapped",
    "DataParallel": "DataParallel runs copies of the model; use DistributedDataParallel and watch one process",
}


def fused_modules(model: nn.Module) -> list[tuple[str, nn.RNNBase]]:
    """The nn.RNN, nn.LSTM and nn.GRU of a model by name, each once. Raises UsageError for one that cannot be read."""
    fused = [(name, module) for name, module in _modules(model) if isinstance(module, nn.RNNBase)]
    for name, module in fused:
        if module.proj_size:
            raise UsageError(f"{name}: proj_size is not read; leave it out and put an nn.Linear behind the layer")
        if module.mode not in FUSED_MODES:
            raise UsageError(f"{name}: the mode {module.mode} is not known; name its cell with cells=[...]")
    return fused


def cell_modules(model: nn.Module, cells: Iterable[type[nn.Module]]) -> list[tuple[str, nn.Module]]:
    """The modules that are called once a timestep: torch's cells, and those of the types in `cells`."""
    types: tuple[type[nn.Module], ...] = (nn.modules.rnn.RNNCellBase, *cells)
    return [(name, module) for name, module in _modules(model) if isinstance(module, types)]


def compiled_alone(model: nn.Module) -> dict[nn.Module, nn.Module]:
    """By module that torch.compile wrapped, the wrapper: its hooks run, those inside are compiled away."""
    return {wrapped: module for _, module in _modules(model) if (wrapped := _wrapped(module)) is not None}


def check_not_compiled(model: nn.Module, read: Iterable[tuple[str, nn.Module]]) -> None:
    """Raise UsageError where one of the modules to read is part of something larger that torch.compile takes whole."""
    alone, to_read = compiled_alone(model), {module: name for name, module in read}
    for outer in model.modules():
        if (whole := _wrapped(outer)) is None:
            whole = outer if getattr(outer, "_compiled_call_impl", None) is not None else None
        for inner in () if whole is None else whole.modules():
            if inner in to_read and alone.get(inner) is not outer:
                raise UsageError(f"{to_read[inner]}: {COMPILED}")


def check_model(model: Any) -> None:
    """Raise UsageError, with the way out, for a model that cannot be watched."""
    if not isinstance(model, nn.Module):
        raise UsageError(f"the model must be a torch.nn.Module, not {type(model).__name__}")
    for name, module in _modules(model):
        if isinstance(module, torch.jit.ScriptModule):
            raise UsageError(f"{name}: a scripted module takes no hooks; watch the model before torch.jit.script")
        if remedy := _WRAPPERS.get(type(module).__name__):
            raise UsageError(f"{name}: {remedy}")


def described(model: nn.Module, optimizer: torch.optim.Optimizer) -> dict[str, Any]:
    """What the settings of a run say where its user says nothing: the first recurrent module, and the optimizer."""
    settings: dict[str, Any] = {}
    if fused := fused_modules(model):
        module = fused[0][1]
        settings = {
            "model.cell": cell_of(module).name,
            "model.hidden": module.hidden_size,
            "model.layers": module.num_layers,
        }
    return {**settings, "optimizer.name": type(optimizer).__name__.lower()}


def device_of(model: nn.Module) -> str:
    """Where the model's first parameter is."""
    return str(next((p.device for p in model.parameters()), torch.device("cpu")))


def _modules(model: nn.Module) -> Iterator[tuple[str, nn.Module]]:
    for name, module in model.named_modules():
        yield ".".join(part for part in name.split(".") if part != _INSIDE) or "model", module


def _wrapped(module: nn.Module) -> nn.Module | None:
    """What torch.compile wrapped in this module. Its type is known by name, since to import it loads the compiler."""
    return getattr(module, _INSIDE) if type(module).__name__ == "OptimizedModule" else None
