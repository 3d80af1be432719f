"""Every example in a docstring runs, and every public class has one or a reason why not."""

from __future__ import annotations

import ast
import doctest
import importlib
from pathlib import Path

import pytest
from doctest_reasons import WITHOUT_EXAMPLE
from fakes import fake_group

import rnnlab

PACKAGE = Path(rnnlab.__file__).parent
FILES = [path for path in sorted(PACKAGE.rglob("*.py")) if path.name != "__main__.py"]


def module_name(path: Path) -> str:
    return ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts).removesuffix(".__init__")


def classes(path: Path) -> dict[str, str]:
    """The docstring of each public class that a file defines."""
    nodes = [node for node in ast.parse(path.read_text()).body if isinstance(node, ast.ClassDef)]
    return {node.name: ast.get_docstring(node) or "" for node in nodes if not node.name.startswith("_")}


@pytest.fixture
def example_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Work in an empty folder with six runs in runs/: rnn-T40-s0 to s2, and lstm-T40-s0 to s2."""
    for cell, rate in (("rnn", -15.0), ("lstm", -2.0)):
        for run in fake_group(tmp_path / "runs", {seed: rate + 0.1 * seed for seed in range(3)}, model__cell=cell):
            run.path.rename(run.path.with_name(run.name.removeprefix("cell=")))
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize("path", [path for path in FILES if ">>> " in path.read_text()], ids=module_name)
@pytest.mark.usefixtures("example_runs")
def test_the_examples_of_a_module_run(path: Path) -> None:
    module = importlib.import_module(module_name(path))
    result = doctest.testmod(module, globs=dict(vars(module)), optionflags=doctest.NORMALIZE_WHITESPACE)
    assert result.attempted
    assert not result.failed


@pytest.mark.parametrize("path", [path for path in FILES if classes(path)], ids=module_name)
def test_every_public_class_has_an_example_or_a_reason(path: Path) -> None:
    for name, docstring in classes(path).items():
        full = f"{module_name(path)}.{name}"
        assert (">>> " in docstring) != (full in WITHOUT_EXAMPLE), full


def test_every_reason_is_about_a_class() -> None:
    assert set(WITHOUT_EXAMPLE) <= {f"{module_name(path)}.{name}" for path in FILES for name in classes(path)}
