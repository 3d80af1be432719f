"""The only training loop: batch -> forward -> backward -> probes -> clip -> update -> write."""

from __future__ import annotations

import contextlib
import io
import math
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
import torch

from rnnlab.analysis import judge
from rnnlab.atomic import atomic
from rnnlab.config import Config, StopRule
from rnnlab.errors import RnnlabError
from rnnlab.fleet import Fleet, Taken
from rnnlab.interruptions import Interruptions
from rnnlab.measure import Curve, curves, l2_norm, saturation, spectrum
from rnnlab.plan import is_evaluated, is_logged, updates_of
from rnnlab.provenance import git_state, versions
from rnnlab.records import GradientLog, MetricsLog
from rnnlab.rundir import RunDir, default_name, now
from rnnlab.runs import Run
from rnnlab.tasks import sha256

Notify = Callable[[str], None]


@dataclass(frozen=True)
class Progress:
    """How far a training has come; `update` counts the updates made."""

    update: int
    updates: int
    loss: float
    error: float | None
    eval_loss: float | None
    eval_error: float | None
    grad_norm: float
    clip_rate: float | None
    updates_per_second: float
    seconds_left: float


Observe = Callable[[Progress], None]


def train(
    config: Config,
    *,
    out: str | PathLike[str] = "runs",
    force: bool = False,
    command: Sequence[str] | None = None,
    observe: Observe | None = None,
    notify: Notify | None = None,
) -> Run:
    """Train the network of a config, measure it, and write its run folder.

    Raises before anything is written: RunExistsError, RunFolderError, DeviceMissingError, DataMissingError,
    DataFormatError, UsageError. Once it runs, RunFailedError when it cannot go on (a full disk); rows so far are kept.
    """
    name = config.name or default_name(config.task.name, config.model.cell, config.task.timesteps, config.seed)
    if config.name:
        RunDir.check(out, name, force=force)
    fleet = Fleet(config, [config.seed])
    notify = notify or (lambda message: None)
    fleet.prepare(notify)
    info = _born(config, fleet, command)
    run = RunDir.create(out, name, info, force=force, numbered=not config.name)
    with Interruptions() as interruptions:
        training = _Training(fleet, run, observe or (lambda progress: None), interruptions)
        try:
            _write_config(config, run)
            with fleet.threads():
                status, reason = training.run()
                training.finish(status, reason)
        except BaseException as error:
            interruptions.hold()
            training.give_up(error)
            raise
        finally:
            training.close()
    return Run(run.path)


def _born(config: Config, fleet: Fleet, command: Sequence[str] | None) -> dict[str, Any]:
    """What run.json says from the start."""
    chance = config.task.chance()
    return {
        "versions": versions(),
        "git": git_state(),
        "device": str(fleet.device),
        "dtype": config.dtype,
        "scan": fleet.scan,
        "threads": torch.get_num_threads(),
        "seed": config.seed,
        "command": list(command) if command is not None else sys.argv,
        "parameters": fleet.network.count(),
        "chance": {"loss": chance.loss, "error": chance.error},
        "data": [{"path": str(path), "sha256": sha256(path)} for path in config.task.files()],
    }


def _write_config(config: Config, run: RunDir) -> None:
    with atomic(run.config) as file:
        file.write(config.to_yaml().encode())


