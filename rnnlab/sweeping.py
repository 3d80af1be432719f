"""A sweep, carried out: what is missing is trained in fleets by an engine, and nothing is trained twice."""

from __future__ import annotations

import shlex
import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from os import PathLike
from pathlib import Path

from rnnlab.claims import Claims, folder_key
from rnnlab.config import Config
from rnnlab.engines import Engine, Inline, Local
from rnnlab.errors import RnnlabError, RunFailedError
from rnnlab.fleets import cost_of, fleets_of
from rnnlab.index import Entry, Index
from rnnlab.jobs import ENDED, LAST, Event, Item, Job, mark_failed
from rnnlab.provenance import is_here
from rnnlab.rundir import RunDir
from rnnlab.survey import Survey, still_to_do, survey
from rnnlab.sweeps import Member, Sweep

RETRIES = 2
"""How often a job is tried again whose process or machine died."""
_ORPHANS = 20.0
"""Seconds that the workers of a killed driver have for their last checkpoints."""


@dataclass(frozen=True)
class Order:
    """What is asked of a sweep, besides what it is."""

    out: str | PathLike[str] = "runs"
    fleets: bool = True
    retry_failed: bool = False
    max_runs: int | None = None
    command: Sequence[str] = ()


@dataclass(frozen=True)
class Failure:
    """A run that failed: its name, why, and the command that repeats it alone."""

    name: str
    why: str
    command: str


@dataclass
class Outcome:
    """How the members of a sweep stand when it ends, whenever and by whomever they were trained."""

    runs: int
    trained: int = 0
    """Of those that are done, by this call."""
    completed: int = 0
    diverged: int = 0
    elsewhere: int = 0
    """Being trained by another process."""
    left: int = 0
    """Not trained, because `max_runs` says so."""
    dropped: int = 0
    """Runs that an earlier sweep of this name trained and this one does not hold; they stay as they are."""
    failures: list[Failure] = field(default_factory=list)


@dataclass(frozen=True)
class News:
    """What a sweep tells of itself: an event, with its job; or, first, the jobs that it begins with."""

    event: Event | None = None
    job: Job | None = None
    begins: Sequence[Job] = ()
    survey: Survey | None = None


Tell = Callable[[News], None]


def train_sweep(
    sweep: Sweep, engine: Engine | None = None, order: Order = Order(), tell: Tell = lambda news: None
) -> Outcome:
    """Train the members that are missing, and nothing else, and say how all of them stand.

    Without an engine, several fleets are trained by `local`, and a single one `inline`.

    Raises RunFailedError when the system refuses (a full disk), RunFolderError where `out` cannot be used, and what the
    engine raises. What is trained by then is kept, and the same call goes on with the rest.
    """
    with Index(order.out) as index:
        index.refresh()
        before = survey(sweep, index, retry_failed=order.retry_failed)
        driver = None
        if before.missing and (engine is None or engine.here):
            check_ready([config for config, _ in before.missing])
        if before.missing or before.running:
            with Claims(order.out) as claims:
                driver = _Driver(sweep, index, claims, order, tell)
                driver.train(before, engine)
        index.refresh()
        return _outcome(survey(sweep, index), driver, order)


