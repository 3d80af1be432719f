"""What rnnlab says is done, noted beside the file operations, in their order: checkpoints, ends of runs, pages."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from chaos.shim import Shim


def listen(shim: Shim) -> None:
    """Note what this process says from now on."""
    from rnnlab.cli import report_request
    from rnnlab.runs.folder import RunFolder
    from rnnlab.training.recorder import Recorder

    _after(Recorder, "save", lambda run, *_: shim.said(what="checkpoint", run=run.dir.path.name, updates=run.done))
    _after(Recorder, "resume", lambda run, *_: shim.said(what="resumed", run=run.dir.path.name, updates=run.done))
    _after(Recorder, "begin", lambda run, *_: shim.said(what="resumed", run=run.dir.path.name, updates=0))
    _after(RunFolder, "finish", lambda run, status, *_: shim.said(what="ended", run=run.path.name, status=status))
    _after(report_request, "_write_page", lambda findings, thinned, path, *_: shim.said(what="page", path=str(path)))


def _after(owner: Any, name: str, note: Callable[..., None]) -> None:
    """Call `note` after each call of a function that ends without an error."""
    real = getattr(owner, name)

    @functools.wraps(real)
    def call(*arguments: Any, **options: Any) -> Any:
        result = real(*arguments, **options)
        note(*arguments)
        return result

    setattr(owner, name, call)
