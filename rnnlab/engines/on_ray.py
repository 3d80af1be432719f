"""The engine `ray`: one Ray task a fleet, on whatever machines a cluster has.

A worker that sees the driver's folder (a token in it says so) writes there; any other trains in a folder of its own,
and what it wrote comes back through the object store. Ray retries nothing here: what died is told, and the caller knows
what is left of it. News on the way go through a mailbox, an actor; losing it loses the news and nothing else.
"""

from __future__ import annotations

import contextlib
import logging
import os
import secrets
import socket
import time
from collections.abc import Iterator
from typing import Any, ClassVar

from rnnlab.engines.base import Engine
from rnnlab.engines.ray_worker import KNOCK, OFTEN, Files, Mailbox, work
from rnnlab.errors import DeviceMissingError, RnnlabError, UsageError
from rnnlab.interruptions import Interruptions
from rnnlab.jobs import Event, Hear, Job, Queue
from rnnlab.rundir import RunDir, bookkeeping

_GRACE = 15.0
"""Seconds that interrupted workers have for their checkpoints."""


class Ray(Engine):
    """Trains each fleet in a Ray task that asks for processors and, where the cluster has GPUs, a share of one."""

    name: ClassVar[str] = "ray"
    here: ClassVar[bool] = False

    def __init__(self, workers: int | None = None, address: str | None = None) -> None:
        super().__init__(workers)
        self.cluster = address or "auto"

    def train(self, jobs: Queue, hear: Hear) -> None:
        with _connected(self.cluster) as ray, _token(jobs.out()) as token:
            _Tasks(ray, self.workers, token, hear).train(jobs)


class _Tasks:
    """The tasks that run, and what is heard of them."""

    def __init__(self, ray: Any, workers: int | None, token: str, hear: Hear) -> None:
        self.ray, self.token, self.hear = ray, token, hear
        has = ray.cluster_resources()
        cpus, gpus = int(has.get("CPU", 0)), has.get("GPU", 0.0)
        if not cpus:
            raise DeviceMissingError("the Ray cluster has no CPU to train on; start a node with `ray start`")
        self.most = min(workers or cpus, cpus)
        # A task runs on one machine: one that asks for more than any has would wait for ever.
        largest = max(int(node["Resources"].get("CPU", 0)) for node in ray.nodes() if node["Alive"])
        self.cpus, self.gpu = min(cpus // self.most, largest), min(1.0, gpus / self.most)
        self.task = ray.remote(num_cpus=self.cpus, max_retries=0)(work)
        self.mailbox = _mailbox(ray)
        self.running: dict[Any, Job] = {}
        self.begun: set[int] = set()
        self.told: set[tuple[int, str]] = set()

    def train(self, jobs: Queue) -> None:
        try:
            # Raised inside Ray, a KeyboardInterrupt may be dropped there; between two looks at the tasks it is heard.
            with Interruptions() as interruptions:
                while True:
                    while len(self.running) < self.most and (job := jobs.take()) is not None:
                        self.running[self._submit(job)] = job
                    if not self.running:
                        return
                    self._listen()
                    interruptions.let_in()
        except BaseException:
            self._stop()
            raise

    def _submit(self, job: Job) -> Any:
        luggage = {item.name: item.folder(job.out).contents() for item in job.items if item.again}
        gpu = 0.0 if all(item.config["device"] == "cpu" for item in job.items) else self.gpu
        return self.task.options(num_gpus=gpu).remote(job.to_json(), self.token, luggage, self.cpus, self.mailbox)

    def _listen(self) -> None:
        """Wait a moment; hand on the news, then how tasks ended."""
        done, _ = self.ray.wait(list(self.running), timeout=OFTEN)
        with contextlib.suppress(self.ray.exceptions.RayError):
            for event in map(Event.from_json, self.ray.get(self.mailbox.empty.remote(), timeout=KNOCK)):
                if any(event.job == job.number for job in self.running.values()):
                    self._tell(event)
        for one in done:
            job = self.running.pop(one)
            for event in self._ending(one, job):
                self._tell(event)

    def _tell(self, event: Event) -> None:
        """Hand on what is heard for the first time; a letter that was lost must not leave a job without a beginning."""
        if event.job not in self.begun:
            self.begun.add(event.job)
            self.hear(Event("began", event.job))
        if event.kind == "began":
            return
        if event.kind == "ended":
            if (event.job, event.run) in self.told:
                return
            self.told.add((event.job, event.run))
        self.hear(event)

    def _ending(self, done: Any, job: Job) -> Iterator[Event]:
        try:
            report = self.ray.get(done)
            self._write(report.files, job)
        except self.ray.exceptions.RayTaskError as error:
            yield Event("raised", job.number, str(error.cause or error).strip().splitlines()[-1])
        except self.ray.exceptions.RayError as error:
            yield Event("died", job.number, f"its Ray worker is gone: {_first_line(error)}")
        except (RnnlabError, OSError) as error:
            yield Event("refused", job.number, str(error))
        else:
            yield from report.ended
            yield report.last

    def _write(self, files: Files, job: Job) -> None:
        for item in job.items:
            if item.name in files:
                RunDir.take_in(job.out, item.name, files[item.name], force=item.again)

    def _stop(self) -> None:
        """Let the workers write their checkpoints, and take in what they send; those that do not end are killed."""
        until = time.monotonic() + _GRACE
        with contextlib.suppress(Exception):  # whatever it is, the interruption is on its way already
            self.mailbox.close.remote()
            while self.running and time.monotonic() < until:
                done, _ = self.ray.wait(list(self.running), timeout=OFTEN)
                for one in done:
                    job = self.running.pop(one)
                    with contextlib.suppress(Exception):
                        self._write(self.ray.get(one).files, job)
            for one in self.running:
                self.ray.cancel(one, force=True)


@contextlib.contextmanager
def _connected(address: str) -> Iterator[Any]:
    """Ray, connected to the cluster; a connection that was there before stays."""
    try:
        import ray
    except ImportError as error:
        raise UsageError("the engine ray needs the package ray: pip install 'rnnlab[ray]'") from error
    if ray.is_initialized():
        yield ray
        return
    _knock(address)
    try:
        ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR)
    except Exception as error:  # Ray raises whatever it trips over, by address and version
        raise DeviceMissingError(_unreachable(address, _first_line(error))) from error
    try:
        yield ray
    finally:
        ray.shutdown()


