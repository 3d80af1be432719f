"""Every script in benchmarks/ runs with --quick, and writes nothing that it was not told to; no timing is judged."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
BENCHMARKS = ROOT / "benchmarks"
PAGE, RESULTS = ROOT / "docs" / "BENCHMARKS.md", BENCHMARKS / "results.json"
FIGURES = ["floor", "memory", "reading", "scale", "vanishing", "watch", "with_jax"]
"""Those that print their figures as JSON."""
PARTS = {"alternatives", "measure", "options", "targets"}
"""Imported by the others, and not called."""


def quick(name: str, *more: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(BENCHMARKS / f"{name}.py"), "--quick", *more]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT), "COLUMNS": "100"}
    return subprocess.run(command, capture_output=True, text=True, env=environment, check=False, timeout=300)


def test_every_script_is_called_or_imported() -> None:
    assert {path.stem for path in BENCHMARKS.glob("*.py")} == {*FIGURES, *PARTS, "run", "write"}


@pytest.mark.parametrize("name", FIGURES)
def test_a_script_prints_its_figures(name: str) -> None:
    done = quick(name)
    assert done.returncode == 0, done.stderr
    if name == "with_jax" and importlib.util.find_spec("jax") is None:
        assert "jax is not installed" in done.stderr
        pytest.skip("jax is not installed (the extra `bench`)")
    assert isinstance(json.loads(done.stdout), dict)


def test_all_sections_run_and_their_page_is_written(tmp_path: Path) -> None:
    """Where the files go is said here; those of the repository stay as they are."""
    before = PAGE.read_bytes(), RESULTS.read_bytes()
    figures, page = tmp_path / "results.json", tmp_path / "page.md"
    ran = quick("run", "--json", str(figures))
    assert ran.returncode == 0, ran.stderr
    assert set(json.loads(figures.read_text())) == {
        "single",
        "fleets",
        "memory",
        "vanishing",
        "sweeps",
        "reports",
        "watch",
    }
    written = quick("write", "--json", str(figures), "--page", str(page))
    assert (written.returncode, written.stdout) == (0, ""), written.stderr
    assert "Not measured yet" not in page.read_text()
    shown = quick("write")
    assert (shown.returncode, shown.stdout) == (0, PAGE.read_text()), shown.stderr
    assert (PAGE.read_bytes(), RESULTS.read_bytes()) == before


def test_a_quick_run_writes_nothing_unless_told_where() -> None:
    before = {path: path.read_bytes() for path in BENCHMARKS.iterdir() if path.is_file()}
    ran = quick("run", "--only", "memory")
    assert ran.returncode == 0, ran.stderr
    assert "the figures are in" not in ran.stderr
    assert {path: path.read_bytes() for path in BENCHMARKS.iterdir() if path.is_file()} == before
