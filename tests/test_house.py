"""The house: who may import whom, what is loaded when, how long a file may be, and that the docs say so."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "rnnlab"
# The public face and the door stand outside the order: they hand out what is on every floor.
FACE = {"__init__", "__main__"}
ABOUT_TENSORS = {"training", "plan", "fleet", "passes", "direct", "measure", "network", "objective", "scan"}
ABOUT_TENSORS |= {"clipping", "view", "head", "flat", "stepper", "recording", "starting"}
LONGEST = 300


def floors() -> list[str]:
    """The modules in the order that docs/ARCHITECTURE.md gives."""
    text = (ROOT / "docs" / "ARCHITECTURE.md").read_text()
    table = text.split("## Floors")[1].split("\n## ")[0]
    rows = [line.split("|")[2] for line in table.splitlines() if re.match(r"\| \d", line)]
    return [name for row in rows for name in re.findall(r"`(\w+)`", row)]


def modules() -> dict[Path, str]:
    """Every source file with the module or package on the top level that it belongs to."""
    return {path: path.relative_to(PACKAGE).parts[0].removesuffix(".py") for path in sorted(PACKAGE.rglob("*.py"))}


def imports(path: Path) -> Iterator[str]:
    """What a file imports when it runs, at the top or inside a function; not what it imports for types alone."""
    for node in _running(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def _running(node: ast.AST) -> Iterator[ast.AST]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test):
            continue
        yield child
        yield from _running(child)


def test_every_module_has_its_place() -> None:
    assert set(modules().values()) - FACE == set(floors())
    assert len(floors()) == len(set(floors()))


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_only_from_below(path: Path) -> None:
    order, mine = floors(), modules()[path]
    if mine in FACE:
        return
    for name in imports(path):
        if name.startswith("rnnlab."):
            other = name.split(".")[1]
            if other in order and other != mine:
                assert order.index(other) < order.index(mine), f"{mine} imports {name}, which stands above it"


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_only_the_door_prints_or_exits(path: Path) -> None:
    if modules()[path] == "cli" or path.name == "__main__.py":
        return
    called = {ast.unparse(node.func) for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call)}
    assert not called & {"print", "exit", "sys.exit", "quit", "os._exit"}


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_a_file_is_read_in_one_sitting(path: Path) -> None:
    assert len(path.read_text().splitlines()) <= LONGEST


@pytest.mark.parametrize("name", ["torch", "pandas"])
def test_heavy_imports_stay_inside_functions(name: str) -> None:
    for path, module in modules().items():
        if module in ABOUT_TENSORS:
            continue
        top = [node for node in ast.parse(path.read_text()).body if isinstance(node, ast.Import | ast.ImportFrom)]
        found = {alias.name for node in top if isinstance(node, ast.Import) for alias in node.names}
        found |= {node.module or "" for node in top if isinstance(node, ast.ImportFrom)}
        assert not any(one.split(".")[0] == name for one in found), path


@pytest.mark.parametrize(
    "code", ["import rnnlab", "import rnnlab.config", "import rnnlab.collection", "import rnnlab.cli"]
)
def test_what_is_not_needed_is_not_loaded(code: str) -> None:
    script = f"{code}; import sys; print([m for m in ('torch', 'pandas', 'numba', 'keras') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_public_things_are_described() -> None:
    """Every public class, and every public function on the top level, says what it is; a cell's rule says it once."""
    for path, module in modules().items():
        nodes = ast.parse(path.read_text()).body
        kinds = ast.ClassDef if module in {"cells", "scan"} else ast.ClassDef | ast.FunctionDef
        for node in nodes:
            if isinstance(node, kinds) and not node.name.startswith("_"):
                assert ast.get_docstring(node), f"{path.relative_to(ROOT)}: {node.name}"
