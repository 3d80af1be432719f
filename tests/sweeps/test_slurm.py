"""The engine `slurm` on a SLURM cluster of one node: what preempts, limits, cancels or kills loses nothing."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from engine_sweeps import FAULTS, SLOW, by_identity, needs_slurm, running, same, until
from slurm_cluster import SlurmCluster

from rnnlab.errors import DeviceMissingError, UsageError
from rnnlab.runs.run import Run
from rnnlab.sweeps.driver import train_sweep
from rnnlab.sweeps.engines import ENGINES, Inline, Slurm, engine_of
from rnnlab.sweeps.engines.on_slurm import minutes
from rnnlab.sweeps.engines.slurm_worker import Element
from rnnlab.sweeps.file import load_sweep
from rnnlab.sweeps.jobs import Event, Job, RunSpec
from rnnlab.sweeps.results import SweepOptions

TWO = {**SLOW, "axes": {"grid": {"task.length": [20, 21]}}}
"""Two fleets of two runs."""

pytestmark = [pytest.mark.xdist_group("slurm"), pytest.mark.long]


@pytest.fixture(scope="module")
def slurm() -> Iterator[SlurmCluster]:
    started = SlurmCluster()
    yield started
    started.stop()


@pytest.fixture(scope="module")
def expected(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Run]:
    """The runs of TWO that nothing disturbed, by identity."""
    out = tmp_path_factory.mktemp("undisturbed")
    train_sweep(load_sweep(TWO), Inline(), SweepOptions(out))
    return by_identity(out)


Sweep = Callable[..., subprocess.Popen[str]]


@pytest.fixture
def sweep(slurm: SlurmCluster, tmp_path: Path) -> Iterator[Sweep]:
    """`rnnlab sweep` of TWO by the engine slurm, in tmp_path/runs."""
    (tmp_path / "slow.yaml").write_text(json.dumps(TWO))
    path = os.pathsep.join(filter(None, [str(FAULTS), os.environ.get("PYTHONPATH")]))
    slow = {"PYTHONPATH": path, "RNNLAB_FAULTS": str(tmp_path), "RNNLAB_SLOW": "0.04", "RNNLAB_LOOK": "0.5"}

    started: list[subprocess.Popen[str]] = []

    def start(*more: str) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "rnnlab", "sweep", "-c", str(tmp_path / "slow.yaml"), "--engine", "slurm"]
        where = {**os.environ, **slurm.environment, **slow}
        driver = subprocess.Popen(
            [*command, "--out", str(tmp_path / "runs"), "--json", *more],
            env=where, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip
        started.append(driver)
        return driver

    yield start
    for driver in started:
        if driver.poll() is None:
            driver.kill()
            driver.communicate()


def check(driver: subprocess.Popen[str], out: Path, expected: dict[str, Run]) -> None:
    """It ended well, with every run, each with the bytes of an undisturbed one."""
    stdout, stderr = driver.communicate(timeout=120)
    assert driver.returncode == 0, stderr
    assert json.loads(stdout)["completed"] == 4
    trained = by_identity(out)
    assert trained.keys() == expected.keys()
    for identity, run in trained.items():
        same(run, expected[identity])


@needs_slurm
def test_preempted_elements_are_queued_again_and_go_on(
    sweep: Sweep, slurm: SlurmCluster, tmp_path: Path, expected: dict[str, Run]
) -> None:
    driver = sweep()
    until(lambda: running(tmp_path / "runs", 2))
    slurm.call("sbatch", "--partition=high", "--exclusive", "--output=/dev/null", "--wrap=sleep 2")
    until(lambda: bool(slurm.elements("preempted") or slurm.elements("requeued") or _restarted(slurm)))
    check(driver, tmp_path / "runs", expected)


def _restarted(slurm: SlurmCluster) -> bool:
    """Whether SLURM has queued any element once more."""
    jobs = slurm.call("scontrol", "show", "job", "--oneliner")
    return "Restarts=1" in jobs


@needs_slurm
def test_elements_at_their_limit_are_queued_again_and_go_on(
    sweep: Sweep, slurm: SlurmCluster, tmp_path: Path, expected: dict[str, Run]
) -> None:
    """SLURM's limits are whole minutes; the signal that it sends before one is sent by hand."""
    driver = sweep()
    elements: list[str] = []

    def all_train() -> bool:
        # An element of two runs that does not train yet would be ended by the signal, and is not queued again.
        elements[:] = slurm.elements("running")
        return bool(elements) and running(tmp_path / "runs", 2 * len(elements))

    until(all_train)
    slurm.call("scancel", "--signal=USR2", *elements)
    until(lambda: all("Restarts=1" in slurm.call("scontrol", "show", "job", "--oneliner", one) for one in elements))
    check(driver, tmp_path / "runs", expected)


