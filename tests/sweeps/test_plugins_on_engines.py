"""A part of one's own on every engine: its file travels with the job, and all train the same bytes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from clusters import Cluster
from engine_sweeps import needs_ray, on_cluster
from plugin_files import CELL, CLIP, YAML

from rnnlab.runs.run import Run

pytestmark = pytest.mark.long

VANISHES = "\nfrom pathlib import Path\n\nPath(__file__).unlink(missing_ok=True)\n"
SWEEP = "base: parts.yaml\naxes: {grid: {model.cell: [halved, rnn]}}\nseeds: 2\n"


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    started = Cluster({"OMP_NUM_THREADS": "1"})
    yield started
    started.stop()


def swept(folder: Path, engine: str, *options: str) -> dict[str, Run]:
    """The runs that an engine trained, by name; the cell's file is gone once the driver has loaded it."""
    (folder / "parts").mkdir()
    (folder / "parts/my_cell.py").write_text(CELL + VANISHES)
    (folder / "parts/my_clip.py").write_text(CLIP)
    (folder / "parts.yaml").write_text(YAML)
    (folder / "s.yaml").write_text(SWEEP)
    command = [sys.executable, "-m", "rnnlab", "sweep", "-c", "s.yaml", "--allow-plugins", "--quiet", "--json"]
    done = subprocess.run(
        [*command, "--engine", engine, *options],
        cwd=folder,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["completed"] == 4
    return {path.name: Run(path) for path in (folder / "runs").iterdir() if (path / "run.json").exists()}


@pytest.fixture(scope="module")
def inline(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Run]:
    return swept(tmp_path_factory.mktemp("inline"), "inline")


def held_to(inline: dict[str, Run], runs: dict[str, Run]) -> None:
    assert runs.keys() == inline.keys()
    for name, run in runs.items():
        assert (run.path / "gradients.csv").read_bytes() == (inline[name].path / "gradients.csv").read_bytes()
        sent, here = run.info["plugins"], inline[name].info["plugins"]
        assert [plugin["sha256"] for plugin in sent] == [plugin["sha256"] for plugin in here]
        assert [plugin["parts"] for plugin in sent] == [["cells halved"], ["clips scaled"]][-len(sent) :]
        assert len(sent) == (2 if name.startswith("halved") else 1)


def test_a_process_of_its_own_gets_the_file_with_the_job(inline: dict[str, Run], tmp_path: Path) -> None:
    held_to(inline, swept(tmp_path, "local", "-j", "2"))


@on_cluster
@needs_ray
def test_a_worker_of_ray_gets_the_file_with_the_job(inline: dict[str, Run], tmp_path: Path, cluster: Cluster) -> None:
    held_to(inline, swept(tmp_path, "ray", "--address", cluster.address))
