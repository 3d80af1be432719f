"""Carries out a sweep: an engine trains the missing runs in fleets, and none twice."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from rnnlab.config import Config
from rnnlab.errors import RnnlabError, RunFailedError
from rnnlab.plugins import used_by
from rnnlab.runs.claims import Claims, folder_key
from rnnlab.runs.index import Index
from rnnlab.runs.run_json import ENDED
from rnnlab.sweeps.engines import Engine
from rnnlab.sweeps.file import Member, Sweep
from rnnlab.sweeps.fitting import FleetPlan
from rnnlab.sweeps.jobs import Event, Job, RunSpec, mark_failed
from rnnlab.sweeps.orphans import keys_of, wait_for_orphans
from rnnlab.sweeps.packing import cost_of
from rnnlab.sweeps.results import Failure, SweepCallback, SweepEvent, SweepOptions, SweepResult
from rnnlab.sweeps.status import SweepStatus, pending_runs, sweep_status

RETRIES = 2
"""How often a job is retried after its process or machine died."""


def train_sweep(
    sweep: Sweep,
    engine: Engine | None = None,
    options: SweepOptions | None = None,
    on_event: SweepCallback = lambda event: None,
) -> SweepResult:
    """Train the missing members and nothing else; return the result of the sweep.

    Without an engine, several fleets are trained by `local`, and a single one `inline`.

    Raises, before anything is trained, NotEnoughMemoryError for a run that is too large for this machine. Later on,
    RunFailedError when the system refuses (a full disk), RunFolderError where `out` cannot be used, and what the engine
    raises. What is trained by then is kept, and the same call goes on with the rest.
    """
    options = options or SweepOptions()
    with Index(options.out) as index:
        index.refresh()
        before = sweep_status(sweep, index, retry_failed=options.retry_failed)
        driver = None
        if before.missing and (engine is None or engine.here):
            check_ready([run.config for run in before.missing])
        if before.missing or before.running:
            with Claims(options.out) as claims:
                driver = _Driver(sweep, index, claims, options, on_event)
                driver.train(before, engine)
        index.refresh()
        return _result(sweep_status(sweep, index, dead=driver.dead if driver else ()), driver, options)


class _Driver:
    """The source of an engine's jobs. It also handles the engine's events, and retries jobs that died."""

    def __init__(
        self, sweep: Sweep, index: Index, claims: Claims, options: SweepOptions, on_event: SweepCallback
    ) -> None:
        self.sweep, self.index, self.claims, self.options, self.on_event = sweep, index, claims, options, on_event
        self.members = {member.identity: member for member in sweep.members}
        self.planned: deque[tuple[tuple[Member, ...], Job]] = deque()
        self.taken: dict[int, Job] = {}
        """The jobs that the engine took, by number."""
        self.tried: set[str] = set()
        self.dead: set[str] = set()
        """Runs whose process is known to be gone, though run.json may say that they are running."""
        self.trained = 0
        self.refusal = ""
        """Why the system refused."""
        self.claimed_elsewhere: set[str] = set()
        """Runs that another process was training when it was their turn here."""
        self.errors: dict[str, str] = {}
        """The errors of runs that have no folder to record them in."""
        self._jobs = 0

    def train(self, status: SweepStatus, engine: Engine | None) -> None:
        """Plan and train until every missing run has been tried."""
        while True:
            self.dead |= wait_for_orphans(status.running, self.index, self.claims, self._say)
            if self.dead or status.running:
                retry = self.options.retry_failed and not self.tried
                status = sweep_status(self.sweep, self.index, retry_failed=retry, dead=self.dead)
            pending = [run for run in status.missing if run.spec.identity not in self.tried]
            if self.options.max_runs is not None:
                pending = pending[: max(0, self.options.max_runs - len(self.tried))]
            if not pending:
                return
            plan = FleetPlan.of(pending, engine, together=self.options.fleets)
            if not self.options.force_memory:
                plan.check()
            self._plan_fleets(plan)
            self.on_event(SweepEvent(planned=[job for _, job in self.planned], status=status))
            plan.engine.train(self, self.handle)
            if self.refusal:
                raise RunFailedError(self.refusal)
            # Another process may have released some runs meanwhile.
            self.index.refresh()
            status = sweep_status(self.sweep, self.index, dead=self.dead)

    def _plan_fleets(self, plan: FleetPlan) -> None:
        for fleet in plan.fleets:
            members = [self.members[run.spec.identity] for run in fleet]
            self._plan(members, cost_of([run.config for run in fleet]))
            self.tried |= {run.spec.identity for run in fleet}
        if plan.message:
            self._say(plan.message)

    def _say(self, message: str) -> None:
        self.on_event(SweepEvent(message=message))

    def _plan(self, members: Iterable[Member], cost: float, attempt: int = 0) -> None:
        self._jobs += 1
        chosen = tuple(members)
        runs = tuple(RunSpec(member.name, member.identity, {}) for member in chosen)
        plugins = tuple(used_by({part for member in chosen for part in member.config.parts()}))
        job = Job(self._jobs, runs, self.out(), tuple(self.options.command), self.sweep.name, attempt, cost, plugins)
        self.planned.append((chosen, job))

    def waiting(self) -> int:
        return len(self.planned)

    def out(self) -> str:
        return str(Path(self.options.out).absolute())

    def take(self) -> Job | None:
        """The next job, without the runs that another process is training or has trained."""
        while self.planned:
            members, job = self.planned.popleft()
            claimed = self.claims.take([member.identity for member in members])
            self.claimed_elsewhere |= {member.identity for member in members} - claimed
            # A run that was released a moment ago may have ended, perhaps under another name.
            self.index.refresh(ended=False)
            chosen = [member for member in members if member.identity in claimed]
            retry = self.options.retry_failed and job.attempt == 0
            pending = pending_runs(chosen, self.index, retry_failed=retry, dead=self.dead)
            runs = self._with_free_folders([run.spec for run in pending])
            self.claims.release(claimed - {run.identity for run in runs})
            if runs:
                self.taken[job.number] = job = replace(job, runs=runs)
                return job
        return None

    def _with_free_folders(self, runs: Sequence[RunSpec]) -> tuple[RunSpec, ...]:
        """The runs whose folders are not used by another process, such as `rnnlab train --resume`."""
        claimed = self.claims.take([folder_key(run.name) for run in runs])
        free = tuple(run for run in runs if folder_key(run.name) in claimed)
        self.claimed_elsewhere |= {run.identity for run in runs} - {run.identity for run in free}
        return free

    def handle(self, event: Event) -> None:
        """Plan what an event leaves unfinished, and pass the event on."""
        job = self.taken[event.job]
        self.trained += event.kind == "run_ended" and event.status in ENDED
        if event.is_final:
            self._handle_end(job, event)
            self.claims.release(key for run in job.runs for key in keys_of(run))
        self.on_event(SweepEvent(event, job))

    def _handle_end(self, job: Job, event: Event) -> None:
        left = job.unfinished() if event.kind != "done" else ()
        self.dead |= {run.identity for run in left if event.kind == "died" or run.is_left_here(job.out)}
        if event.kind == "refused":
            self._refuse(event.text)
        elif event.kind == "died" and left:
            if job.attempt < RETRIES:
                self._retry(left, job.cost, job.attempt + 1)
            else:
                self._mark_failed(left, job, f"{event.text}; tried {job.attempt + 1} times")
        elif event.kind == "raised" and left and len(job.runs) > 1:
            # One of the runs caused it. Trained alone, only that one fails.
            for run in left:
                self._retry((run,), job.cost / len(job.runs), max(job.attempt, 1))
        elif event.kind == "raised":
            self.errors |= {run.identity: event.text for run in left}

    def _retry(self, runs: Iterable[RunSpec], cost: float, attempt: int) -> None:
        self._plan((self.members[run.identity] for run in runs), cost, attempt)

    def _mark_failed(self, runs: Iterable[RunSpec], job: Job, reason: str) -> None:
        for run in runs:
            try:
                mark_failed(run, job, reason)
            except RnnlabError as error:
                self._refuse(str(error))

    def _refuse(self, reason: str) -> None:
        self.refusal = self.refusal or reason
        self.planned.clear()


def _result(status: SweepStatus, driver: _Driver | None, options: SweepOptions) -> SweepResult:
    failures = [Failure.of(run.name, run.reason or "no reason is recorded", options.out) for run in status.failed]
    elsewhere, left = len(status.running), 0
    for _, spec in status.missing:
        if driver is not None and spec.identity in driver.errors:
            failures.append(Failure(spec.name, driver.errors[spec.identity], ""))
        elif driver is not None and spec.identity in driver.claimed_elsewhere:
            elsewhere += 1
        else:
            left += 1
    completed = sum(entry.status == "completed" for entry in status.done)
    return SweepResult(
        runs=status.runs,
        trained=driver.trained if driver else 0,
        completed=completed,
        diverged=len(status.done) - completed,
        elsewhere=elsewhere,
        left=left,
        dropped=status.dropped,
        failures=tuple(failures),
    )


def check_ready(configs: Iterable[Config]) -> None:
    """Raise what a run here would raise at its start: DataMissingError, DataFormatError, DeviceMissingError."""
    chosen = list(configs)
    for config in {config.task.model_dump_json(): config for config in chosen}.values():
        config.task.stream(config.seed, config.dtype)
    for device in sorted({config.device for config in chosen} - {"auto", "cpu"}):
        from rnnlab.training.device import choose_device

        choose_device(device)