class _Driver:
    """The queue that an engine takes its jobs from, and the ear that hears what became of them."""

    def __init__(self, sweep: Sweep, index: Index, claims: Claims, order: Order, tell: Tell) -> None:
        self.sweep, self.index, self.claims, self.order, self.tell = sweep, index, claims, order, tell
        self.members = {member.identity: member for member in sweep.members}
        self.planned: deque[tuple[tuple[Member, ...], Job]] = deque()
        self.given: dict[int, Job] = {}
        self.tried: set[str] = set()
        self.gone: set[str] = set()
        """Of runs whose process is known to be gone, though their run.json may not tell."""
        self.trained = 0
        self.refused = ""
        self.held: set[str] = set()
        """What another process was training when it was due here."""
        self.trouble: dict[str, str] = {}
        """Runs that have no folder to say so in, and why."""
        self._count = 0

    def train(self, found: Survey, engine: Engine | None) -> None:
        """Plan and train until nothing is missing that has not been tried."""
        while True:
            self.gone |= self._wait_for_orphans(found.running)
            if self.gone or found.running:
                found = survey(self.sweep, self.index, retry_failed=self._retries(), gone=self.gone)
            todo = [one for one in found.missing if one[1].identity not in self.tried]
            if self.order.max_runs is not None:
                todo = todo[: max(0, self.order.max_runs - len(self.tried))]
            if not todo:
                return
            for fleet in fleets_of(todo, together=self.order.fleets):
                members = tuple(self.members[item.identity] for _, item in fleet)
                self._plan(members, cost_of([config for config, _ in fleet]))
            self.tried |= {item.identity for _, item in todo}
            self.tell(News(begins=[job for _, job in self.planned], survey=found))
            chosen = engine or (Local() if len(self.planned) > 1 else Inline())
            chosen.train(self, self.hear)
            if self.refused:
                raise RunFailedError(self.refused)
            # Another process may have let go of some meanwhile.
            self.index.refresh()
            found = survey(self.sweep, self.index)

    def _retries(self) -> bool:
        return self.order.retry_failed and not self.tried

    def _plan(self, members: Iterable[Member], cost: float, attempt: int = 0) -> None:
        self._count += 1
        chosen = tuple(members)
        items = tuple(Item(one.name, one.identity, {}) for one in chosen)
        job = Job(self._count, items, self.out(), tuple(self.order.command), self.sweep.name, attempt, cost)
        self.planned.append((chosen, job))

    def waiting(self) -> int:
        return len(self.planned)

    def out(self) -> str:
        return str(Path(self.order.out).absolute())

    def take(self) -> Job | None:
        """The next job, of those of its runs that nobody else is training or has trained by now."""
        while self.planned:
            members, job = self.planned.popleft()
            mine = self.claims.take([member.identity for member in members])
            self.held |= {member.identity for member in members} - mine
            # Whoever let go of one a moment ago has finished it, maybe under another name.
            self.index.refresh(ended=False)
            chosen = [member for member in members if member.identity in mine]
            retry = self.order.retry_failed and job.attempt == 0
            todo = still_to_do(chosen, self.index, retry_failed=retry, gone=self.gone)
            items = self._in_folders_of_their_own([item for _, item in todo])
            self.claims.release(mine - {item.identity for item in items})
            if items:
                self.given[job.number] = job = replace(job, items=items)
                return job
        return None

    def _in_folders_of_their_own(self, items: Sequence[Item]) -> tuple[Item, ...]:
        """Those of the runs whose folders nobody else, such as `rnnlab train --resume`, is training in."""
        mine = self.claims.take([folder_key(item.name) for item in items])
        free = tuple(item for item in items if folder_key(item.name) in mine)
        self.held |= {item.identity for item in items} - {item.identity for item in free}
        return free

    def hear(self, event: Event) -> None:
        """See to what an event leaves undone, and pass it on."""
        job = self.given[event.job]
        self.trained += event.kind == "ended" and event.status in ENDED
        if event.kind in LAST:
            self._settle(job, event)
            self.claims.release(key for item in job.items for key in _keys(item))
        self.tell(News(event, job))

    def _settle(self, job: Job, event: Event) -> None:
        left = job.unfinished() if event.kind != "done" else ()
        if event.kind == "refused":
            self._refuse(event.text)
        elif event.kind == "died" and left:
            self.gone |= {item.identity for item in left}
            if job.attempt < RETRIES:
                self._again(left, job.cost, job.attempt + 1)
            else:
                self._give_up(left, job, f"{event.text}; tried {job.attempt + 1} times")
        elif event.kind == "raised" and left and len(job.items) > 1:
            # One of them is at fault; alone, it fails alone.
            for item in left:
                self._again((item,), job.cost / len(job.items), max(job.attempt, 1))
        elif event.kind == "raised":
            self.trouble |= {item.identity: event.text for item in left}

    def _again(self, items: Iterable[Item], cost: float, attempt: int) -> None:
        self._plan((self.members[item.identity] for item in items), cost, attempt)

    def _give_up(self, items: Iterable[Item], job: Job, why: str) -> None:
        for item in items:
            try:
                mark_failed(item, job, why)
            except RnnlabError as error:
                self._refuse(str(error))

    def _refuse(self, why: str) -> None:
        self.refused = self.refused or why
        self.planned.clear()

    def _wait_for_orphans(self, running: Sequence[Entry]) -> set[str]:
        """Give the workers of a killed sweep time to write their last checkpoints; which runs no process trains.

        A run that `rnnlab train` began may have no claim, and is let alone.
        """
        begun = [one for one in running if one.identity and one.sweep is not None]
        held = self.claims.holders(key for one in begun for key in _keys(one))
        orphans = {str(one.identity) for one in begun if not held.keys() & _keys(one)}
        until = time.monotonic() + _ORPHANS
        while orphans and time.monotonic() < until:
            self.index.refresh(ended=False)
            left = self.index.by_identity(orphans)
            orphans = {identity for identity, there in left.items() if any(one.status == "running" for one in there)}
            time.sleep(0.2 if orphans else 0)
        # What is known to be alive on this machine goes on; what another machine left is nobody's any more.
        there = self.index.by_identity(orphans)
        return {identity for identity in orphans if not any(map(self._is_here, there[identity]))}

    def _is_here(self, entry: Entry) -> bool:
        return entry.status == "running" and is_here(RunDir(self.index.root / entry.name).read_run()["process"])


def _keys(run: Item | Entry) -> set[str]:
    """What is claimed of a run: its identity, and its folder."""
    return {str(run.identity), folder_key(run.name)}


def _outcome(now: Survey, driver: _Driver | None, order: Order) -> Outcome:
    runs = len(now.done) + len(now.failed) + len(now.running) + len(now.missing)
    outcome = Outcome(runs, trained=driver.trained if driver else 0)
    outcome.completed = sum(entry.status == "completed" for entry in now.done)
    outcome.diverged = len(now.done) - outcome.completed
    outcome.failures = [_failure(one.name, one.reason or "no reason is recorded", order.out) for one in now.failed]
    outcome.elsewhere, outcome.dropped = len(now.running), now.dropped
    for _, item in now.missing:
        if driver is not None and item.identity in driver.trouble:
            outcome.failures.append(Failure(item.name, driver.trouble[item.identity], ""))
        elif driver is not None and item.identity in driver.held:
            outcome.elsewhere += 1
        else:
            outcome.left += 1
    return outcome


def _failure(name: str, why: str, out: str | PathLike[str]) -> Failure:
    where = [] if Path(out) == Path("runs") else ["--out", str(out)]
    words = ["rnnlab", "train", "--config", str(Path(out) / name / "config.yaml"), *where, "--force"]
    return Failure(name, why, shlex.join(words))


def check_ready(configs: Iterable[Config]) -> None:
    """Raise what a run would raise at once on this machine: DataMissingError, DataFormatError, DeviceMissingError."""
    chosen = list(configs)
    for config in {one.task.model_dump_json(): one for one in chosen}.values():
        config.task.stream(config.seed, config.dtype)
    for device in sorted({one.device for one in chosen} - {"auto", "cpu"}):
        from rnnlab.fleet import choose_device

        choose_device(device)
