"""Every script in benchmarks/ runs with --quick, and writes nothing that it was not told to; no timing is judged.

All run in this process, which has loaded torch and the compiled scan, but for processes that a script itself starts.
"""

from __future__ import annotations

import importlib
import importlib.util
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
BENCHMARKS = ROOT / "benchmarks"
PAGE, RESULTS = ROOT / "docs" / "BENCHMARKS.md", BENCHMARKS / "results.json"
FIGURES = ["floor", "flushed", "growth", "memory", "probe_costs", "reading", "scale", "vanishing", "watch", "with_jax"]
"""Those that print their figures as JSON."""
OTHERS = {"reading": {"runs": 3, "updates": 4, "timesteps": 20}, "scale": {"runs": 10}}
"""Those that measure other processes, and the sizes that --quick is. Their measuring is a section of `run`."""
PARTS = {"alternatives", "figure", "measure", "options", "targets"}
"""Imported by the others, and not called."""

# They share a loop that is compiled once a process.
pytestmark = pytest.mark.xdist_group("benchmarks")

Quick = Callable[..., tuple[str, str]]

SECTIONS = ("single", "fleets", "memory", "growth", "vanishing", "sweeps", "reports", "probes", "watch")


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Quick:
    """Call a script's main with --quick; what it says on stdout and stderr."""
    monkeypatch.syspath_prepend(BENCHMARKS)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(ROOT), str(BENCHMARKS)]))

    def call(name: str, *more: str) -> tuple[str, str]:
        capsys.readouterr()
        monkeypatch.setattr(sys, "argv", [f"{name}.py", "--quick", *more])
        importlib.import_module(name).main()
        return capsys.readouterr()

    return call


def test_every_script_is_called_or_imported() -> None:
    assert {path.stem for path in BENCHMARKS.glob("*.py")} == {*FIGURES, *PARTS, "run", "write"}


@pytest.mark.parametrize("name", sorted({*FIGURES} - {"flushed", "with_jax"}))
def test_a_script_prints_its_figures(name: str, quick: Quick, monkeypatch: pytest.MonkeyPatch) -> None:
    """But for `flushed`, which changes the arithmetic of the process that it runs in, and has a test of its own."""
    if name in OTHERS:
        module = importlib.import_module(name)
        monkeypatch.setattr(module, "measure", lambda *sizes: dict(zip(OTHERS[name], sizes, strict=True)))
    figures = json.loads(quick(name)[0])
    assert isinstance(figures, dict)
    assert figures == OTHERS.get(name, figures)


def test_without_jax_the_script_says_so() -> None:
    """As a process, like all of them on a command line."""
    command = [sys.executable, str(BENCHMARKS / "with_jax.py"), "--quick"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False, timeout=300)
    assert done.returncode == 0, done.stderr
    if importlib.util.find_spec("jax") is None:
        assert "jax is not installed" in done.stderr
        pytest.skip("jax is not installed (the extra `bench`)")
    assert isinstance(json.loads(done.stdout), dict)


@pytest.mark.long
def test_all_sections_run_and_their_page_is_written(quick: Quick, tmp_path: Path) -> None:
    """Where the files go is said here; those of the repository stay as they are."""
    before = PAGE.read_bytes(), RESULTS.read_bytes()
    figures, page = tmp_path / "results.json", tmp_path / "page.md"
    quick("run", "--json", str(figures))
    assert set(json.loads(figures.read_text())) == {*SECTIONS}
    assert quick("write", "--json", str(figures), "--page", str(page)) == ("", "")
    assert "Not measured yet" not in page.read_text()
    assert "rnn: T^" in (tmp_path / "figures" / "growth.svg").read_text()
    assert quick("write") == (PAGE.read_text(), "")
    assert (PAGE.read_bytes(), RESULTS.read_bytes()) == before


def test_a_quick_run_writes_nothing_unless_told_where(quick: Quick) -> None:
    before = {path: path.read_bytes() for path in BENCHMARKS.iterdir() if path.is_file()}
    assert "the figures are in" not in quick("run", "--only", "vanishing")[1]
    assert {path: path.read_bytes() for path in BENCHMARKS.iterdir() if path.is_file()} == before


@pytest.mark.parametrize("power", [-0.5, 0.0, 1.0, 2.0])
def test_the_exponent_of_a_power_is_that_power(power: float, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(BENCHMARKS)
    values = [10.0, 300.0, 10_000.0]
    fitted = importlib.import_module("growth").exponent(values, [7 * value**power for value in values])
    assert fitted == pytest.approx(power, abs=1e-9)


def test_subnormal_numbers_are_flushed_in_the_process_that_is_timed_for_it(quick: Quick) -> None:
    """In a process of its own, so that this one's threads stay as they are."""
    command = [sys.executable, str(BENCHMARKS / "flushed.py"), "--quick"]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=300)
    assert json.loads(done.stdout) == {"half of the smallest normal number": 0.0}