def _knock(address: str) -> None:
    """Raise DeviceMissingError soon where nobody listens, or something else; Ray itself would try for minutes."""
    where = address.removeprefix("ray://")
    host, colon, port = where.rpartition(":")
    # Behind TLS only Ray knows how to ask.
    if address in ("auto", "local") or os.environ.get("RAY_USE_TLS", "0") != "0":
        return
    if not colon or not port.isdigit():
        raise UsageError(f"--address {address} is none; write auto, HOST:PORT or ray://HOST:PORT")
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=KNOCK).close()
    except (OSError, OverflowError) as error:
        raise DeviceMissingError(_unreachable(address, str(error))) from error
    with contextlib.suppress(ImportError):
        import grpc

        with grpc.insecure_channel(where) as channel:
            try:
                grpc.channel_ready_future(channel).result(timeout=KNOCK)
            except grpc.FutureTimeoutError as error:
                raise DeviceMissingError(_unreachable(address, "what listens there is not Ray")) from error


def _unreachable(address: str, why: str) -> str:
    cure = "`ray start --head` starts one here, and --address says where another is"
    return f"there is no Ray cluster at {address} ({why}); {cure}"


@contextlib.contextmanager
def _token(out: str) -> Iterator[str]:
    """A file in the driver's folder, for workers to look for."""
    path = bookkeeping(out) / f"ray-{secrets.token_hex(8)}"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()
    try:
        yield str(path)
    finally:
        path.unlink(missing_ok=True)


def _mailbox(ray: Any) -> Any:
    """The mailbox, near the driver: it is to outlive the workers."""
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=True)
    return ray.remote(num_cpus=0, scheduling_strategy=here)(Mailbox).remote()


def _first_line(error: BaseException) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    if not lines:
        return type(error).__name__
    # One that only announces a traceback: what was raised stands last in it.
    return lines[-1] if lines[0].endswith(":") else lines[0]
