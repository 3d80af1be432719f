"""Plugins are known to the whole process: each test takes out what it loaded."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from plugin_files import CELL, CLIP, YAML, unload_all

from rnnlab.catalog import tables


@pytest.fixture(autouse=True)
def _unloaded() -> Iterator[None]:
    before = {kind: dict(table) for kind, table in tables().items()}
    yield
    unload_all()
    assert {kind: dict(table) for kind, table in tables().items()} == before, "other tests would see it"


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory, with `experiments/c.yaml` and the two plugins beside it that it names."""
    parts = tmp_path / "experiments" / "parts"
    parts.mkdir(parents=True)
    (parts / "my_cell.py").write_text(CELL)
    (parts / "my_clip.py").write_text(CLIP)
    (parts.parent / "c.yaml").write_text(YAML)
    monkeypatch.chdir(tmp_path)
    return tmp_path
