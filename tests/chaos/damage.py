"""Folders of runs with one file damaged: no command fails because of it, and none reads anything wrong as right.

What `report --json` and `show --json` say of every run is what they said before, or the run is named: in `left_out`,
by `verify`, or by an error. The exceptions are in NOT_NOTICED.
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from chaos.calls import called
from chaos.spoiled_runs import UNFINISHED, make_runs
from chaos.spoiling import CONTENTS, REPLACEMENTS, Rng, blanks, with_another_value

from rnnlab.runs.folder import RunFolder

FILES = ("config.yaml", "run.json", "metrics.csv", "gradients.csv", "checkpoint.pt", "checkpoint.previous.pt")
HIDDEN = "hidden"
"""Stands for the files under .rnnlab/, which are no run's."""

NOT_NOTICED: Mapping[str, str] = {
    "the rows of a killed run": (
        "nothing was sealed when its process was killed: rows that its last checkpoint does not count are read as they"
        " are until the run goes on, which cuts them off"
    ),
    "the labels of a killed run": (
        "its config.yaml is held to the identity in run.json, which leaves out device, name, notes and"
        " train.checkpoint_seconds"
    ),
    "another run's run.json": (
        "both folders then say that they are the same run, of which a report uses the later one and says so in a note;"
        " the damaged one is named as well"
    ),
    "a run.json with a checksum made anew": "whoever changes a value and its checksum has written a run.json",
}


@dataclass(frozen=True)
class Damage:
    """What is done to which file; a run's, or one under .rnnlab/."""

    run: str
    file: Path
    kind: str
    seed: int

    def __str__(self) -> str:
        return f"{self.kind} of {self.file} (seed {self.seed})"

    @property
    def exception(self) -> str | None:
        """Why it need not be noticed: a key of NOT_NOTICED."""
        if self.kind == "with_another_value":
            return "a run.json with a checksum made anew"
        if self.kind == "of_another_run" and self.file.name == "run.json":
            return "another run's run.json"
        if self.run == "killed" and self.file.suffix == ".csv":
            return "the rows of a killed run"
        if self.run == "killed" and self.file.name == "config.yaml":
            return "the labels of a killed run"
        return None


class Folder:
    """The runs to damage, and what the commands say of them undamaged."""

    def __init__(self, base: Path) -> None:
        self.base, self.root = base, base / "runs"
        make_runs(self.root)
        self.runs = sorted(path.name for path in self.root.iterdir() if not path.name.startswith("."))
        self._commands()
        self.before = self._commands()

    def _commands(self) -> Mapping[str, Any]:
        report = json.loads(called("report", "--json", str(self.root)).out)
        shown = {name: json.loads(called("show", "--json", str(self.root / name)).out) for name in self.runs}
        assert not report["left_out"]
        assert called("verify", str(self.root)).code == 0
        return {"report": by_run(report), "show": shown, "status": self.status(), "rows": self.rows()}

    def status(self) -> str:
        """What the sweep says that has trained two of the runs."""
        return called("sweep", "-c", str(self.base / "s.yaml"), "--out", str(self.root), "--dry-run").out

    def rows(self) -> Sequence[Any]:
        """What `ls` says."""
        return [json.loads(line) for line in called("ls", "--json", str(self.root)).out.splitlines()]

    def files(self) -> list[tuple[str, Path]]:
        """Each file with the run that it is of."""
        of_runs = [(run, self.root / run / name) for run in self.runs for name in FILES]
        hidden = [(HIDDEN, path) for path in (self.root / ".rnnlab").rglob("*") if path.is_file()]
        return [pair for pair in of_runs if pair[1].exists()] + sorted(hidden)

    def damaged(self, damage: Damage, rng: Rng) -> None:
        """Damage a file; the one that was there is kept beside the runs."""
        path, kept = damage.file, self.base / "kept"
        path.rename(kept)
        data = kept.read_bytes()
        if damage.kind in (spoils := {spoil.__name__: spoil for spoil in CONTENTS}):
            path.write_bytes(spoils[damage.kind](data, rng))
        elif damage.kind == "of_another_run":
            others = [other for run, other in self.files() if other.name == path.name and run != damage.run]
            shutil.copy(others[rng.integers(len(others))] if others else self.base / "s.yaml", path)
        else:
            replace = {one.__name__: one for one in (*REPLACEMENTS, blanks, with_another_value)}[damage.kind]
            replace(path, data, rng)

    def restored(self, damage: Damage) -> None:
        """Put the file back."""
        for path in (damage.file, damage.file.with_name(f"{damage.file.name}.other")):
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink(missing_ok=True)
        (self.base / "kept").rename(damage.file)


