"""A CUDA device on a machine without one: every storage is marked as the CPU's or the device's, and held to it.

Operations run on the CPU. As on a device, tensors of both together are refused (numbers without an axis apart), and so
is a tensor of the device as a NumPy array. Operations, and the times that Python waits for the device, are counted.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_flatten

CPU, CUDA = torch.device("cpu"), torch.device("cuda", 0)
_aten: Any = torch.ops.aten
_ACROSS = {_aten.copy_.default, _aten._to_copy.default}
"""Operations that take tensors of both."""
_INDEXING = {_aten.index.Tensor, _aten.index_put_.default, _aten._index_put_impl_.default}
"""A tensor of the device may be indexed by one of the CPU."""
_WAITING = {_aten._local_scalar_dense.default, _aten.nonzero.default, _aten.equal.default, _aten.masked_select.default}
"""What Python can go on after only when the device is done."""
_PACK = _aten._pack_padded_sequence.default
"""Takes lengths of the CPU, and gives sizes of batches there."""
_FROM_PYTHON = {torch.tensor, torch.as_tensor, torch.asarray}


_DEVICE, _IS_CUDA = (vars(torch._C.TensorBase)[name].__get__ for name in ("device", "is_cuda"))


class MixedDevicesError(RuntimeError):
    """Tensors of both devices in one operation, or one of the device where only the CPU's can be."""


def on_device(tensor: Tensor) -> bool:
    """Whether a tensor is on the simulated device."""
    return getattr(tensor.untyped_storage(), "on_device", False)


def _mark(value: Any, device: bool) -> Any:
    for tensor in tree_flatten(value)[0]:
        if isinstance(tensor, Tensor):
            tensor.untyped_storage().on_device = device  # type: ignore[attr-defined]
    return value


class _Operations(TorchDispatchMode):
    def __init__(self, counts: Counts) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.counts, self.going_back = counts, False

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        tensors = [value for value in tree_flatten((args, kwargs))[0] if isinstance(value, Tensor)]
        there = [on_device(tensor) for tensor in tensors]
        if not any(there):
            result = func(*args, **kwargs or {})
            # What autograd makes from nothing is where the gradients are.
            return _mark(result, True) if self.going_back and not tensors else result
        self.counts.operations += 1
        self.counts.waits += func in _WAITING
        here = [tensor for tensor, device in zip(tensors, there, strict=True) if not device and tensor.dim()]
        if func is _PACK and on_device(args[1]):
            raise MixedDevicesError("lengths must be on the CPU, and they are on cuda:0")
        if func is _PACK:
            here = []
        if here and func not in _ACROSS and not (func in _INDEXING and there[0]):
            raise MixedDevicesError(f"{func}: tensors on cuda:0 and cpu, {[tuple(one.shape) for one in here]}")
        inputs = {id(tensor.untyped_storage()) for tensor in tensors}
        result = func(*args, **kwargs or {})
        for tensor in tree_flatten(result)[0]:
            if isinstance(tensor, Tensor) and id(tensor.untyped_storage()) not in inputs:
                _mark(tensor, True)
        if func is _PACK:
            _mark(result[1], False)
        return result


class _Interface(TorchFunctionMode):
    def __init__(self, counts: Counts, operations: _Operations) -> None:
        super().__init__()
        self.counts, self.operations = counts, operations

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        given = dict(kwargs or {})
        name = getattr(func, "__name__", "")
        if func == _DEVICE:
            return CUDA if on_device(args[0]) else CPU
        if func == _IS_CUDA:
            return on_device(args[0])
        if name in ("numpy", "__array__") and on_device(args[0]):
            raise MixedDevicesError("can't convert cuda:0 device type tensor to numpy; use .cpu() first")
        if name == "tolist" and on_device(args[0]):
            self.counts.waits += 1
            return _moved(args[0], False).tolist()
        if name == "cpu":
            return self._moved(args[0], False)
        if name == "cuda":
            return self._moved(args[0], True)
        if name == "to":
            return self._to(args, given)
        if func is torch.autograd.grad:
            self.operations.going_back = any(map(on_device, tree_flatten(args[0])[0]))
            try:
                return func(*args, **given)
            finally:
                self.operations.going_back = False
        if name == "_pad_packed_sequence":
            # It makes its result from nothing, and copies into it.
            rows, lengths = func(*args, **given)
            return _mark(rows, on_device(args[0])), lengths
        if name.startswith("new_") and given.get("device") is None:
            return _mark(func(*args, **given), on_device(args[0]))
        if given.get("device") is None:
            return func(*args, **given)
        device = torch.device(given.pop("device")).type == "cuda"
        if func in _FROM_PYTHON and isinstance(args[0], Tensor):
            return self._moved(func(*args, **given), device)
        return _mark(func(*args, **given), device)

    def _to(self, args: Any, given: dict[str, Any]) -> Tensor:
        tensor, *rest = args
        rest += [given.pop(name) for name in ("device", "dtype", "other") if name in given]
        device, dtype = on_device(tensor), tensor.dtype
        for value in rest:
            if isinstance(value, Tensor):
                device, dtype = on_device(value), value.dtype
            elif isinstance(value, str | torch.device):
                device = torch.device(value).type == "cuda"
            elif isinstance(value, torch.dtype):
                dtype = value
        moved = self._moved(tensor, device)
        return moved if moved.dtype == dtype else moved.to(dtype)

    def _moved(self, tensor: Tensor, device: bool) -> Tensor:
        if on_device(tensor) == device:
            return tensor
        self.counts.waits += not device
        return _moved(tensor, device)


def _moved(tensor: Tensor, device: bool) -> Tensor:
    copy: Tensor = _mark(tensor.clone(), device)
    return copy


class _Engine:
    """Autograd's engine, which calls back at the end of a backward pass without the modes that Python was in."""

    def __init__(self, interface: _Interface) -> None:
        self._engine, self._interface = torch.autograd.Variable._execution_engine, interface

    def __getattr__(self, name: str) -> Any:
        return getattr(self._engine, name)

    def queue_callback(self, function: Callable[[], object]) -> None:
        def call() -> None:
            with self._interface:
                function()

        self._engine.queue_callback(call)


class Counts:
    """Operations on the device, and how often Python waited for it: a value that was read, a copy to the CPU."""

    operations = 0
    waits = 0


@contextlib.contextmanager
def simulated_device() -> Iterator[Counts]:
    """Within the block there is one CUDA device."""
    counts = Counts()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch.cuda, "is_available", lambda: True)
        patch.setattr(torch.cuda, "device_count", lambda: 1)
        # What Triton compiles no device of this kind could run.
        patch.setattr("rnnlab.scan.cuda.limits.triton_version", lambda: None)
        # There is no cuDNN, at which torch's layers warn.
        patch.setattr(torch.backends.cudnn, "is_acceptable", lambda tensor: False)
        operations = _Operations(counts)
        interface = _Interface(counts, operations)
        patch.setattr(torch.autograd.Variable, "_execution_engine", _Engine(interface))
        with interface, operations:
            yield counts
