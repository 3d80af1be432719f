"""Sweeps on a Ray cluster of two nodes, whose drivers, workers and nodes are killed at random moments.

Workers of Ray are processes of the cluster, which no shim of one case can reach; only the long form comes here.
"""

from __future__ import annotations

import os
import random
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import yaml
from chaos.faulting import Outcome, unclear
from chaos.forks import ROOT, Ended
from chaos.records import Record, records
from chaos.scenarios import CONFIG
from clusters import RAY, Cluster

RAY_PART = "ray"
CASES = 5
SLOW = 0.01
"""Seconds that each batch takes besides, so that there is something to hit."""
ENDS = {
    "driver killed": signal.SIGKILL,
    "driver SIGTERM": signal.SIGTERM,
    "driver SIGINT": signal.SIGINT,
    "worker killed": None,
    "node killed": None,
}
BASE: dict[str, Any] = {**CONFIG, "train": {**CONFIG["train"], "updates": 150, "checkpoint_seconds": 0.2}}
SWEEP = {"base": BASE, "axes": {"grid": {"task.length": [10, 13, 14, 15]}}, "seeds": 2}
TIMEOUT = 240.0


def ray_outcomes() -> list[Outcome]:
    """All cases, on one cluster; none where Ray is not installed."""
    if not RAY.exists():
        print("ray is not installed: no cases on it", file=sys.stderr)
        return []
    with tempfile.TemporaryDirectory() as marks, tempfile.TemporaryDirectory() as folder:
        paths = os.pathsep.join([str(ROOT), str(ROOT / "tests" / "faults")])
        environment = {"PYTHONPATH": paths, "RNNLAB_FAULTS": marks, "RNNLAB_SLOW": str(SLOW), "OMP_NUM_THREADS": "1"}
        (Path(marks) / "killed").touch()  # no other fault is wanted of it
        cluster = Cluster(environment)
        try:
            return list(_Cases(cluster, Path(folder), environment).outcomes())
        finally:
            cluster.stop()


class _Cases:
    def __init__(self, cluster: Cluster, folder: Path, environment: dict[str, str]) -> None:
        self.cluster, self.folder = cluster, folder
        self.environment = {**os.environ, **environment}
        self.draw = random.Random(11)

    def outcomes(self) -> Iterator[Outcome]:
        ended = self._end(self._start(self._work("expected"), "inline"))
        assert ended.code == 0, ended
        expected = records(self.folder / "expected" / "runs")
        for number in range(CASES):
            yield self._case(number, [*ENDS][number % len(ENDS)], expected)

    def _case(self, number: int, fault: str, expected: dict[str, Record]) -> Outcome:
        work = self._work(str(number))
        driver = self._start(work)
        self._until_it_trains(work, driver)
        seconds = self.draw.uniform(0, 3)
        time.sleep(seconds)
        self._strike(fault, driver)
        ended = self._end(driver)
        wrong = [*unclear("", ended)] if ended.code != -signal.SIGKILL else []
        then = self._end(self._start(work))
        wrong += [*unclear("", then), *([] if then.code == 0 else [f"does not go on: {then.how}: {then.err[-300:]}"])]
        there = records(work / "runs")
        wrong += [f"{name} is missing" for name in expected.keys() - there.keys()]
        wrong += [
            f"{name} differs: {', '.join(names)}"
            for name, record in there.items()
            if (names := record.differs(expected[name]) if name in expected else ["it is none of the runs"])
        ]
        return Outcome(RAY_PART, fault, f"{seconds:.2f} s", ended.how, "at once", tuple(wrong))

    def _work(self, name: str) -> Path:
        work = self.folder / name
        work.mkdir()
        (work / "config.yaml").write_text(yaml.safe_dump(SWEEP))
        return work

    def _start(self, work: Path, engine: str = "ray") -> subprocess.Popen[str]:
        address = ["--address", self.cluster.address] if engine == "ray" else []
        command = [sys.executable, "-m", "rnnlab", "sweep", "-c", "config.yaml", "--engine", engine, *address]
        pipe = subprocess.PIPE
        return subprocess.Popen(command, cwd=work, env=self.environment, stdout=pipe, stderr=pipe, text=True)

    def _end(self, driver: subprocess.Popen[str]) -> Ended:
        try:
            out, err = driver.communicate(timeout=TIMEOUT)
        except subprocess.TimeoutExpired:
            driver.kill()
            return Ended(-signal.SIGKILL, *driver.communicate(), hung=True)
        # What Ray itself prints of a node or worker that died is no message of rnnlab.
        kept = [line for line in err.splitlines() if not re.match(r"\x1b?\[?.*(\(raylet|\(autoscaler|ray)", line)]
        return Ended(driver.returncode, out, "\n".join(kept))

    def _until_it_trains(self, work: Path, driver: subprocess.Popen[str]) -> None:
        until = time.monotonic() + TIMEOUT
        while not list(work.glob("runs/*/checkpoint.pt")):
            assert driver.poll() is None, "the sweep on Ray ended before it trained"
            assert time.monotonic() < until, "the sweep on Ray did not begin"
            time.sleep(0.02)

    def _strike(self, fault: str, driver: subprocess.Popen[str]) -> None:
        if number := ENDS[fault]:
            driver.send_signal(number)
        elif fault == "node killed":
            self.cluster.kill(self.cluster.node)
            self.cluster.node = self.cluster.add()
        elif workers := self._workers():
            self.draw.choice(workers).kill()

    def _workers(self) -> list[psutil.Process]:
        """The processes that train."""
        nodes = [psutil.Process(node.pid) for node in (self.cluster.head, self.cluster.node)]
        below = [child for node in nodes for child in node.children(recursive=True)]
        return [
            one for one in below if (one.cmdline() or [""])[0].startswith("ray::") and "IDLE" not in one.cmdline()[0]
        ]
