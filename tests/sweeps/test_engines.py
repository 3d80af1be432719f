"""One contract for all engines: whatever dies, every run is there in the end, once, with the same bytes."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from clusters import Cluster
from engine_sweeps import (
    FAULTS,
    FIVE,
    SLOW,
    by_identity,
    every_engine,
    needs_ray,
    on_cluster,
    ray_engine,
    running,
    same,
    slurm_engine,
    until,
)
from slurm_cluster import SlurmCluster

from rnnlab.cli.sweep_view import SweepView
from rnnlab.errors import DeviceMissingError
from rnnlab.runs.folder import RunFolder
from rnnlab.runs.index import Index
from rnnlab.runs.run import Run
from rnnlab.sweeps.driver import train_sweep
from rnnlab.sweeps.engines import ENGINES, on_ray
from rnnlab.sweeps.file import load_sweep
from rnnlab.sweeps.jobs import Event
from rnnlab.sweeps.results import SweepEvent, SweepOptions
from rnnlab.training.checkpoints import last_checkpoint

# Those on Ray share one cluster, and are a group of their own (`engines_ray`), which runs beside that of the others.
pytestmark = [pytest.mark.xdist_group("engines"), pytest.mark.long]


@pytest.fixture(scope="module")
def faults(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The environment in which training goes wrong."""
    folder = tmp_path_factory.mktemp("faults")
    path = os.pathsep.join(filter(None, [str(FAULTS), os.environ.get("PYTHONPATH")]))
    return {"PYTHONPATH": path, "RNNLAB_FAULTS": str(folder), "OMP_NUM_THREADS": "1", "COLUMNS": "80"}


@pytest.fixture(scope="module")
def cluster(faults: dict[str, str]) -> Iterator[Cluster]:
    started = Cluster({**faults, "RNNLAB_SLOW": "0.02"})
    yield started
    started.stop()


@pytest.fixture(scope="module")
def slurm() -> Iterator[SlurmCluster]:
    started = SlurmCluster()
    yield started
    started.stop()


def place(engine: str, request: pytest.FixtureRequest) -> tuple[list[str], dict[str, str]]:
    """The options and the environment by which `rnnlab sweep` finds that engine's cluster."""
    if engine == "ray":
        return ["--address", request.getfixturevalue("cluster").address], {}
    if engine == "slurm":
        return ["--engine", "slurm"], {**request.getfixturevalue("slurm").environment, "RNNLAB_LOOK": "0.5"}
    return [], {}


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """five.yaml and slow.yaml."""
    folder = tmp_path_factory.mktemp("sweeps")
    (folder / "five.yaml").write_text(json.dumps(FIVE))
    (folder / "slow.yaml").write_text(json.dumps(SLOW))
    return folder


Sweep = Callable[..., subprocess.Popen[str]]


@pytest.fixture
def sweep(files: Path, tmp_path: Path, faults: dict[str, str]) -> Sweep:
    """`rnnlab sweep` of a file in a process, in tmp_path/runs."""

    def start(name: str, *more: str, **environment: str) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "rnnlab", "sweep", "-c", str(files / name), "--out", str(tmp_path / "runs")]
        pipes: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        return subprocess.Popen([*command, *more], env={**os.environ, **faults, **environment}, text=True, **pipes)

    return start


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Callable[[dict[str, Any]], dict[str, Run]]:
    """The runs of a sweep that nothing went wrong with, trained in this process, by identity."""

    made: dict[str, dict[str, Run]] = {}

    def trained(described: dict[str, Any]) -> dict[str, Run]:
        if (key := json.dumps(described)) not in made:
            out = tmp_path_factory.mktemp("undisturbed")
            train_sweep(load_sweep(described), ENGINES["inline"](), SweepOptions(out))
            made[key] = by_identity(out)
        return made[key]

    return trained


