"""The tree: who may import whom, what is loaded when, how long a file may be, and that each package lists its modules.

The docstring of a package's `__init__` is its table of contents: one line a module, `name   what it is`, in an
order in which each module imports only from those before it. The top package lists packages and modules alike.
"""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "rnnlab"
FILES = sorted(PACKAGE.rglob("*.py"))
PACKAGES = [path.parent for path in FILES if path.name == "__init__.py"]
LOADS_TORCH = {"scan", "network", "gradients", "training", "watching", "testing"}
"""Packages that are about tensors, and import torch at the top of a module."""
LONGEST = 300
SAME_IDEA = {
    "progress": "how far something is, and the line that shows it",
    "base": "what the parts of a package have in common",
    "direct": "the direct gradient: from autograd or the definition, and compiled",
    "jsonschema": "the JSON Schema of a config, and that of a sweep file",
    "load": "from a file to what it describes: a config, a sweep",
    "omega": "Pascanu's Omega: its value, and the penalty that it makes",
    "report": "what runs say, and the command that says it",
    "run": "one run: on disk, and on the page",
    "rerun": "a run trained again and compared, and the command that does it",
    "verify": "whether the files of a run are whole, and the command that says it",
    "schema": "what a config is, and the command that prints it for editors",
}
"""Names that two modules may have, since they are one idea in two places."""

Name = tuple[str, ...]


def module_of(path: Path) -> Name:
    """The dotted name of a file below `rnnlab`, as a tuple; that of a package for its `__init__`."""
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    return parts[:-1] if parts[-1] == "__init__" else parts


def label(path: Path) -> str:
    return str(path.relative_to(PACKAGE))


@cache
def contents(package: Path) -> list[str]:
    """The modules that a package's docstring lists, in their order."""
    docstring = ast.get_docstring(ast.parse((package / "__init__.py").read_text()), clean=False) or ""
    return re.findall(r"^ *(\w+)  +\S", docstring, re.MULTILINE)


def imports(path: Path) -> Iterator[Name]:
    """What a file imports from rnnlab when it runs, at the top or inside a function; not what it imports for types."""
    for node in _running(ast.parse(path.read_text())):
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            # A module stands for itself; any other name stands for the module that it is taken from.
            full = [f"{node.module}.{alias.name}" for alias in node.names]
            names = [name if _is_module(name) else node.module for name in full]
        yield from (tuple(name.split(".")[1:]) for name in names if name.split(".")[0] == "rnnlab")


def _is_module(name: str) -> bool:
    path = ROOT.joinpath(*name.split("."))
    return path.with_suffix(".py").exists() or (path / "__init__.py").exists()


def _running(node: ast.AST) -> Iterator[ast.AST]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test):
            continue
        yield child
        yield from _running(child)


@pytest.mark.parametrize("package", PACKAGES, ids=label)
def test_a_package_lists_its_modules(package: Path) -> None:
    there = {path.stem for path in package.glob("*.py")} | {path.parent.name for path in package.glob("*/__init__.py")}
    listed = contents(package)
    assert set(listed) == there - {"__init__", "__main__"}
    assert len(listed) == len(set(listed))


@pytest.mark.parametrize("path", FILES, ids=label)
def test_a_module_imports_only_from_those_before_it(path: Path) -> None:
    mine = module_of(path)
    if mine in ((), ("__main__",)):
        return
    for other in imports(path):
        depth = next((k for k, (a, b) in enumerate(zip(mine, other, strict=False)) if a != b), None)
        if depth is None:
            # An `__init__` hands out what its modules define; a module must not import from its own package. The top
            # package defines the version.
            assert path.name == "__init__.py" or not other, f"{mine} imports from its own package {other}"
            continue
        order = contents(PACKAGE.joinpath(*mine[:depth]))
        assert order.index(other[depth]) < order.index(mine[depth]), f"{mine} imports {other}, which comes after it"


def test_no_two_modules_have_one_name() -> None:
    places = defaultdict(list)
    for path in FILES:
        if path.stem not in ("__init__", "__main__"):
            places[path.stem].append(label(path))
    twice = {name: where for name, where in places.items() if len(where) > 1 and name not in SAME_IDEA}
    assert not twice


def test_the_tests_mirror_the_tree() -> None:
    folders = {path.parent.relative_to(ROOT / "tests") for path in (ROOT / "tests").rglob("test_*.py")}
    # The suites in chaos/ are about every package at once.
    assert all((PACKAGE / folder).is_dir() for folder in folders - {Path("chaos")})


@pytest.mark.parametrize("path", FILES, ids=label)
def test_only_the_command_line_prints_or_exits(path: Path) -> None:
    if module_of(path)[:1] == ("cli",) or path.name == "__main__.py":
        return
    called = {ast.unparse(node.func) for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call)}
    assert not called & {"print", "exit", "sys.exit", "quit", "os._exit"}


@pytest.mark.parametrize("path", FILES, ids=label)
def test_a_file_is_read_in_one_sitting(path: Path) -> None:
    assert len(path.read_text().splitlines()) <= LONGEST


@pytest.mark.parametrize("name", ["torch", "pandas"])
def test_heavy_imports_stay_inside_functions(name: str) -> None:
    for path in FILES:
        if module_of(path)[:1] and module_of(path)[0] in LOADS_TORCH:
            continue
        top = [node for node in ast.parse(path.read_text()).body if isinstance(node, ast.Import | ast.ImportFrom)]
        names = {alias.name for node in top if isinstance(node, ast.Import) for alias in node.names}
        names |= {node.module or "" for node in top if isinstance(node, ast.ImportFrom)}
        assert not any(one.split(".")[0] == name for one in names), path


@pytest.mark.parametrize(
    "code",
    ["import rnnlab", "import rnnlab.config", "import rnnlab.runs.run", "import rnnlab.cli", "import rnnlab.report"],
)
def test_what_is_not_needed_is_not_loaded(code: str) -> None:
    script = f"{code}; import sys; print([m for m in ('torch', 'pandas', 'numba', 'keras') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_public_things_are_described() -> None:
    """Every public class, and every public function on the top level, says what it is; a cell's rule says it once."""
    for path in FILES:
        nodes = ast.parse(path.read_text()).body
        kinds = ast.ClassDef if module_of(path)[:1] in (("cells",), ("scan",)) else ast.ClassDef | ast.FunctionDef
        for node in nodes:
            if isinstance(node, kinds) and not node.name.startswith("_"):
                assert ast.get_docstring(node), f"{label(path)}: {node.name}"


@pytest.mark.parametrize("path", FILES, ids=label)
def test_modules_that_a_docstring_names_are_there(path: Path) -> None:
    """`x.py`, with or without folders before it, as seen from the file, the package or a package above."""
    names = {file.name for file in FILES}
    for node in ast.walk(ast.parse(path.read_text())):
        if not isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef):
            continue
        for name in re.findall(r"\b([\w/]+\.py)\b", ast.get_docstring(node) or ""):
            assert name.rpartition("/")[2] in names, f"{label(path)}: {name}"
