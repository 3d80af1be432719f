"""The engine `ray`: one Ray task a fleet, on whatever machines a cluster has.

A worker that can read the driver's folder (there is a token file in it) writes into it. Any other trains in a temporary
folder, whose files return through the object store: with each checkpoint, and at the end. Ray retries nothing: a death
is an event, and the caller knows which runs are unfinished. Workers send their events and those files to an actor, the
event queue. If it dies, only they are lost.
"""

from __future__ import annotations

import contextlib
import logging
import os
import secrets
import signal
import socket
import threading
import time
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

from rnnlab.errors import DeviceMissingError, RnnlabError, UsageError
from rnnlab.interruptions import SIGNALS, Interruptions
from rnnlab.runs.folder import RunFolder, bookkeeping
from rnnlab.sweeps.engines.base import Engine
from rnnlab.sweeps.engines.ray_worker import INTERVAL, TIMEOUT, EventQueue, Files, work
from rnnlab.sweeps.jobs import Event, EventCallback, Job, JobSource

_GRACE = 15.0
"""Seconds that interrupted workers get for their checkpoints."""


class Ray(Engine):
    """Trains each fleet in a Ray task that asks for processors and, where the cluster has GPUs, a share of one.

    >>> from rnnlab.sweeps.engines import Ray
    >>> Ray(workers=8, address="ray://head:10001").cluster
    'ray://head:10001'
    """

    name: ClassVar[str] = "ray"
    here: ClassVar[bool] = False

    def __init__(
        self, workers: int | None = None, address: str | None = None, options: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(workers, options=options)
        self.cluster = address or "auto"

    def train(self, jobs: JobSource, on_event: EventCallback) -> None:
        with _connected(self.cluster) as ray, _token(jobs.out()) as token:
            _Tasks(ray, self.workers, token, on_event).train(jobs)


class _Tasks:
    """The running tasks, and the events that were reported of them."""

    def __init__(self, ray: Any, workers: int | None, token: str, on_event: EventCallback) -> None:
        self.ray, self.token, self.on_event = ray, token, on_event
        has = ray.cluster_resources()
        cpus, gpus = int(has.get("CPU", 0)), has.get("GPU", 0.0)
        if not cpus:
            raise DeviceMissingError("the Ray cluster has no CPU to train on; start a node with `ray start`")
        self.limit = min(workers or cpus, cpus)
        # A task runs on one machine: one that asks for more than any has would wait for ever.
        largest = max(int(node["Resources"].get("CPU", 0)) for node in ray.nodes() if node["Alive"])
        self.cpus, self.gpu = min(cpus // self.limit, largest), min(1.0, gpus / self.limit)
        self.task = ray.remote(num_cpus=self.cpus, max_retries=0)(work)
        self.events = _event_queue(ray)
        self.running: dict[Any, Job] = {}
        self.started: set[int] = set()
        self.ended: set[tuple[int, str]] = set()

    def train(self, jobs: JobSource) -> None:
        try:
            # Ray may drop a KeyboardInterrupt that is raised inside it, so one is delivered between two polls.
            with Interruptions() as interruptions:
                while True:
                    while len(self.running) < self.limit and (job := jobs.take()) is not None:
                        self.running[self._submit(job)] = job
                    if not self.running:
                        return
                    self._poll()
                    interruptions.deliver()
        except BaseException:
            self._stop()
            raise

    def _submit(self, job: Job) -> Any:
        files = {run.name: run.folder(job.out).contents() for run in job.runs if run.resume}
        gpu = 0.0 if all(run.config["device"] == "cpu" for run in job.runs) else self.gpu
        return self.task.options(num_gpus=gpu).remote(job.to_json(), self.token, files, self.cpus, self.events)

    def _poll(self) -> None:
        """Wait a moment; report new events, then the ends of tasks."""
        done, _ = self.ray.wait(list(self.running), timeout=INTERVAL)
        with contextlib.suppress(self.ray.exceptions.RayError):
            for event in map(Event.from_json, self.ray.get(self.events.take_all.remote(), timeout=TIMEOUT)):
                if any(event.job == job.number for job in self.running.values()):
                    self._report(event)
        for task in done:
            job = self.running.pop(task)
            for event in self._last_events(task, job):
                self._report(event)

    def _report(self, event: Event) -> None:
        """Report an event once. A job's `started` comes first, even if the message with it was lost."""
        if event.job not in self.started:
            self.started.add(event.job)
            self.on_event(Event("started", event.job))
        if event.kind == "started":
            return
        if event.kind == "run_ended":
            if (event.job, event.run) in self.ended:
                return
            self.ended.add((event.job, event.run))
        self.on_event(event)

    def _last_events(self, task: Any, job: Job) -> Iterator[Event]:
        try:
            report = self.ray.get(task)
            self._write(report.files, job)
        except self.ray.exceptions.RayTaskError as error:
            yield Event("raised", job.number, str(error.cause or error).strip().splitlines()[-1])
        except self.ray.exceptions.RayError as error:
            self._write_kept(job)
            yield Event("died", job.number, f"its Ray worker is gone: {_first_line(error)}")
        except (RnnlabError, OSError) as error:
            yield Event("refused", job.number, str(error))
        else:
            yield from report.ended
            yield report.final

    def _write(self, files: Files, job: Job) -> None:
        for run in job.runs:
            if run.name in files:
                RunFolder.create_from_files(job.out, run.name, files[run.name], force=run.resume)

    def _write_kept(self, job: Job) -> None:
        """Write the files that a worker without this disk sent with its last checkpoint, so that they are gone on with.

        Where they cannot be had, the runs begin again.
        """
        with contextlib.suppress(self.ray.exceptions.RayError, RnnlabError, OSError):
            self._write(self.ray.get(self.events.kept.remote(job.number), timeout=TIMEOUT), job)

    def _stop(self) -> None:
        """Let the workers write their checkpoints, and write the files that they return; kill those that do not end."""
        until = time.monotonic() + _GRACE
        with contextlib.suppress(Exception):  # the interruption that is being raised matters more
            self.events.close.remote()
            while self.running and time.monotonic() < until:
                done, _ = self.ray.wait(list(self.running), timeout=INTERVAL)
                for task in done:
                    job = self.running.pop(task)
                    with contextlib.suppress(Exception):
                        self._write(self.ray.get(task).files, job)
            for task in self.running:
                self.ray.cancel(task, force=True)


@contextlib.contextmanager
def _connected(address: str) -> Iterator[Any]:
    """Ray, connected to the cluster. An existing connection is kept."""
    try:
        import ray
    except ImportError as error:
        raise UsageError("the engine ray needs the package ray: pip install 'rnnlab[ray]'") from error
    if ray.is_initialized():
        yield ray
        return
    _check_reachable(address)
    try:
        try:
            _connect(ray, address)
        except ConnectionAbortedError:
            # The process that a cluster starts for each client may end at once: then another one is asked for.
            _connect(ray, address)
    except Exception as error:  # the type depends on the address and on Ray's version
        raise DeviceMissingError(_unreachable(address, _first_line(error))) from error
    try:
        yield ray
    finally:
        ray.shutdown()


def _connect(ray: Any, address: str) -> None:
    """Connect, or leave Ray as it was: after a client that failed it would refuse every other connection."""
    try:
        with _same_handlers():
            ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR)
    except Exception:
        ray.shutdown()
        raise


@contextlib.contextmanager
def _same_handlers() -> Iterator[None]:
    """Keep the handlers of signals: Ray's own for SIGTERM ends the process on the spot, without a word."""
    handlers = {number: signal.getsignal(number) for number in SIGNALS}
    try:
        yield
    finally:
        if threading.current_thread() is threading.main_thread():
            for number, handler in handlers.items():
                signal.signal(number, handler)


def _check_reachable(address: str) -> None:
    """Raise DeviceMissingError soon where no Ray cluster answers. Ray itself would try for minutes."""
    target = address.removeprefix("ray://")
    host, colon, port = target.rpartition(":")
    # Behind TLS only Ray can connect.
    if address in ("auto", "local") or os.environ.get("RAY_USE_TLS", "0") != "0":
        return
    if not colon or not port.isdigit():
        raise UsageError(f"--address {address} is none; write auto, HOST:PORT or ray://HOST:PORT")
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=TIMEOUT).close()
    except (OSError, OverflowError) as error:
        raise DeviceMissingError(_unreachable(address, str(error))) from error
    with contextlib.suppress(ImportError):
        import grpc

        with grpc.insecure_channel(target) as channel:
            try:
                grpc.channel_ready_future(channel).result(timeout=TIMEOUT)
            except grpc.FutureTimeoutError as error:
                raise DeviceMissingError(_unreachable(address, "what listens there is not Ray")) from error


def _unreachable(address: str, reason: str) -> str:
    hint = "`ray start --head` starts one here, and --address says where another is"
    return f"there is no Ray cluster at {address} ({reason}); {hint}"


@contextlib.contextmanager
def _token(out: str) -> Iterator[str]:
    """A file in the driver's folder by which workers recognize it."""
    path = bookkeeping(out) / f"ray-{secrets.token_hex(8)}"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()
    try:
        yield str(path)
    finally:
        path.unlink(missing_ok=True)


def _event_queue(ray: Any) -> Any:
    """The event queue, on the driver's node if possible: it must live longer than the workers."""
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=True)
    return ray.remote(num_cpus=0, scheduling_strategy=here)(EventQueue).remote()


def _first_line(error: BaseException) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    if not lines:
        return type(error).__name__
    # The header of a traceback, whose last line is the error.
    return lines[-1] if lines[0].endswith(":") else lines[0]
