"""Jobs, which engines train, and their events. A job is a fleet of runs; an event is something that happened to it."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal, Protocol, Self

from rnnlab.atomic import atomic
from rnnlab.config.yaml_scalars import dump
from rnnlab.errors import RunFolderError
from rnnlab.plugins import Plugin
from rnnlab.progress import Progress
from rnnlab.provenance import is_here
from rnnlab.runs.folder import RunFolder
from rnnlab.runs.run_json import ENDED


@dataclass(frozen=True)
class RunSpec:
    """One run of a job: the name of its folder, its identity and its resolved config.

    >>> from rnnlab.sweeps.jobs import RunSpec
    >>> run = RunSpec("lstm-T100-s0", identity="9f3c", config={"task": "addition"})
    >>> run.status("runs") is None  # no such folder yet
    True
    """

    name: str
    identity: str
    config: Mapping[str, Any]
    resume: bool = False
    """An earlier process left its folder unfinished: go on from its checkpoint; without one, replace the folder."""

    def folder(self, out: str) -> RunFolder:
        return RunFolder(Path(out) / self.name)

    def status(self, out: str) -> str | None:
        """The status in run.json; None where the folder is missing, broken or of another run."""
        try:
            info = self.folder(out).read_run()
        except RunFolderError:
            return None
        return str(info.get("status")) if info.get("identity") == self.identity else None

    def is_left_here(self, out: str) -> bool:
        """Whether run.json says that this process trains it; after its end, since nothing could be written then."""
        if self.status(out) != "running":
            return False
        process = self.folder(out).read_run().get("process") or {}
        return process.get("pid") == os.getpid() and is_here(process)


@dataclass(frozen=True)
class Job:
    """Runs of one shape that train as one fleet, and the folder that their folders are made in.

    >>> from rnnlab.sweeps.jobs import Job, RunSpec
    >>> job = Job(1, (RunSpec("lstm-T100-s0", "9f3c", {"task": "addition"}),), out="runs")
    >>> [run.name for run in job.unfinished()]
    ['lstm-T100-s0']
    >>> Job.from_json(job.to_json()) == job
    True
    """

    number: int
    runs: tuple[RunSpec, ...]
    out: str
    command: tuple[str, ...] = ()
    sweep: str | None = None
    """The name of its sweep."""
    attempt: int = 0
    """How often its process died before."""
    cost: float = 0.0
    """About how many seconds it takes on one core."""
    plugins: tuple[Plugin, ...] = ()
    """The plugins of its runs, with the text of each file."""

    def to_json(self) -> str:
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Self:
        fields = json.loads(text)
        runs = tuple(RunSpec(**run) for run in fields.pop("runs"))
        plugins = tuple(Plugin.from_fields(plugin) for plugin in fields.pop("plugins"))
        return cls(runs=runs, command=tuple(fields.pop("command")), plugins=plugins, **fields)

    def unfinished(self) -> tuple[RunSpec, ...]:
        """The runs that have not ended on disk; those that have a folder are to be resumed."""
        statuses = [(run, run.status(self.out)) for run in self.runs]
        left = [(run, status) for run, status in statuses if status not in (*ENDED, "failed")]
        return tuple(replace(run, resume=run.resume or status is not None) for run, status in left)


EventKind = Literal["started", "message", "progress", "run_ended", "done", "raised", "refused", "died"]


@dataclass(frozen=True)
class Event:
    """Something that happened to a job.

    - `started`: it trains now.
    - `message`: `text` is for the user.
    - `progress`: `progress` is how far its runs have come.
    - `run_ended`: one `run` ended, with this `status`; `text` is the reason.
    - `done`: all its runs ended.
    - `raised`: training raised an error of its own; `text` is the error.
    - `refused`: the system refused (a full disk), and would refuse other jobs as well; `text` is the error.
    - `died`: its process or its machine is gone; `text` is how.

    The first event of a job is `started`. The last one is one of the last four, once. Those between may be lost.

    >>> from rnnlab.sweeps.jobs import Event
    >>> event = Event("run_ended", job=1, run="lstm-T100-s0", status="completed")
    >>> event.is_final, Event("done", job=1).is_final
    (False, True)
    >>> Event.from_json(event.to_json()) == event
    True
    """

    kind: EventKind
    job: int
    text: str = ""
    run: str = ""
    status: str = ""
    progress: Progress | None = None

    @property
    def is_final(self) -> bool:
        """Whether the job has ended with it."""
        return self.kind in ("done", "raised", "refused", "died")

    def to_json(self) -> str:
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str | bytes) -> Self:
        fields = json.loads(text)
        progress = fields.pop("progress")
        return cls(progress=progress and Progress.from_fields(progress), **fields)


EventCallback = Callable[[Event], None]


class JobSource(Protocol):
    """Where an engine gets its jobs."""

    def take(self) -> Job | None:
        """The next job, or None if there is none now. After an event there may be another, since jobs are retried."""

    def waiting(self) -> int:
        """How many jobs there are to take."""

    def out(self) -> str:
        """The folder that all of them are for."""


def mark_failed(run: RunSpec, job: Job, reason: str) -> None:
    """Set the status of a run to `failed`, in place of its process, and make its folder if there is none.

    `rnnlab train` can repeat the run from that folder.
    """
    folder = run.folder(job.out)
    if run.status(job.out) is None:
        info = {"identity": run.identity, "seed": run.config["seed"]}
        folder = RunFolder.create(job.out, run.name, info | {"command": list(job.command), "sweep": job.sweep})
    if not os.path.lexists(folder.config):
        with atomic(folder.config) as file:
            file.write(dump(dict(run.config)).encode())
    folder.finish("failed", reason)
