"""examples/notebook.ipynb runs from top to bottom in a kernel of its own, and each object in it shows itself."""

from __future__ import annotations

import importlib.util
import os
from pathlib import Path
from typing import Any

import pytest

import rnnlab

NOTEBOOK = Path(__file__).parent.parent / "examples" / "notebook.ipynb"
MISSING = [name for name in ("nbclient", "nbformat", "ipykernel") if importlib.util.find_spec(name) is None]

pytestmark = pytest.mark.skipif(bool(MISSING), reason=f"{', '.join(MISSING)}: not installed (the extra `notebook`)")


@pytest.fixture(scope="module")
def cells(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The code cells by their id, with what they gave."""
    import nbformat
    from nbclient import NotebookClient

    folder = tmp_path_factory.mktemp("notebook")
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    nbformat.validate(notebook)
    # The kernel imports the package that is tested, and its runs go with this folder.
    path = os.pathsep.join(filter(None, (str(Path(rnnlab.__file__).parent.parent), os.environ.get("PYTHONPATH"))))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", path)
        patch.setenv("TMPDIR", str(folder))
        # Its files would be in the home folder.
        patch.setenv("JUPYTER_RUNTIME_DIR", str(folder / "runtime"))
        patch.setenv("IPYTHONDIR", str(folder / "ipython"))
        NotebookClient(notebook, timeout=300, kernel_name="python3").execute()
    return {cell["id"]: cell for cell in notebook.cells if cell.cell_type == "code"}


@pytest.mark.parametrize("name", ["run", "verdict", "runs", "groups"])
def test_it_shows_each_as_html(cells: dict[str, Any], name: str) -> None:
    (output,) = cells[name].outputs
    html = output.data["text/html"]
    assert "<svg" in html
    assert "<script" not in html


def test_nothing_in_it_warns_or_fails(cells: dict[str, Any]) -> None:
    others = [output for cell in cells.values() for output in cell.outputs if output.output_type != "execute_result"]
    assert others == []


def test_it_is_committed_without_outputs() -> None:
    import nbformat

    assert all(not cell.get("outputs") for cell in nbformat.read(NOTEBOOK, as_version=4).cells)
