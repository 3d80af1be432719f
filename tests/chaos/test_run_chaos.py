"""What `make chaos` calls: every section is there, its figures are added up, and what breaks is said."""

from __future__ import annotations

import importlib
import importlib.util
from pathlib import Path
from types import ModuleType

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


def test_an_unknown_section_is_refused(tool: ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        tool.main(["damages"])
    assert "there is no section damages; they are disturbances, configs" in capsys.readouterr().err


def test_counts_of_processes_are_added(tool: ModuleType) -> None:
    shares = [[("refused", "1,200"), ("slowest", "0.2 s")], [("refused", "800"), ("slowest", "0.3 s"), ("valid", "1")]]
    assert tool._merged(shares) == [("refused", "2,000"), ("slowest", "0.2 s; 0.3 s"), ("valid", "1")]
