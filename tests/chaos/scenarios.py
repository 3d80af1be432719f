"""The commands that are disturbed: what each needs, what it gives undisturbed, and how it goes on."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import yaml
from chaos.forks import Ended, Warm
from chaos.records import Record, records, remains
from chaos.shim import Plan

CONFIG: dict[str, Any] = {
    "task": {"name": "addition", "length": 10},
    "model": {"hidden": 4, "cell": "gru"},
    "train": {"updates": 5, "batch": 4, "evaluate_size": 8, "checkpoint_seconds": 0},
    "probe": {"schedule": {"name": "every", "n": 2}},
}
PROBED = {
    **CONFIG,
    "probe": {**CONFIG["probe"], "which": ["adjoint", "gates", "jacobian", "contributions", "directions"]},
}
SHORT = {**CONFIG, "train": {**CONFIG["train"], "updates": 3}}
FLEET = {"base": SHORT, "seeds": 3}
SWEEP = {"base": SHORT, "axes": {"grid": {"task.length": [10, 11]}}, "seeds": 2}
PAGE = "page.html"
_MINUTE = re.compile(rb", \d{4}-\d\d-\d\d \d\d:\d\d UTC(?=</p>)")


@dataclass(frozen=True)
class Scenario:
    """A command in a folder of its own.

    >>> [scenario.name for scenario in SCENARIOS.values() if scenario.command[0] == "train"]
    ['train', 'resume', 'replace', 'probes']
    """

    name: str
    command: tuple[str, ...]
    file: dict[str, Any]
    """What config.yaml holds."""
    folder: str = "runs"
    """What counts, and what vanishes."""
    many: bool = False
    """The operations of its processes come in no fixed order."""
    loses: frozenset[str] = frozenset({"vanish"})
    """The faults after which it may end well without all of its result."""

    def prepare(self, folder: Path, warm: Warm, start: Path | None = None) -> Path:
        """Make the folder that the command is called in; `start`: one that an earlier call gave."""
        work = folder / "work"
        if start:
            shutil.copytree(start, work)
        else:
            work.mkdir(parents=True)
            (work / "config.yaml").write_text(yaml.safe_dump(self.file))
            self._before(work, warm)
        (folder / "state").mkdir()
        return work

    def _before(self, work: Path, warm: Warm) -> None:
        if self.name == "resume":
            # Killed at its second checkpoint but one, with rows behind it.
            plan = Plan(str(work / "runs"), str(work), at=62, fault="kill")
            killed = warm.run(SCENARIOS["train"].command, work, plan)
            assert killed.how == "SIGKILL", killed
            for name in ("count", "struck"):
                (work / name).unlink()
        if self.name == "replace":
            ended = warm.run(_TRAIN, work)
            assert ended.code == 0, ended
        if self.name == "report":
            ended = warm.run(SCENARIOS["sweep"].command, work)
            assert ended.code == 0, ended
            (work / PAGE).write_text("the old page")

    def run(self, work: Path, warm: Warm, plan: Plan | None = None, **kick: Any) -> Ended:
        """The command, disturbed as the plan says."""
        return warm.run(self.command, work, plan, **kick)

    def plan(self, work: Path, at: int = -1, fault: str = "", *, record: bool = False) -> Plan:
        return Plan(str(work / self.folder), str(work.parent / "state"), at, fault, record)

    def go_on(self, work: Path, warm: Warm, plan: Plan | None = None) -> list[Ended]:
        """What a user does next, with `plan` for the first command; the last of the commands is to end well."""
        first = warm.run(self._next(work), work, plan)
        if first.code == 0 or "is completed; only" in first.err:
            return [replace(first, code=0)]
        if "delete it if nothing trains" in first.err:
            (work / "runs/.rnnlab/claims.sqlite").unlink()
            return [first, *self.go_on(work, warm, plan)]
        if self.command[0] == "sweep":
            return [first, warm.run([*self.command, "--retry-failed"], work)]
        if self.command[0] == "train":
            return [first, warm.run([*SCENARIOS["train"].command, "--force"], work)]
        return [first]

    def _next(self, work: Path) -> Sequence[str]:
        resumes = self.command[0] == "train" and (work / "runs/r/run.json").exists()
        return SCENARIOS["resume" if resumes else "train"].command if self.command[0] == "train" else self.command

    def result(self, work: Path) -> dict[str, Record]:
        """What is on disk, by name: the runs, or the page."""
        if self.name == "report":
            page = work / PAGE
            return {PAGE: Record("completed", {PAGE: without_minute(page.read_bytes())})} if page.exists() else {}
        return records(work / "runs")

    def more_laws(
        self, work: Path, fault: str, ended: Ended, undisturbed: Ended, expected: dict[str, Record]
    ) -> Iterator[str]:
        """What is wrong with how it ended, by laws of this scenario alone."""
        return iter(())

    def remains(self, work: Path) -> list[str]:
        """Drafts and half-made folders that were left."""
        return remains(work)


def without_minute(page: bytes) -> bytes:
    """A page without the minute that it says it was made in: another one where the suite takes longer.

    >>> without_minute(b'rnnlab 1.0, 2026-11-25 10:59 UTC</p>')
    b'rnnlab 1.0</p>'
    """
    return _MINUTE.sub(b"", page)


def _sweep(name: str, file: dict[str, Any], *options: str, many: bool = False) -> Scenario:
    return Scenario(name, ("sweep", "-c", "config.yaml", *options), file, many=many)


_TRAIN = ("train", "-c", "config.yaml", "--name", "r")
SCENARIOS = {
    scenario.name: scenario
    for scenario in (
        Scenario("train", _TRAIN, CONFIG),
        Scenario("resume", (*_TRAIN, "--resume"), CONFIG),
        Scenario("replace", (*_TRAIN, "--force"), CONFIG),
        Scenario("probes", _TRAIN, PROBED),
        _sweep("fleet", FLEET, "--engine", "inline"),
        _sweep("sweep", SWEEP, "--engine", "inline"),
        _sweep("local", SWEEP, "--engine", "local", "-j", "2", many=True),
        Scenario("report", ("report", "runs", "--html", PAGE), SWEEP, folder="."),
    )
}
