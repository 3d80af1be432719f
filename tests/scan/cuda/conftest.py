"""Triton's interpreter, without what it does anew at every call of a function inside a kernel."""

from __future__ import annotations

from typing import Any

import pytest
from triton_devices import HAS_TRITON, INTERPRETED


@pytest.fixture(autouse=True)
def _patched_once_a_launch(monkeypatch: pytest.MonkeyPatch) -> None:
    """The interpreter replaces Triton's language by its own once a launch and module: a third of all time otherwise."""
    if not (HAS_TRITON and INTERPRETED):
        return
    from triton.runtime import interpreter

    patched: set[int] = set()
    launch = interpreter.GridExecutor.__call__

    def call(function: Any, *args: Any, **kwargs: Any) -> Any:
        module = id(function.fn.__globals__)
        if module not in patched:
            patched.add(module)
            interpreter._patch_lang(function.fn)
        return function.rewrite()(*args, **kwargs)

    def launched(executor: Any, *args: Any, **kwargs: Any) -> Any:
        patched.clear()
        return launch(executor, *args, **kwargs)

    monkeypatch.setattr(interpreter.InterpretedFunction, "__call__", call)
    monkeypatch.setattr(interpreter.GridExecutor, "__call__", launched)