class _Training:
    """One run from its first update to its last word."""

    def __init__(self, fleet: Fleet, run: RunDir, observe: Observe, interruptions: Interruptions) -> None:
        self.fleet, self.dir, self.observe, self.config = fleet, run, observe, fleet.config
        self.interruptions = interruptions
        self.updates = updates_of(self.config)
        self.probes = set(self.config.probe.which)
        self.stop = self.config.train.stop_rule
        self.size = fleet.sources[0].size
        self.done, self.clipped, self.skipped = 0, 0.0, 0
        self.latest: dict[str, float | None] = {}
        self.begun, self.shown = time.perf_counter(), 0.0
        self.gradients: GradientLog | None = None
        self.metrics: MetricsLog | None = None
        self.curve: Curve | None = None
        """The top layer's h, when it was last recorded and finite."""
        self.broken = False

    def run(self) -> tuple[str, str]:
        """All updates; the run's last status and why it ended."""
        self.gradients = GradientLog(self.dir.gradients)
        self.metrics = MetricsLog(self.dir.metrics)
        for update in range(self.updates):
            taken = self._update(update)
            if not taken.finite.all() and self.config.train.nonfinite == "stop":
                return "diverged", f"loss or gradient was not finite at update {update}"
            if self.stop and is_evaluated(self.config, update, self.updates) and self._is_met(self.stop):
                return "completed", f"stop rule met: {self.stop}"
            self.interruptions.let_in()
        if not math.isfinite(self.latest["eval_loss"] or 0.0):
            return "diverged", "the loss is not finite after the last update"
        return "completed", "all updates made"

    def _is_met(self, rule: StopRule) -> bool:
        loss, error = self.latest["eval_loss"], self.latest["eval_error"]
        return loss is not None and error is not None and rule.met(loss, error)

    def _update(self, update: int) -> Taken:
        due = self.config.probe.schedule.due(update, self.updates)
        weighed = due and "weights" in self.probes
        before = [parameter.detach().clone() for parameter in self.fleet.parameters] if weighed else []
        taken = self.fleet.take()
        # The first of a streak of non-finite updates is always shown; with `nonfinite: skip` the others are alike.
        shown = due or (not taken.finite.all() and not self.broken)
        self.broken = not taken.finite.all()
        # Measured before the weights move: these are the ones that the gradients went through.
        row = spectrum(self.fleet.network) if due and "spectrum" in self.probes else {}
        if due and "saturation" in self.probes:
            row["saturation"] = saturation(self.fleet.network, taken.found, taken.lengths)
        if shown and "adjoint" in self.probes:
            self._write_curves(update, taken)
        self.fleet.apply(taken)
        self.done = update + 1
        self.clipped += float(taken.clipped[0])
        self.skipped += self.broken
        if weighed:
            after = [parameter.detach() for parameter in self.fleet.parameters]
            row["weight_norm"] = l2_norm(after)
            row["update_norm"] = l2_norm([new - old for new, old in zip(after, before, strict=True)])
        if shown or is_logged(self.config, update, self.updates):
            self._write_metrics(update, taken, {name: float(value[0]) for name, value in row.items()})
        self._show(taken)
        return taken

    def _write_curves(self, update: int, taken: Taken) -> None:
        assert self.gradients is not None
        for curve in curves(self.fleet.network, taken.found, taken.lengths, self.config.probe.stride)[0]:
            self.gradients.write(update, curve.layer, curve.state, curve.t, curve.lag, **curve.columns)
            if curve.state == "h" and curve.layer == self.config.model.layers - 1:
                self.curve = curve if curve.is_finite or self.curve is None else self.curve

    def _write_metrics(self, update: int, taken: Taken, row: dict[str, float]) -> None:
        assert self.metrics is not None
        figures: dict[str, float | None] = {
            "update": update,
            "epoch": None if self.size is None else update * self.config.train.batch / self.size,
            "loss": float(taken.losses[0]),
            "error": float(self.fleet.errors(taken.found)[0]),
            "grad_norm": float(taken.grad_norms[0]),
            "grad_norm_clipped": float(taken.clipped_norms[0]),
            "clipped": float(taken.clipped[0]),
            "lr": float(self.fleet.optimizer.param_groups[0]["lr"]),
            "eval_loss": None,
            "eval_error": None,
        }
        if is_evaluated(self.config, update, self.updates):
            loss, error = self.fleet.evaluate("validation")
            figures |= {"eval_loss": float(loss[0]), "eval_error": float(error[0])}
        self.latest |= {name: value for name, value in figures.items() if value is not None}
        self.metrics.write(figures | row | {"seconds": time.perf_counter() - self.begun})

    def _show(self, taken: Taken) -> None:
        spent = time.perf_counter() - self.begun
        if spent - self.shown < 0.1 and self.done < self.updates:
            return
        self.shown, rate = spent, self.done / spent
        latest = self.latest.get
        self.observe(
            Progress(
                self.done,
                self.updates,
                float(taken.losses[0]),
                latest("error"),
                latest("eval_loss"),
                latest("eval_error"),
                float(taken.grad_norms[0]),
                self.clip_rate(),
                rate,
                (self.updates - self.done) / rate,
            )
        )

    def result(self) -> dict[str, Any]:
        """The figures that run.json closes with."""
        names = ("loss", "error", "eval_loss", "eval_error", "grad_norm", "grad_norm_clipped")
        latest = {name: self.latest.get(name) for name in names}
        return {**latest, "clip_rate": self.clip_rate(), "nonfinite_updates": self.skipped}

    def clip_rate(self) -> float | None:
        """Mean of `clipped` over all updates; None where nothing clips."""
        return self.clipped / self.done if self.done and self.config.clip.name != "none" else None

    def finish(self, status: str, reason: str) -> None:
        """Test, save the weights, and write the last word to run.json."""
        speed = self.done / (time.perf_counter() - self.begun)
        loss, error = self.fleet.evaluate("test")
        result = self.result() | {"test_loss": float(loss[0]), "test_error": float(error[0])}
        self._save()
        self.close()
        end = {"updates": self.done, "updates_per_second": speed, "result": result}
        if self.curve is not None:
            log10_norm, direct = (self.curve.with_marks(name) for name in ("log10_norm", "log10_direct"))
            end["verdict"] = judge(self.curve.lag, log10_norm, direct).as_dict()
        self.dir.finish(status, reason, **end)

    def give_up(self, error: BaseException) -> None:
        """Close a run that did not reach its end; what is written stays."""
        known = isinstance(error, (RnnlabError, OSError))
        failed = isinstance(error, Exception)
        reason = str(error) if known else f"{type(error).__name__}: {error}".rstrip(": ")
        if not failed:
            reason = "interrupted by Ctrl-C" if type(error) is KeyboardInterrupt else "ended by a signal"
        kept = "" if failed or not self._is_saved() else " and a checkpoint"
        # On a full disk neither can be written; the error that is already on its way says so.
        with contextlib.suppress(RnnlabError, OSError):
            self.dir.finish("failed" if failed else "interrupted", reason, updates=self.done, result=self.result())
        error.add_note(f"what {self.done} updates gave{kept} is kept in {self.dir.path}")

    def _is_saved(self) -> bool:
        try:
            self._save()
        except Exception:  # whatever it is, the run's last word is still to be written
            return False
        return True

    def _save(self) -> None:
        # torch's writer makes another error of one that a file raises, an interruption among them.
        memory = io.BytesIO()
        torch.save({"updates": self.done, "saved": now(), **self.fleet.state()}, memory)
        with atomic(self.dir.checkpoint) as file:
            file.write(memory.getbuffer())

    def close(self) -> None:
        for log in (self.gradients, self.metrics):
            if log is not None:
                log.close()


def parameters_of(run: Run | str | Path) -> dict[str, np.ndarray[Any, Any]]:
    """The weights that a run ended with, as arrays [in, gates*hidden] by name (layer0.W_hh, readout.W, ...)."""
    path = RunDir(run.path if isinstance(run, Run) else run).checkpoint
    state = torch.load(path, weights_only=True)
    return {name: tensor[0].numpy() for name, tensor in state["parameters"].items()}
