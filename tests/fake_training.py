"""A training that trains nothing, for tests of the command line."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fakes import fake_run

from rnnlab.config import Config
from rnnlab.runs.run import Run


@dataclass
class FakeTraining:
    """Replaces `train`: keeps its config and options, then calls `act`, or ends with the status or exception `end`."""

    end: BaseException | str = "completed"
    config: Config | None = None
    options: dict[str, Any] | None = None
    act: Callable[..., Run] | None = None

    def __call__(self, config: Config, *, observe: Any, notify: Any, **options: Any) -> Run:
        self.config, self.options = config, options
        if self.act is not None:
            return self.act(config, **options)
        notify("compiling, once")
        if isinstance(self.end, BaseException):
            raise self.end
        run = fake_run(Path(options["out"]), config.name or "one")
        run.dir.finish(self.end, "all updates made" if self.end == "completed" else "loss was not finite")
        return Run(run.path)
