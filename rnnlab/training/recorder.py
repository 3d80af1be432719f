"""The recorder of one run: it writes the folder of the run while it trains."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch

from rnnlab.analysis.verdict import verdict_of
from rnnlab.atomic import atomic
from rnnlab.config import Config, StopRule
from rnnlab.config.facts import NO_IDENTITY, without
from rnnlab.errors import RnnlabError
from rnnlab.gradients.readings import Curve
from rnnlab.probes import TableRows
from rnnlab.progress import Progress, median_of
from rnnlab.provenance import this_process
from rnnlab.runs.columns import RESULTS, metrics_columns
from rnnlab.runs.folder import RunFolder
from rnnlab.runs.run_config import read_config
from rnnlab.runs.seals import Seal, fields_of, seal_of_file
from rnnlab.runs.writers import GradientLog, MetricsLog, TableLog
from rnnlab.training.checkpoints import State, forget_damaged, kept_files, write_checkpoint
from rnnlab.training.plan import is_evaluated


class Recorder:
    """Writes one run: opened by `begin` before its first update, or by `resume` from a checkpoint."""

    def __init__(self, config: Config, folder: RunFolder) -> None:
        self.config, self.dir = config, folder
        self.done, self.clipped, self.skipped = 0, 0.0, 0
        self.seconds = 0.0
        """Spent on it before this process."""
        self.latest: dict[str, float | None] = {}
        self.broken = False
        """Its last update was not finite."""
        self.row: dict[str, float | None] | None = None
        """The row of metrics.csv that is not written yet; an evaluation may be missing."""
        self.curve: tuple[Any, ...] | None = None
        """The top layer's h, when it was last recorded and finite, by own lag (see `Curve.by_own_lag`)."""
        self._config: Seal | None = None
        self._gradients: GradientLog | None = None
        self._metrics: MetricsLog | None = None
        self._tables: TableLog | None = None
        """Where a probe has a table."""

    @property
    def name(self) -> str:
        return self.dir.name

    def begin(self) -> None:
        """Write the config and open the logs."""
        self._write_config()
        self._open({})

    def resume(self, checkpoint: State) -> None:
        """Open the logs at the state of the checkpoint; rows that were written after it are written again."""
        self.done, record = checkpoint["updates"], checkpoint["record"]
        self.clipped, self.skipped, self.broken = record["clipped"], record["skipped"], record["broken"]
        self.latest, self.seconds = dict(record["latest"]), record["seconds"]
        self.row = record.get("row")
        self.curve = record["curve"] and tuple(array.numpy() for array in record["curve"])
        forget_damaged(self.dir, checkpoint)
        self.dir.clear_drafts()
        self._go_on()
        self._config = seal_of_file(self.dir.config)
        self._open(kept_files(checkpoint))

    def _go_on(self) -> None:
        """Say in run.json that it trains again; and in the config, where the run is made longer than it was to be."""
        info, identity = self.dir.read_run(), self.config.identity()
        longer: dict[str, Any] = {}
        if info.get("identity") not in (identity, None):
            longer = {"identity": identity, "continued": [*(info.get("continued") or []), self.done]}
        self.dir.update(status="running", reason="", ended=None, files=None, process=this_process(), **longer)
        # Also where a process ended between this and the line above.
        written = without(read_config(RunFolder(self.dir.path, trust=True)), NO_IDENTITY)
        if written != without(self.config.resolved(), NO_IDENTITY):
            self._write_config()

    def _write_config(self) -> None:
        text = self.config.to_yaml().encode()
        with atomic(self.dir.config) as file:
            file.write(text)
        self._config = Seal.of(text)

    def _open(self, kept: Mapping[str, Seal]) -> None:
        gradients, metrics = self.dir.gradients, self.dir.metrics
        self._gradients = GradientLog(gradients, kept.get(gradients.name))
        probes, tables = self.config.probe.probes(), self.dir.tables
        self._metrics = MetricsLog(
            metrics, metrics_columns(probes, penalty=self.config.penalised), kept.get(metrics.name)
        )
        if any(probe.table for probe in probes):
            self._tables = TableLog(tables, kept.get(tables.name))

    def write_curves(self, update: int, curves: Sequence[Curve]) -> None:
        """Write the rows of gradients.csv of one update."""
        assert self._gradients is not None
        for curve in curves:
            self._gradients.write(update, curve.layer, curve.state, curve.named)
            top = curve.state == "h" and curve.layer == self.config.model.layers - 1
            if top and (curve.is_finite or self.curve is None):
                self.curve = curve.by_own_lag()

    def write_tables(self, update: int, probe: str, tables: Sequence[TableRows]) -> None:
        """Write the rows of probes.csv that a probe has of one update."""
        assert self._tables is not None
        for rows in tables:
            self._tables.write(update, probe, rows.layer, rows.part, rows.at, rows.values)

    def count(self, clipped: float, finite: bool) -> None:
        """Count one more update."""
        self.done += 1
        self.clipped += clipped
        self.skipped += not finite
        self.broken = not finite

    def write_row(self, seconds: float) -> None:
        """Write the row that is held, if there is one, `seconds` after the run's start."""
        if self.row is not None:
            row, self.row = self.row, None
            self.write_metrics({**row, "seconds": seconds})

    def write_metrics(self, figures: Mapping[str, float | None]) -> None:
        """Write a row of metrics.csv."""
        assert self._metrics is not None
        self.latest |= {name: figures[name] for name in RESULTS if figures.get(name) is not None}
        self._metrics.write(figures)

    def clip_rate(self) -> float | None:
        """Mean of `clipped` over all updates; None where nothing clips."""
        return self.clipped / self.done if self.done and self.config.clip.counts is not None else None

    def ending(self, updates: int) -> tuple[str, str] | None:
        """The final status and the reason, if the run ends now; otherwise None."""
        train, latest = self.config.train, self.latest
        if self.broken and train.nonfinite == "stop":
            return "diverged", f"loss or gradient was not finite at update {self.done - 1}"
        evaluated = is_evaluated(self.config, self.done - 1, updates)
        if (rule := train.stop_rule) and evaluated and _met(rule, latest):
            return "completed", f"stop rule met: {rule}"
        if self.done < updates:
            return None
        if not math.isfinite(latest["eval_loss"] or 0.0):
            return "diverged", "the loss is not finite after the last update"
        return "completed", "all updates made"

    def finish(self, status: str, reason: str, state: State, seconds: float, tested: tuple[float, float]) -> None:
        """Save the weights, and write the final status to run.json, with the length and hash of each other file."""
        result = self._result() | dict(zip(("test_loss", "test_error"), map(float, tested), strict=True))
        files = self.save(state, seconds)
        self.close()
        end: dict[str, Any] = {"updates": self.done, "updates_per_second": self.done / seconds, "result": result}
        if self.curve is not None:
            end["verdict"] = verdict_of(*self.curve).as_dict()
        self.dir.finish(status, reason, **end, files=fields_of(files))
        # The run needs no checkpoint to fall back on any more.
        with contextlib.suppress(OSError):
            self.dir.previous_checkpoint.unlink(missing_ok=True)

    def give_up(self, status: str, reason: str) -> None:
        """Close a run that did not reach its end; rows that are written stay."""
        files = self._config_seal()
        with contextlib.suppress(RnnlabError):
            files |= self._sync()
        # On a full disk this cannot be written; the error that is already on its way says so.
        with contextlib.suppress(RnnlabError, OSError):
            self.dir.finish(status, reason, updates=self.done, result=self._result(), files=fields_of(files))
        self.close()

    def _result(self) -> dict[str, Any]:
        latest = {name: self.latest.get(name) for name in RESULTS}
        return {**latest, "clip_rate": self.clip_rate(), "nonfinite_updates": self.skipped}

    def save(self, state: State, seconds: float) -> dict[str, Seal]:
        """Write a checkpoint: the replica's state, and the record so far. The seals of all files but run.json.

        Raises RunFailedError.
        """
        files = self._sync()
        record = {"clipped": self.clipped, "skipped": self.skipped, "broken": self.broken, "latest": self.latest}
        curve = self.curve and [torch.from_numpy(np.array(array)) for array in self.curve]
        record |= {"seconds": seconds, "curve": curve, "row": self.row, "files": fields_of(files)}
        saved = write_checkpoint(self.dir, self.done, {"record": record, **state})
        return {**files, **self._config_seal(), self.dir.checkpoint.name: saved}

    def _sync(self) -> dict[str, Seal]:
        """Wait until the rows are on the disk, so that no checkpoint counts on rows that a power cut can take."""
        folder = self.dir
        logs = {folder.gradients: self._gradients, folder.metrics: self._metrics, folder.tables: self._tables}
        return {path.name: log.sync() for path, log in logs.items() if log is not None}

    def _config_seal(self) -> dict[str, Seal]:
        return {self.dir.config.name: self._config} if self._config is not None else {}

    def close(self) -> None:
        for log in (self._gradients, self._metrics, self._tables):
            if log is not None:
                log.close()


def progress_of(
    runs: Sequence[Recorder],
    updates: tuple[int, int],
    losses: Sequence[float],
    grad_norms: Sequence[float],
    rate: float,
) -> Progress:
    """The progress of a fleet: updates made and to make, the last ones' losses and gradient norms, updates a second."""
    done, total = updates
    latest = {name: median_of(run.latest.get(name) for run in runs) for name in ("error", "eval_loss", "eval_error")}
    return Progress(
        done,
        total,
        losses=tuple(losses),
        **latest,
        grad_norm=median_of(grad_norms),
        clip_rate=median_of(run.clip_rate() for run in runs),
        rate=rate,
        seconds_left=(total - done) / rate,
    )


def _met(rule: StopRule, latest: Mapping[str, float | None]) -> bool:
    loss, error = latest.get("eval_loss"), latest.get("eval_error")
    return loss is not None and error is not None and rule.met(loss, error)