@pytest.mark.parametrize("engine", every_engine)
def test_what_dies_takes_nothing_with_it(
    engine: str,
    sweep: Sweep,
    faults: dict[str, str],
    tmp_path: Path,
    undisturbed: Callable[[dict[str, Any]], dict[str, Run]],
    request: pytest.FixtureRequest,
) -> None:
    (Path(faults["RNNLAB_FAULTS"]) / "killed").unlink(missing_ok=True)
    where, environment = place(engine, request)
    call = ["five.yaml", "--engine", engine, *where, "--json"]
    done = sweep(*call, **environment)
    stdout, stderr = done.communicate(timeout=120)
    if engine == "inline":  # it is the process that was killed, and the next call goes on
        assert done.returncode == -signal.SIGKILL
        done = sweep(*call)
        stdout, stderr = done.communicate(timeout=120)
    assert done.returncode == 3, stderr
    assert (Path(faults["RNNLAB_FAULTS"]) / "killed").exists()
    result = json.loads(stdout)
    assert {name: result[name] for name in ("runs", "completed", "diverged", "elsewhere", "left")} == {
        "runs": 10,
        "completed": 6,
        "diverged": 2,
        "elsewhere": 0,
        "left": 0,
    }
    assert [failure["why"] for failure in result["failures"]] == ["LookupError: made to fail"] * 2
    assert all("rnnlab train --config" in failure["command"] for failure in result["failures"])
    trained, expected = by_identity(tmp_path / "runs"), undisturbed(FIVE)
    assert trained.keys() == expected.keys()
    for identity, run in trained.items():
        if run.settings["task.length"] != 12:
            same(run, expected[identity])

    again = sweep("five.yaml", "--retry-failed", "--engine", "inline", RNNLAB_FAULTS="")
    stdout, stderr = again.communicate(timeout=120)
    assert again.returncode == 0, stderr
    assert "10 runs: 8 completed, 2 diverged; 2 trained now" in stdout
    for identity, run in by_identity(tmp_path / "runs").items():
        same(run, expected[identity])


