"""What an engine is handed and what it tells: a job is a fleet of runs to train, an event what happened to it."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal, Protocol, Self

from rnnlab.atomic import atomic
from rnnlab.errors import RunFolderError
from rnnlab.rundir import RunDir

ENDED = ("completed", "diverged")
"""A run of this status is a result, and is not trained again."""


@dataclass(frozen=True)
class Item:
    """One run of a job: its folder's name and its resolved config; `again` where that folder is there already."""

    name: str
    identity: str
    config: Mapping[str, Any]
    again: bool = False
    """An earlier process left it unfinished: it goes on from its checkpoint, or replaces what is there."""

    def folder(self, out: str) -> RunDir:
        return RunDir(Path(out) / self.name)

    def status(self, out: str) -> str | None:
        """That of its folder, as run.json says it; None where the folder is missing, broken or another run's."""
        try:
            info = self.folder(out).read_run()
        except RunFolderError:
            return None
        return str(info.get("status")) if info.get("identity") == self.identity else None


@dataclass(frozen=True)
class Job:
    """Runs of one shape that train as one fleet, and the folder that theirs are made in."""

    number: int
    items: tuple[Item, ...]
    out: str
    command: tuple[str, ...] = ()
    sweep: str | None = None
    """The name of the sweep that it is of."""
    attempt: int = 0
    """How often its process died before."""
    cost: float = 0.0
    """About how many seconds it takes on one core."""

    @property
    def runs(self) -> int:
        return len(self.items)

    def to_json(self) -> str:
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Self:
        given = json.loads(text)
        items = tuple(Item(**item) for item in given.pop("items"))
        return cls(items=items, command=tuple(given.pop("command")), **given)

    def unfinished(self) -> tuple[Item, ...]:
        """The runs that have not come to their end on disk, to be gone on with."""
        left = [item for item in self.items if item.status(self.out) not in (*ENDED, "failed")]
        return tuple(replace(item, again=item.again or item.status(self.out) is not None) for item in left)


Kind = Literal["began", "said", "standing", "ended", "done", "raised", "refused", "died"]


@dataclass(frozen=True)
class Event:
    """Something that happened to a job.

    began; said (`text`); standing (where its runs are: `update` of `updates`, `losses`, seconds `left`); ended (one
    `run`, with its `status`, and `text`, why). Last comes one of: done; raised (`text`: the training's own error);
    refused (`text`: the system refused, a full disk, and would refuse the others as well); died (`text`: its process
    or its machine is gone).

    Of each job an engine tells began first and one of the last ones last, once; what lies between may be lost.
    """

    kind: Kind
    job: int
    text: str = ""
    run: str = ""
    status: str = ""
    update: int = 0
    updates: int = 0
    losses: tuple[float, ...] = ()
    left: float = 0.0

    def to_json(self) -> str:
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str | bytes) -> Self:
        given = json.loads(text)
        return cls(losses=tuple(given.pop("losses")), **given)


LAST = ("done", "raised", "refused", "died")

Hear = Callable[[Event], None]


class Queue(Protocol):
    """Where an engine gets its jobs."""

    def take(self) -> Job | None:
        """The next job, or None where there is none now; one that died may come again after that was told."""

    def waiting(self) -> int:
        """How many jobs there are to take."""

    def out(self) -> str:
        """The folder that all of them are for."""


def mark_failed(item: Item, job: Job, why: str) -> None:
    """Give a run whose process could not do it a folder that says `failed`, and why, and can be repeated."""
    folder = item.folder(job.out)
    if item.status(job.out) is None:
        info = {"identity": item.identity, "seed": item.config["seed"]}
        folder = RunDir.create(job.out, item.name, info | {"command": list(job.command), "sweep": job.sweep})
    if not os.path.lexists(folder.config):
        from rnnlab.config import load_config

        with atomic(folder.config) as file:
            file.write(load_config(item.config).to_yaml().encode())
    folder.finish("failed", why)
