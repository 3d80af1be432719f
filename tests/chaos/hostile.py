"""What strangers give: runs, configs, checkpoints and data files. Nothing of them runs, and nothing is injected."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from chaos import lying_files
from chaos.calls import called
from chaos.markup import formulas, latex_commands, markdown_markup, of_figure, of_page
from chaos.strangers import CANARY, Rng, bare_pickle, hostile_checkpoint, shows_plainly, text, write_runs

from rnnlab.errors import RunFolderError
from rnnlab.runs.folder import RunFolder
from rnnlab.runs.run_config import read_config

MOST = 4 << 20
"""Bytes that are read at most, as if the machine had 16 MiB."""
OUTPUTS = ("table.csv", "table.md", "table.tex", "page.html")


@dataclass(frozen=True)
class Made:
    """What the reports of runs are made of, apart from their texts."""

    pieces: Counter[Any]
    scripts: Any
    figures: Mapping[str, Any]
    latex: set[str]
    markdown: set[str]

    @classmethod
    def of(cls, folder: Path, *, figures: bool) -> Made:
        """Make the reports of the runs in this folder."""
        csv, markdown, latex, page = (str(folder / name) for name in OUTPUTS)
        options = ["--csv", csv, "--markdown", markdown, "--latex", latex, "--html", page, "--by", "model.cell"]
        options += ["--figures", str(folder / "figures"), "--format", "svg"] if figures else []
        result = called("report", str(folder / "runs"), *options)
        assert result.code == 0, result
        assert shows_plainly(result.out + result.err), result
        pieces, scripts, _ = of_page(Path(page).read_text())
        drawn = {path.name: of_figure(path.read_bytes()) for path in (folder / "figures").glob("*.svg")}
        texts = latex_commands(Path(latex).read_text()), markdown_markup(Path(markdown).read_text())
        return cls(Counter(pieces), scripts, drawn, *texts)


def run(count: int, seed: int = 0) -> list[tuple[str, str]]:
    """So many attacks. Raises AssertionError with the first that succeeds, and its seed."""
    counts: Counter[str] = Counter()
    with tempfile.TemporaryDirectory() as base, pytest.MonkeyPatch.context() as patch:
        patch.setattr("rnnlab.regular._NEVER_TOO_LARGE", MOST)
        patch.setattr("rnnlab.regular.most_in_memory", lambda: MOST)
        patch.setenv("COLUMNS", "100")
        for number in range(count):
            rng = np.random.default_rng((seed, number))
            with tempfile.TemporaryDirectory(dir=base) as folder:
                patch.chdir(folder)
                try:
                    counts[ATTACKS[number % len(ATTACKS)](Path(folder), rng)] += 1
                    assert not list(Path(base).rglob(CANARY)), "it was run"
                except Exception as error:
                    raise AssertionError(f"attack {number} of seed {seed}: {error}") from error
        patch.chdir("/")
        assert not list(Path(base).iterdir()), "something was written outside"
    return [(word, f"{counts[word]:,}") for word in sorted(counts)]


def _runs_of_a_stranger(folder: Path, rng: Rng) -> str:
    seed = int(rng.integers(1 << 62))
    twin = folder / "twin"
    write_runs(folder / "runs", np.random.default_rng(seed), hostile=True)
    write_runs(twin / "runs", np.random.default_rng(seed), hostile=False)
    for command in (["ls"], ["report"], ["show", str(next(Path("runs").iterdir()))], ["verify"], ["ls", "--json"]):
        result = called(*command)
        assert shows_plainly(result.out + result.err), (command, result)
    figures = bool(rng.random() < 0.1)
    made, harmless = Made.of(folder, figures=figures), Made.of(twin, figures=figures)
    allowed = {"runs", "twin", *OUTPUTS, *(["figures"] if figures else [])}
    assert {path.name for path in folder.iterdir()} == allowed, "something was written beside the reports"
    assert made.pieces == harmless.pieces, (made.pieces - harmless.pieces, harmless.pieces - made.pieces)
    assert made.scripts == harmless.scripts
    for name, (elements, attributes) in made.figures.items():
        assert elements <= harmless.figures[name][0], (name, elements)
        assert attributes <= harmless.figures[name][1], (name, attributes)
    for path in [folder / "table.csv", *(folder / "figures").glob("*.csv")]:
        assert not list(formulas(path.read_text())), list(formulas(path.read_text()))
    assert made.latex <= harmless.latex, made.latex - harmless.latex
    assert made.markdown <= harmless.markdown, (folder / "table.md").read_text()
    for path in (folder / name for name in OUTPUTS[:3]):
        assert shows_plainly(path.read_bytes().decode()), ascii(path.read_text())
    return "folders of a stranger's runs, in every report"


def _checkpoint(folder: Path, rng: Rng) -> str:
    write_runs(folder / "runs", rng, hostile=False)
    path = sorted((folder / "runs").glob("harmless*"))[0]
    config = folder / "c.yaml"
    config.write_text(f"task: addition\nname: {path.name}\n")
    (hostile_checkpoint if rng.random() < 0.7 else bare_pickle)(path / "checkpoint.pt", folder / CANARY)
    from rnnlab.config import load_config

    (path / "config.yaml").write_text(load_config(config).to_yaml())
    identity = load_config(config).identity()
    RunFolder(path).update(status="interrupted", files=None, identity=identity)
    result = called("train", "-c", str(config), "--resume")
    assert result.code != 0, result
    assert "checkpoint.pt" in result.err, result
    assert shows_plainly(result.out + result.err), result
    called("verify", str(path))
    called("rerun", str(path), "--help")
    return "checkpoints with code"


def _config(folder: Path, rng: Rng) -> str:
    """A config, a sweep file and a run's config.yaml: with tags and anchors that grow, or with hostile texts."""
    kinds = ("bomb", "tags", "texts", "nested")
    kind = kinds[int(rng.integers(len(kinds)))]
    if kind == "bomb":
        width, levels = int(rng.integers(2, 12)), int(rng.integers(5, 40))
        lines = ["a0: &a0 [x, x]"]
        lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * width)}]" for n in range(1, levels)]
        content = "\n".join([*lines, f"task: *a{levels - 1}"])
    elif kind == "tags":
        tags = ("!!python/object/apply:os.system", "!!python/name:os.system", "!!python/object/new:pathlib.Path",
                "!!python/module:os", "!!timestamp", "!!binary", "!!set", "!<tag:x>", "!x")  # fmt: skip
        content = f"task: addition\nnotes: {tags[int(rng.integers(len(tags)))]} [touch {CANARY}]\n"
    elif kind == "nested":
        depth = int(rng.choice([60, 5000, 100_000]))
        content = f"task: {'[{a: '[int(rng.integers(2)) :] * depth}"
    else:
        keys = ("task", "name", "notes", "device", text(rng), "model", "train", "clip", "base", "axes")
        values: list[Any] = [text(rng), [text(rng)], {"name": text(rng), text(rng): text(rng)}]
        chosen = {keys[int(rng.integers(len(keys)))]: values[int(rng.integers(3))] for _ in range(4)}
        content = yaml.safe_dump({"task": "addition", **chosen}, allow_unicode=True)
    (folder / "c.yaml").write_text(content)
    for command in (["validate", "c.yaml"], ["train", "-c", "c.yaml", "--dry-run"], ["sweep", "-c", "c.yaml", "-n"]):
        result = called(*command)
        assert shows_plainly(result.out + result.err), (content, result)
        assert len(result.out + result.err) < 20_000
    (folder / "runs" / "one").mkdir(parents=True)
    os.rename("c.yaml", "runs/one/config.yaml")
    with contextlib.suppress(RunFolderError):
        read_config(RunFolder("runs/one"))
    return "configs with bombs, tags and hostile texts"


ATTACKS: Sequence[Callable[[Path, Rng], str]] = (_runs_of_a_stranger, _checkpoint, _config, lying_files.attack)
