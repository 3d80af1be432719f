"""The only training loop: batch -> forward -> backward -> probes -> clip -> update -> write."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np

from rnnlab.config import Config
from rnnlab.errors import RunFailedError
from rnnlab.gradients.view import UpdateView
from rnnlab.interruptions import Interruptions
from rnnlab.names import check_out
from rnnlab.probes import Figures, Measured
from rnnlab.progress import Progress
from rnnlab.runs.folder import RunFolder
from rnnlab.runs.run import Run
from rnnlab.training.checkpoints import as_many_threads, scan_to_resume, state_to_resume
from rnnlab.training.device import float32_products
from rnnlab.training.fleet import BatchGradients, Fleet
from rnnlab.training.plan import is_evaluated, is_logged, updates_of
from rnnlab.training.recorder import Recorder, progress_of
from rnnlab.training.room import check_memory
from rnnlab.training.start import Start, check_resumable, claimed, fleet_info, name_of, reason_of, replica_info, resumed

MessageCallback = Callable[[str], None]

_PATIENCE = 50
"""Checkpoints take at most one part in so many of a training's time."""


ProgressCallback = Callable[[Progress], None]


@dataclass(frozen=True)
class Callbacks:
    """The functions that a training calls: with its progress, with each run that ends, and with messages.

    >>> callbacks = Callbacks(on_message=print)
    >>> callbacks.on_message("compiled the lstm scan in 3.1 s")
    compiled the lstm scan in 3.1 s
    """

    on_progress: ProgressCallback = lambda progress: None
    on_run_end: Callable[[str, str, str], None] = lambda name, status, reason: None
    on_message: MessageCallback = lambda message: None


def train(
    config: Config,
    *,
    out: str | PathLike[str] = "runs",
    force: bool = False,
    resume: bool = False,
    command: Sequence[str] | None = None,
    force_memory: bool = False,
    observe: ProgressCallback = lambda progress: None,
    notify: MessageCallback = lambda message: None,
) -> Run:
    """Train the network of a config, measure it, and write its run folder.

    With `resume` the unfinished run of that name continues from its last checkpoint, with the same result, bit for bit.
    A run without a checkpoint begins again in its folder, and `notify` gets a message.

    Raises before anything is written: RunExistsError, RunFolderError, DeviceMissingError, DataMissingError,
    DataFormatError, UsageError; and, unless `force_memory`, NotEnoughMemoryError where the machine has too little.
    Later, RunFailedError when the run cannot continue, for example because the disk is full; rows so far are kept.
    """
    check_out(out)
    name = name_of(config)
    start = Start(config, name, force, resume=resume, numbered=not (config.name or resume))
    if resume:
        check_resumable(RunFolder(Path(out) / name), config)
    elif config.name:
        RunFolder.check(out, name, force=force)
    if not force_memory:
        check_memory(config)
    callbacks = Callbacks(on_progress=observe, on_message=notify)
    # A missing device or data file is reported before the claim makes a file; the folder is checked again after it.
    fleet, sweep = None if resume else Fleet([config]), None
    with claimed(start, out, notify):
        if resume:
            start = resumed(start, out, notify)
            sweep = RunFolder(Path(out) / name).read_run().get("sweep")
        (folder,) = train_fleet([start], out=out, command=command, sweep=sweep, callbacks=callbacks, fleet=fleet)
        return Run(folder.path)


def train_fleet(
    starts: Sequence[Start],
    *,
    out: str | PathLike[str],
    command: Sequence[str] | None = None,
    sweep: str | None = None,
    callbacks: Callbacks = Callbacks(),
    fleet: Fleet | None = None,
) -> list[RunFolder]:
    """Train runs of one shape together, each to its own end, and write a folder for each.

    A run is resumed with the number of threads that it began with, which decides how its sums are rounded.

    `fleet` is that of these runs, if it exists already. The caller claims the folders. Runs that continue from
    checkpoints must all have made the same number of updates. Raises as `train` does; runs that have not ended then are
    kept as `interrupted` (`failed`, where there is only one and it is its own fault).
    """
    folders = [RunFolder(Path(out) / start.name) for start in starts]
    states = [state_to_resume(run, callbacks.on_message) for run in folders] if starts[0].resume else None
    scan = scan_to_resume(folders[0], starts[0].config) if states else None
    fleet = fleet or Fleet([start.config for start in starts], states, scan)
    fleet.prepare(callbacks.on_message)
    shared = fleet_info(fleet, command, sweep)
    with Interruptions(callbacks.on_message) as interruptions:
        runs: list[Recorder] = []
        training = _Training(fleet, runs, callbacks, interruptions)
        try:
            for r, start in enumerate(starts):
                folder = folders[r] if states else start.folder(out, {**shared, **replica_info(fleet, r)})
                runs.append(Recorder(start.config, folder))
                runs[r].resume(states[r]) if states else runs[r].begin()
            folders = [run.dir for run in runs]
            products = float32_products(tf32=starts[0].config.train.tf32)
            with as_many_threads(folders[0] if states else None), fleet.threads(), products:
                training.run(runs, first_checkpoint=not states)
        except BaseException as error:
            interruptions.block()
            training.give_up(error)
            raise
    return folders