def run(count: int, seed: int = 0) -> list[tuple[str, str]]:
    """Damage `count` files, one after the other, and ask every command. Raises AssertionError with the damage."""
    counts: Counter[str] = Counter()
    with tempfile.TemporaryDirectory() as base, pytest.MonkeyPatch.context() as patch:
        # Whatever is kept of many and large files is kept of these as well.
        patch.setattr("rnnlab.runs.cache._SMALLEST_CSV", 0)
        patch.setattr("rnnlab.compare.collection._CACHE_FROM", 0)
        patch.chdir(base)
        folder = Folder(Path(base))
        for number in range(count):
            rng = np.random.default_rng((seed, number))
            damage = drawn(folder, rng, number)
            counts["damaged files"] += 1
            for word in _tried(folder, damage, rng):
                counts[word] += 1
    return [(word, f"{counts[word]:,}") for word in counts]


def drawn(folder: Folder, rng: Rng, number: int) -> Damage:
    """Some damage of some file."""
    files = folder.files()
    run, path = files[rng.integers(len(files))]
    kinds = [spoil.__name__ for spoil in CONTENTS] * 3 + [one.__name__ for one in REPLACEMENTS] * 2
    kinds += ["of_another_run"] * 3 + (["with_another_value"] * 20 if path.name == "run.json" else [])
    kind = "blanks" if rng.random() < 0.002 else kinds[rng.integers(len(kinds))]
    return Damage(run, path, kind, number)


def _tried(folder: Folder, damage: Damage, rng: Rng) -> Iterator[str]:
    if damage.run in UNFINISHED and rng.random() < 0.3:
        yield _resumed(folder, damage, rng)
        return
    folder.damaged(damage, rng)
    try:
        yield _judged(folder, damage)
        _others(folder, damage, rng)
    except Exception as error:
        raise AssertionError(f"{damage}: {error}") from error
    finally:
        folder.restored(damage)


def _judged(folder: Folder, damage: Damage) -> str:
    """How it was noticed. Raises AssertionError where something wrong is read as right."""
    before, report = folder.before, json.loads(called("report", "--json", str(folder.root)).out)
    assert set(report["left_out"]) <= {damage.run}, report["left_out"]
    told = by_run(report)
    for name in folder.runs:
        if name in report["left_out"] or name == damage.run:
            continue
        if name not in told and damage.exception == "another run's run.json":
            assert any("as another, and not counted" in note for note in report["notes"]), report["notes"]
        else:
            assert told.get(name) == before["report"][name], (told.get(name), before["report"][name])
    if damage.run == HIDDEN:
        assert folder.rows() == before["rows"]
        assert folder.status() == before["status"]
        return "without effect: read again from the runs"
    shown = called("show", "--json", str(folder.root / damage.run))
    verified = called("verify", "--json", str(folder.root / damage.run)).out
    named = bool(report["left_out"]) or shown.code != 0
    if named or not verified or not json.loads(verified)["whole"]:
        return "noticed when it is read" if named else "noticed by verify"
    facts = json.loads(shown.out)
    if (told.get(damage.run), facts) == (before["report"][damage.run], before["show"][damage.run]):
        return "without effect: the figures are the same"
    assert damage.exception in NOT_NOTICED, (told.get(damage.run), facts)
    return f"not noticed: {damage.exception}"


def _others(folder: Folder, damage: Damage, rng: Rng) -> None:
    """The other commands: each ends, and none as a bug."""
    root, path = str(folder.root), str(folder.root / damage.run)
    chance = rng.random()
    if chance < 0.2:
        called("ls", root)
        folder.status()
    elif chance < 0.4:
        called("report", root)
        called("show", path)
    elif chance < 0.45:
        called("report", root, "-q", "--html", str(folder.base / "page.html"))
    elif chance < 0.455:
        called("report", root, "-q", "--figures", str(folder.base / "figures"), "--format", "svg")


def _resumed(folder: Folder, damage: Damage, rng: Rng) -> str:
    """The damaged run goes on to the end that it has undisturbed, or it is refused."""
    path, kept = folder.root / damage.run, folder.base / "whole"
    shutil.copytree(path, kept)
    folder.damaged(damage, rng)
    try:
        config = str(folder.base / f"{damage.run}.yaml")
        result = called("train", "-c", config, "--out", str(folder.root), "--resume", "-q")
        if result.code:
            assert result.err.startswith("rnnlab: "), result.err
            return "refused by --resume"
        if damage.exception == "a run.json with a checksum made anew":
            return f"not noticed: {damage.exception}"
        assert end_of(path) == end_of(folder.base / "undisturbed" / damage.run), "another end"
        return "resumed, with the undisturbed end"
    except Exception as error:
        raise AssertionError(f"--resume after {damage}: {error}") from error
    finally:
        os.unlink(folder.base / "kept")
        shutil.rmtree(path)
        kept.rename(path)


def end_of(path: Path) -> tuple[Any, ...]:
    """What a run ended with, but for the times."""
    folder = RunFolder(path)
    info = folder.read_run()
    metrics = [line.rpartition(b",")[0] for line in folder.metrics.read_bytes().splitlines()]
    return info["status"], info["updates"], info["result"], folder.gradients.read_bytes(), metrics


def by_run(report: Mapping[str, Any]) -> dict[str, Any]:
    """The figures of each run."""
    return {run["name"]: run for group in report["groups"] for run in group["runs_by_name"]}