@needs_slurm
def test_an_element_that_is_killed_is_trained_once_more(
    sweep: Sweep, slurm: SlurmCluster, tmp_path: Path, expected: dict[str, Run]
) -> None:
    driver = sweep()
    until(lambda: running(tmp_path / "runs", 2))
    begun = Run(next(path.parent for path in sorted((tmp_path / "runs").glob("*/gradients.csv"))))
    os.kill(begun.info["process"]["pid"], signal.SIGKILL)
    check(driver, tmp_path / "runs", expected)


@needs_slurm
def test_an_element_that_somebody_cancels_ends_the_sweep(sweep: Sweep, slurm: SlurmCluster, tmp_path: Path) -> None:
    driver = sweep("-j", "1")
    until(lambda: running(tmp_path / "runs", 1))
    slurm.call("scancel", *slurm.elements())
    _, stderr = driver.communicate(timeout=120)
    assert driver.returncode not in (0, 1), stderr
    assert re.search(r"SLURM job \d+_\d ended as CANCELLED.*: somebody cancelled it", stderr)
    assert not slurm.elements("running,pending")


@needs_slurm
def test_elements_go_on_without_their_driver_and_nobody_trains_their_runs_again(
    sweep: Sweep, slurm: SlurmCluster, tmp_path: Path, expected: dict[str, Run]
) -> None:
    driver = sweep()
    until(lambda: running(tmp_path / "runs", 2))
    driver.kill()
    driver.communicate()
    until(lambda: not slurm.elements("running,pending"), 90)
    again = sweep()
    stdout, stderr = again.communicate(timeout=120)
    assert again.returncode == 0, stderr
    assert json.loads(stdout)["trained"] == 0
    trained = by_identity(tmp_path / "runs")
    assert trained.keys() == expected.keys()
    for identity, run in trained.items():
        same(run, expected[identity])


@needs_slurm
def test_what_sbatch_refuses_is_said_in_its_words(sweep: Sweep) -> None:
    _, stderr = (driver := sweep("--engine-option", "partition=hgih")).communicate(timeout=60)
    assert driver.returncode == 2, stderr
    assert "sbatch refused: " in stderr
    assert "invalid partition specified: hgih" in stderr


def test_an_element_leaves_the_runs_of_another_driver_alone(tmp_path: Path) -> None:
    """One that waited in the queue while its driver was killed and another sweep began."""
    from rnnlab.runs.claims import Claims, folder_key

    run = RunSpec("a", "9f3c", {"task": "addition"})
    job = Job(1, (run,), str(tmp_path / "runs"))
    with Claims(job.out) as claims:
        claims.take([run.identity, folder_key(run.name)])
        Element(job.to_json(), str(tmp_path), {"pid": 1, "host": "elsewhere"})()
    lines = (tmp_path / "events-1.jsonl").read_text().split()
    assert [Event.from_json(line).kind for line in "".join(lines).replace("}{", "}\n{").splitlines()][-1] == "done"
    assert not run.folder(job.out).is_run


@pytest.mark.parametrize(
    ("time", "limit"),
    [("90", 90.0), ("0:30", 0.5), ("2:00:00", 120.0), ("1-0", 1440.0), ("1-2:30", 1590.0), ("0-0:0:30", 0.5)],
)
def test_time_limits_are_read_as_sbatch_does(time: str, limit: float) -> None:
    assert minutes(time) == limit
    assert Slurm(options={"time": time}).minutes == limit


@pytest.mark.parametrize("time", ["", "two hours", "1:2:3:4", "-5", "0", "0:00"])
def test_what_is_no_time_limit_is_refused(time: str) -> None:
    with pytest.raises(UsageError, match="a time limit is"):
        minutes(time)


def test_options_are_of_the_engine_that_has_them() -> None:
    with pytest.raises(UsageError, match="--engine-option is for the engine slurm; local has none"):
        engine_of(None, options={"partition": "gpu"})
    with pytest.raises(UsageError, match="--engine-option array: the engine slurm sets it itself"):
        engine_of("slurm", options={"array": "0-3"})
    with pytest.raises(UsageError, match="--engine-option cpus_per_task=many: a whole number"):
        engine_of("slurm", options={"cpus-per-task": "many"})


def test_without_slurm_its_commands_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("submitit", reason="submitit is not installed (the extra `slurm`)")
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(DeviceMissingError, match="there is no sbatch here"):
        train_sweep(load_sweep(SLOW), ENGINES["slurm"](), SweepOptions(tmp_path / "runs"))