@needs_ray
@on_cluster
def test_without_a_shared_disk_the_files_come_back(
    cluster: Cluster, tmp_path: Path, undisturbed: Callable[[dict[str, Any]], dict[str, Run]]
) -> None:
    """No worker finds the token, so each trains in a folder of its own; through Ray's client, as from a laptop."""
    nowhere = contextlib.nullcontext(str(tmp_path / "nowhere"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(on_ray, "_token", lambda out: nowhere)
        engine = ENGINES["ray"](address=cluster.client)
        # Two fleets of the five, which nothing happens to.
        fleets = load_sweep({**FIVE, "axes": {"grid": {"task.length": [10, 14]}}})
        result = train_sweep(fleets, engine, SweepOptions(tmp_path / "runs"))
    assert (result.trained, result.completed) == (4, 4)
    expected = undisturbed(FIVE)
    for identity, run in by_identity(tmp_path / "runs").items():
        same(run, expected[identity])


@needs_ray
@on_cluster
def test_a_worker_that_dies_without_a_shared_disk_has_sent_its_checkpoints(
    cluster: Cluster,
    faults: dict[str, str],
    tmp_path: Path,
    undisturbed: Callable[[dict[str, Any]], dict[str, Run]],
) -> None:
    """Its fleet goes on from them, and does not begin again."""
    (Path(faults["RNNLAB_FAULTS"]) / "killed").unlink(missing_ok=True)
    described = {**FIVE, "axes": {"grid": {"task.length": [11]}}}
    fleets, made = load_sweep(described, ["train.checkpoint_seconds=0"]), list[int]()

    def on_event(event: SweepEvent) -> None:
        if event.event and event.event.kind == "died":
            made.extend(
                last_checkpoint(folder)[0]["updates"] for folder in map(RunFolder, (tmp_path / "runs").glob("*-s?"))
            )

    nowhere = contextlib.nullcontext(str(tmp_path / "nowhere"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(on_ray, "_token", lambda out: nowhere)
        result = train_sweep(fleets, ENGINES["ray"](address=cluster.address), SweepOptions(tmp_path / "runs"), on_event)
    assert (result.trained, result.completed) == (2, 2)
    assert len(made) == 2
    assert min(made) > 0
    expected = undisturbed(FIVE)
    for identity, run in by_identity(tmp_path / "runs").items():
        same(run, expected[identity])


@needs_ray
@on_cluster
def test_a_client_whose_server_ended_at_once_gets_another(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    """Once is forgiven; after twice Ray is as it was, and another connection can be made."""
    from ray.util.client.worker import Worker

    real, failures = Worker._server_init, [1, 2, 3]

    def failing(*arguments: Any, **options: Any) -> None:
        if failures:
            failures.pop()
            raise ConnectionAbortedError("Initialization failure from server:\npsutil.ZombieProcess")
        real(*arguments, **options)

    monkeypatch.setattr(Worker, "_server_init", failing)
    with pytest.raises(DeviceMissingError, match="there is no Ray cluster at ray:"), on_ray._connected(cluster.client):
        pass
    for address in (cluster.client, cluster.address):
        with on_ray._connected(address) as ray:
            assert ray.cluster_resources()["CPU"] >= 1
    assert not failures


@needs_ray
@on_cluster
def test_lost_events_are_all_that_is_lost(cluster: Cluster, tmp_path: Path) -> None:
    """The event queue dies before the first message; a sweep still learns that its jobs started and how they ended."""
    import ray

    made, view, events = on_ray._event_queue, SweepView("lost", workers=2), list[Event]()

    def dead(connected: Any) -> Any:
        queue = made(connected)
        ray.kill(queue)
        return queue

    def on_event(event: SweepEvent) -> None:
        view.add(event)
        events.extend([event.event] if event.event else [])

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(on_ray, "_event_queue", dead)
        fleets = load_sweep({**FIVE, "axes": {"grid": {"task.length": [10, 14]}}})
        result = train_sweep(fleets, ENGINES["ray"](address=cluster.address), SweepOptions(tmp_path / "runs"), on_event)
    assert (result.trained, result.completed) == (4, 4)
    for number in (1, 2):
        assert [event.kind for event in events if event.job == number] == ["started", "run_ended", "run_ended", "done"]
    assert (view.count["completed"], view.running) == (4, {})


@pytest.mark.parametrize("engine", ["inline", "local"])
def test_a_killed_driver_loses_nothing(
    engine: str, sweep: Sweep, tmp_path: Path, undisturbed: Callable[[dict[str, Any]], dict[str, Run]]
) -> None:
    driver = sweep("slow.yaml", "--engine", engine, RNNLAB_SLOW="0.02")
    until(lambda: running(tmp_path / "runs", 2))
    driver.kill()
    driver.communicate()
    again = sweep("slow.yaml", "--engine", engine, "--json")
    stdout, stderr = again.communicate(timeout=120)
    assert again.returncode == 0, stderr
    assert json.loads(stdout)["completed"] == 6
    expected = undisturbed(SLOW)
    for identity, run in by_identity(tmp_path / "runs").items():
        same(run, expected[identity])


@needs_ray
@on_cluster
def test_a_killed_driver_loses_nothing_on_ray(sweep: Sweep, cluster: Cluster, tmp_path: Path) -> None:
    driver = sweep("slow.yaml", "--address", cluster.address)
    until(lambda: running(tmp_path / "runs", 2))
    driver.kill()
    driver.communicate()
    again = sweep("slow.yaml", "--address", cluster.address, "--json")
    stdout, stderr = again.communicate(timeout=120)
    assert again.returncode == 0, stderr
    assert json.loads(stdout)["completed"] == 6
    assert len(by_identity(tmp_path / "runs")) == 6


@pytest.mark.parametrize("engine", ["local", ray_engine, slurm_engine])
def test_an_interrupted_sweep_goes_on(
    engine: str,
    sweep: Sweep,
    tmp_path: Path,
    undisturbed: Callable[[dict[str, Any]], dict[str, Run]],
    request: pytest.FixtureRequest,
) -> None:
    where, environment = place(engine, request)
    driver = sweep("slow.yaml", "-j", "2", *where, RNNLAB_SLOW="0.02", **environment)
    until(lambda: running(tmp_path / "runs", 2))
    driver.send_signal(signal.SIGINT)
    _, stderr = driver.communicate(timeout=60)
    assert driver.returncode == 130, stderr
    assert "of 6 runs are done" in stderr
    assert "the same command goes on" in stderr
    with Index(tmp_path / "runs") as index:
        index.refresh()
        assert {entry.status for entry in index.entries()} <= {"interrupted", "completed"}
        assert any((tmp_path / "runs" / entry.name / "checkpoint.pt").exists() for entry in index.entries())
    again = sweep("slow.yaml", "--engine", "inline")  # one process, where the others start one a fleet
    assert "6 runs: 6 completed" in again.communicate(timeout=120)[0]
    expected = undisturbed(SLOW)
    for identity, run in by_identity(tmp_path / "runs").items():
        same(run, expected[identity])


def test_two_sweeps_at_once_share_the_work(sweep: Sweep, tmp_path: Path) -> None:
    both = [sweep("slow.yaml", "--engine", "inline", "--json", RNNLAB_SLOW="0.005") for _ in range(2)]
    results = [json.loads(one.communicate(timeout=120)[0]) for one in both]
    assert [one.returncode for one in both] == [0, 0]
    assert sum(result["trained"] for result in results) == 6
    assert all(result["trained"] for result in results)
    assert len(by_identity(tmp_path / "runs")) == 6


@needs_ray
@on_cluster
def test_a_killed_node_loses_nothing(sweep: Sweep, cluster: Cluster, tmp_path: Path) -> None:
    """The last test with this cluster: one of its nodes is gone then."""
    driver = sweep("slow.yaml", "--address", cluster.address, "--json")
    until(lambda: running(tmp_path / "runs", 4))  # two fleets of two, one on each node
    cluster.kill(cluster.node)
    stdout, stderr = driver.communicate(timeout=120)
    assert driver.returncode == 0, stderr
    assert json.loads(stdout)["completed"] == 6
    assert len(by_identity(tmp_path / "runs")) == 6