@dataclass
class _Clock:
    """Time that this process has spent on a training, and when to save and to show."""

    begun: float = field(default_factory=time.perf_counter)
    saved: float = 0.0
    shown: float = 0.0
    interval: float = 0.0

    def elapsed(self) -> float:
        """Seconds in this process."""
        return time.perf_counter() - self.begun


class _Training:
    """The training of a fleet, from its first update to the final status of each of its runs."""

    def __init__(self, fleet: Fleet, runs: list[Recorder], callbacks: Callbacks, interruptions: Interruptions) -> None:
        self.fleet, self.runs, self.callbacks, self.interruptions = fleet, runs, callbacks, interruptions
        self.config = fleet.configs[0]
        self.updates = updates_of(self.config)
        self.probes = self.config.probe.probes()
        self.size = fleet.sources[0].size
        self.save_every = min(config.train.checkpoint_seconds for config in fleet.configs)
        self.clock = _Clock()
        self.between = True
        """Between two updates: weights, streams and counts belong together."""

    def run(self, runs: list[Recorder], *, first_checkpoint: bool) -> None:
        """Make all updates that are left, of all runs; with `first_checkpoint` each can be resumed from the first."""
        self.runs, first = list(runs), runs[0].done
        self.clock = _Clock(interval=self.save_every)
        if first_checkpoint:
            self._save()
            self.clock.saved = self.clock.elapsed()
        if first:  # its process may have ended between the last checkpoint and the final status
            if any(run.row for run in runs):  # or it was interrupted in an evaluation
                self._write_rows(evaluated=True)
            self._finish_ended_runs()
        for update in range(first, self.updates if self.runs else first):
            self._update(update, first)
            self._finish_ended_runs()
            if not self.runs:
                return
            self._save_if_due()
            self.interruptions.deliver()

    def _update(self, update: int, first: int) -> None:
        self.between = False
        due = self.config.probe.schedule.due(update, self.updates)
        batch = self.fleet.compute_gradients()
        # The first of a streak of non-finite updates is always shown; with `nonfinite: skip` the others are alike.
        shown = [due or (not fine and not run.broken) for run, fine in zip(self.runs, batch.finite, strict=True)]
        # Measured before the weights move: these are the ones that the gradients went through.
        measured = self._measure(update, batch, due, shown) if any(shown) else []
        self.fleet.apply_gradients(batch)
        figures = {name: values for part in measured for name, values in (part() if callable(part) else part).items()}
        for run, clipped, finite in zip(self.runs, batch.clipped, batch.finite, strict=True):
            run.count(float(clipped), bool(finite))
        if any(shown) or is_logged(self.config, update, self.updates):
            self._write_metrics(update, batch, figures, shown)
        self.between = True
        self._show(batch, update + 1, update + 1 - first)

    def _measure(
        self, update: int, batch: BatchGradients, due: bool, shown: Sequence[bool]
    ) -> list[Figures | Callable[[], Figures]]:
        """Write the probes' rows of gradients.csv and probes.csv; what they have for metrics.csv."""
        stride, objective = self.config.probe.stride, self.fleet.objective
        view = UpdateView(update, self.fleet.network, batch.result, batch.sequences, objective, stride)
        probes = [probe for probe in self.probes if due or probe.also_nonfinite]
        for rows in filter(None, [probe.rows(view) for probe in probes]):
            for run, own_rows, is_shown in zip(self.runs, rows, shown, strict=True):
                if is_shown:
                    run.write_curves(update, own_rows)
        measured = [probe.measure(view) for probe in probes]
        for probe, part in zip(probes, measured, strict=True):
            for r, tables in enumerate(getattr(part, "tables", ())):
                self.runs[r].write_tables(update, probe.name, tables if shown[r] else ())
        return [part.figures if isinstance(part, Measured) else part for part in measured]

    def _write_metrics(self, update: int, batch: BatchGradients, measured: Figures, shown: Sequence[bool]) -> None:
        logged = is_logged(self.config, update, self.updates)
        figures: dict[str, Any] = {
            "loss": batch.losses,
            "error": self.fleet.errors(batch.result),
            "grad_norm": batch.grad_norms,
            "grad_norm_clipped": batch.clipped_norms,
            "clipped": batch.clipped,
        }
        epoch = None if self.size is None else update * self.config.train.batch / self.size
        for r, run in enumerate(self.runs):
            if logged or shown[r]:
                own = {name: float(values[r]) for name, values in {**figures, **batch.penalty, **measured}.items()}
                run.row = {"update": update, "epoch": epoch, "lr": run.config.optimizer.lr, **own}
        self._write_rows(evaluated=is_evaluated(self.config, update, self.updates))

    def _write_rows(self, evaluated: bool) -> None:
        """Write the rows of metrics.csv that the runs hold; a checkpoint keeps them if the evaluation is cut short."""
        if evaluated:
            self.between = True  # the weights have moved, and only the rows are missing
            losses, errors = self.fleet.evaluate("validation", self.interruptions.deliver)
            self.between = False
            for run, loss, error in zip(self.runs, losses, errors, strict=True):
                run.row = run.row and run.row | {"eval_loss": float(loss), "eval_error": float(error)}
        elapsed = self.clock.elapsed()
        for run in self.runs:
            run.write_row(run.seconds + elapsed)
        self.between = True

    def _show(self, batch: BatchGradients, done: int, done_here: int) -> None:
        spent = self.clock.elapsed()
        if spent - self.clock.shown < 0.1 and done < self.updates:
            return
        self.clock.shown, rate = spent, done_here / spent
        losses, grad_norms = batch.losses.tolist(), batch.grad_norms.tolist()
        self.callbacks.on_progress(progress_of(self.runs, (done, self.updates), losses, grad_norms, rate))

    def _finish_ended_runs(self) -> None:
        """Write the final status of the runs that end now; the others continue as a smaller fleet."""
        endings = {r: end for r, run in enumerate(self.runs) if (end := run.ending(self.updates))}
        if not endings:
            return
        leaving = self.fleet.pick(list(endings)) if len(endings) < len(self.runs) else self.fleet
        tested = np.transpose(leaving.evaluate("test", self.interruptions.deliver))
        elapsed = self.clock.elapsed()
        for k, (r, (status, reason)) in enumerate(endings.items()):
            run = self.runs[r]
            run.finish(status, reason, leaving.state(k), run.seconds + elapsed, tuple(tested[k]))
            self.callbacks.on_run_end(run.name, status, reason)
        stay = [r for r in range(len(self.runs)) if r not in endings]
        self.runs = [self.runs[r] for r in stay]
        self.fleet = self.fleet.pick(stay) if stay else self.fleet

    def _save_if_due(self) -> None:
        spent = self.clock.elapsed()
        if spent - self.clock.saved < self.clock.interval:
            return
        # A disk without room for it may have some again for the next one; rows that do not fit end the run.
        with contextlib.suppress(RunFailedError):
            self._save()
        self.clock.saved = self.clock.elapsed()
        self.clock.interval = self.save_every and max(self.save_every, _PATIENCE * (self.clock.saved - spent))

    def _save(self) -> None:
        elapsed = self.clock.elapsed()
        for r, run in enumerate(self.runs):
            run.save(self.fleet.state(r), run.seconds + elapsed)

    def give_up(self, error: BaseException) -> None:
        """Close the runs that did not reach their end, with a checkpoint if they can continue from it."""
        interrupted, kept = not isinstance(error, Exception), ""
        # A second signal comes in the middle of an update: half of it is no state to continue from.
        if interrupted and self.between and self.runs:
            with contextlib.suppress(Exception):  # whatever it is, the final status is still to be written
                self._save()
                kept = " and a checkpoint"
        failed = not interrupted and self.fleet.network.replicas == 1
        for run in self.runs:
            run.give_up("failed" if failed else "interrupted", reason_of(error))
        if self.runs:
            count, first = len(self.runs), self.runs[0]
            where = first.dir.path if count == 1 else f"{count} folders in {first.dir.path.parent}"
            error.add_note(f"what {first.done} updates gave{kept} is kept in {where}")
