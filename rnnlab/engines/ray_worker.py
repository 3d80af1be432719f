"""What a Ray worker does for the engine `ray`: train a job, tell how far it is, and hand back how it ended."""

from __future__ import annotations

import contextlib
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from rnnlab.jobs import LAST, Event, Job
from rnnlab.rundir import RunDir

OFTEN = 0.5
"""Seconds between two looks at the news, and between two letters of a worker."""
KNOCK = 5.0
"""Seconds that an answer may take."""

Files = Mapping[str, Mapping[str, bytes]]
"""Of runs by name, their files by name."""


@dataclass(frozen=True)
class Report:
    """What a task gives back: how its job ended, the runs that came to their end, and files that are to be written."""

    last: Event
    ended: list[Event] = field(default_factory=list)
    files: Files = field(default_factory=dict)


class Mailbox:
    """Where workers put their news; it answers whether they are to stop."""

    def __init__(self) -> None:
        self._news: list[str] = []
        self._closed = False

    def put(self, news: list[str]) -> bool:
        """Take the news; whether the sweep is being interrupted."""
        self._news += news
        return self._closed

    def empty(self) -> list[str]:
        """All that has come since the last time."""
        news, self._news = self._news, []
        return news

    def close(self) -> None:
        """From now on say to all that they are to stop."""
        self._closed = True


def work(text: str, token: str, luggage: Files, cpus: int, mailbox: Any) -> Report:
    """Train a job in a Ray worker, where the driver's folder is or in a folder that is sent back."""
    import torch

    torch.set_num_threads(cpus)
    job = Job.from_json(text)
    if Path(token).is_file():
        return _perform(job, mailbox)
    with tempfile.TemporaryDirectory(prefix="rnnlab-") as folder:
        for name, files in luggage.items():
            if files:
                RunDir.take_in(folder, name, files, force=False)
        report = _perform(replace(job, out=folder), mailbox)
        runs = [item.folder(folder) for item in job.items]
        return replace(report, files={run.name: run.contents() for run in runs if run.is_run})


def _perform(job: Job, mailbox: Any) -> Report:
    """The job, done; what it tells goes to the mailbox, and how it and its runs ended into the report."""
    from rnnlab.engines.perform import perform

    post = _Post(mailbox)
    last: list[Event] = [Event("began", job.number)]
    ended: list[Event] = []

    def hear(event: Event) -> None:
        if event.kind in LAST:
            last.append(event)
            return
        if event.kind == "ended":
            ended.append(event)
        post.send(event)

    post.send(last[0])
    with contextlib.suppress(KeyboardInterrupt):
        perform(job, hear)
    return Report(last[-1], ended)


class _Post:
    """A worker's way to the mailbox: now and then, and without it where it is gone."""

    def __init__(self, mailbox: Any) -> None:
        self._mailbox, self._waiting, self._sent = mailbox, list[str](), 0.0

    def send(self, event: Event) -> None:
        """Raises KeyboardInterrupt where the answer is that the sweep is being interrupted."""
        import ray

        self._waiting.append(event.to_json())
        if self._mailbox is None or time.monotonic() - self._sent < OFTEN:
            return
        try:
            closed = ray.get(self._mailbox.put.remote(self._waiting), timeout=KNOCK)
        except ray.exceptions.RayError:
            self._mailbox = None
            return
        self._waiting, self._sent = [], time.monotonic()
        if closed:
            raise KeyboardInterrupt
