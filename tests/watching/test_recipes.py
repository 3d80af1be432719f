"""The recipes of docs/WATCH.md run as they stand, and what they show is so."""

from __future__ import annotations

import re
import warnings
from pathlib import Path
from typing import Any

import pytest

import rnnlab

ROOT = Path(__file__).parent.parent.parent
PAGE = (ROOT / "docs" / "WATCH.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```python\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)


def test_the_recipes_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("pytorch_lightning", reason="PyTorch Lightning is not installed (the extra `dev`)")
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {}
    with warnings.catch_warnings():
        # Lightning warns of data loaders without workers, and of what it imports.
        warnings.simplefilter("ignore")
        for block in BLOCKS:
            exec(block, names)
    assert "[0, 25, 50, 75]" in capsys.readouterr().out
    runs = {run.name: run for run in rnnlab.load_runs("runs")}
    assert set(runs) == {"mine", "windows", "packed", "cell", "lightning"}
    assert all(run.status == "completed" for run in runs.values())
    assert all(run.info["watch"]["not_verified"] == 0 for run in runs.values())
    assert runs["lightning"].metrics[["update", "loss"]].notna().all(axis=None)
    assert runs["lightning"].metrics["update"].tolist() == [0, 2, 4]


def test_the_example_on_real_digits(tmp_path: Path) -> None:
    pytest.importorskip("sklearn", reason="scikit-learn is not installed (the extra `data`)")
    from examples.watch_lstm import main

    run = main(updates=11, out=str(tmp_path / "run"))
    assert run.verdict(update=0).word == "vanishing"
    assert run.metrics["verified"].eq(1).all()
