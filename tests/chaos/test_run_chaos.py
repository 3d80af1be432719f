"""What `make chaos` calls: every section is there, its figures are added up, and what breaks is said."""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Callable
from concurrent.futures import Executor, Future
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

TOOL = Path(__file__).parents[2] / "tools" / "run_chaos.py"


@pytest.fixture
def tool(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    spec = importlib.util.spec_from_file_location("run_chaos", TOOL)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    monkeypatch.setattr("sys.path", [*importlib.import_module("sys").path])
    monkeypatch.setenv("PYTHONPATH", "")
    return module


def test_every_section_is_a_module_that_can_be_run(tool: ModuleType) -> None:
    for section in tool.SECTIONS.values():
        assert callable(importlib.import_module(f"chaos.{section.module}").run)
    assert callable(importlib.import_module("chaos.disturbances").main)


def test_figures_are_printed_and_nothing_broke(
    tool: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(tool.SECTIONS, "configs", tool.Section("fuzz_configs", 10, 10))
    assert tool.main(["configs", "--quick"]) == 0
    out = capsys.readouterr().out
    assert "## configs" in out
    assert "| slowest | " in out
    assert out.endswith("every promise held\n")


def test_a_broken_promise_is_said(
    tool: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(count: int, seed: int = 0) -> list[tuple[str, str]]:
        raise AssertionError("a traceback for seed: ~")

    monkeypatch.setattr("chaos.fuzz_configs.run", broken)
    assert tool.main(["configs", "--quick"]) == 1
    assert "BROKEN: a traceback for seed: ~" in capsys.readouterr().out


class _AtOnce(Executor):
    """Calls what it is given in this process."""

    def __init__(self, processes: int, context: object, max_tasks_per_child: int) -> None:
        self.processes = processes

    def submit(self, function: Any, /, *arguments: Any, **named: Any) -> Future[Any]:
        future: Future[Any] = Future()
        try:
            future.set_result(function(*arguments, **named))
        except Exception as error:
            future.set_exception(error)
        return future


def test_shares_make_up_the_section_and_the_others_go_on_after_a_broken_one(
    tool: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    taken: list[tuple[str, int, int]] = []

    def run_of(name: str, error: Exception | None = None) -> Callable[[int, int], list[tuple[str, str]]]:
        def run(count: int, seed: int) -> list[tuple[str, str]]:
            taken.append((name, count, seed))
            if error and seed == 1:
                raise error
            return [("cases", f"{count:,}")]

        return run

    monkeypatch.setattr(tool, "ProcessPoolExecutor", _AtOnce)
    monkeypatch.setattr(tool.os, "cpu_count", lambda: 3)
    monkeypatch.setattr("chaos.damage.run", run_of("damage", AssertionError("read as right")))
    monkeypatch.setattr("chaos.fuzz_configs.run", run_of("configs", OSError("no file")))
    monkeypatch.setattr("chaos.hostile.run", run_of("hostile"))
    monkeypatch.setattr("chaos.soak.run", run_of("soak"))
    assert tool.main(["damage", "hostile", "configs", "soak", "hostile"]) == 1
    for name in ("damage", "hostile", "configs"):
        counts = {seed: count for one, count, seed in taken if one == name}
        assert (sum(counts.values()), len(counts)) == (tool.SECTIONS[name].cases, 6)
    assert taken[0] == ("soak", 10_000, 0)
    out = capsys.readouterr().out
    assert "BROKEN: read as right\n" in out
    assert "BROKEN: OSError('no file')\n" in out
    assert "| cases | 1,000 |" in out
    assert out.endswith("\nbroken: damage, configs\n")


def test_an_unknown_section_is_refused(tool: ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        tool.main(["damages"])
    assert "there is no section damages; they are disturbances, configs" in capsys.readouterr().err


def test_counts_of_processes_are_added(tool: ModuleType) -> None:
    shares = [[("refused", "1,200"), ("slowest", "0.2 s")], [("refused", "800"), ("slowest", "0.3 s"), ("valid", "1")]]
    assert tool._merged(shares) == [("refused", "2,000"), ("slowest", "0.2 s; 0.3 s"), ("valid", "1")]
