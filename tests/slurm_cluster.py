"""A SLURM cluster of one node on this machine, with daemons of its own (Debian's slurm-wlm and munge).

A job that was queued again waits until its old credential has expired: two minutes where cred_expire is not given.
"""

from __future__ import annotations

import getpass
import os
import secrets
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

import pytest
from clusters import free_port

DAEMONS = {
    name: shutil.which(name, path=f"{os.environ['PATH']}:/usr/sbin") for name in ("munged", "slurmctld", "slurmd")
}
MISSING = [name for name, path in DAEMONS.items() if path is None]

CONF = """
ClusterName=test
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={ctld}
SlurmdPort={slurmd}
SlurmUser={user}
SlurmdUser={user}
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket,cred_expire=5
CredType=cred/munge
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
ReturnToService=2
SchedulerParameters=batch_sched_delay=0,sched_interval=1,sched_min_interval=0
KillWait=5
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
MpiDefault=none
NodeName={host} NodeAddr=127.0.0.1 CPUs={cpus} State=UNKNOWN
PartitionName=low Nodes=ALL Default=YES MaxTime=INFINITE State=UP PriorityTier=1 GraceTime=3
PartitionName=high Nodes=ALL MaxTime=INFINITE State=UP PriorityTier=10
"""


class SlurmCluster:
    """One node; partition `high` preempts partition `low`, whose jobs are then queued again."""

    def __init__(self) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="slurm-", dir="/tmp", ignore_cleanup_errors=True)
        folder, host = Path(self._folder.name), socket.gethostname().partition(".")[0]
        for name in ("state", "spool"):
            (folder / name).mkdir()
        key = folder / "munge.key"
        key.write_bytes(secrets.token_bytes(128))
        key.chmod(0o600)
        values = {"host": host, "user": getpass.getuser(), "folder": folder, "cpus": os.cpu_count()}
        conf = folder / "slurm.conf"
        conf.write_text(CONF.format(**values, ctld=free_port(), slurmd=free_port()))
        self.environment = {"SLURM_CONF": str(conf)}
        munge = {"socket": "socket", "pid-file": "pid", "log-file": "log", "seed-file": "seed"}
        options = [f"--{option}={folder}/munge.{suffix}" for option, suffix in munge.items()]
        self._daemons = [
            self._start("munged", "--foreground", "--force", f"--key-file={key}", *options),
            self._start("slurmctld", "-D", "-c"),
            self._start("slurmd", "-D", "-N", host),
        ]
        self._until_it_is_idle()

    def _start(self, name: str, *options: str) -> subprocess.Popen[bytes]:
        command = [str(DAEMONS[name]), *options]
        where = {**os.environ, **self.environment}
        return subprocess.Popen(
            command, env=where, start_new_session=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )

    def call(self, *command: str, environment: Mapping[str, str] | None = None) -> str:
        """What a command of SLURM prints."""
        where = {**os.environ, **self.environment, **(environment or {})}
        return subprocess.run(command, env=where, check=True, capture_output=True, text=True).stdout

    def elements(self, state: str = "all") -> list[str]:
        """The ids of the elements in that state."""
        return self.call("squeue", "--noheader", "--array", "--format=%i", f"--states={state}").split()

    def _until_it_is_idle(self) -> None:
        until = time.monotonic() + 60
        while time.monotonic() < until:
            if any(daemon.poll() is not None for daemon in self._daemons):
                break
            done = subprocess.run(
                ["sinfo", "--noheader", "--format=%T"],
                env={**os.environ, **self.environment}, capture_output=True, text=True, check=False,
            )  # fmt: skip
            if "idle" in done.stdout:
                return
            time.sleep(0.2)
        logs = self._logs()
        self.stop()
        # What a container forbids its daemons (sockets, process groups) is no fault of the engine's.
        pytest.skip(f"SLURM's daemons do not start here: {logs}")

    def _logs(self) -> str:
        return "\n".join(path.read_text(errors="replace")[-500:] for path in Path(self._folder.name).glob("*.log"))

    def stop(self) -> None:
        subprocess.run(["scancel", f"--user={getpass.getuser()}"], env={**os.environ, **self.environment}, check=False)
        for daemon in reversed(self._daemons):
            daemon.terminate()
            daemon.wait(30)
        self._folder.cleanup()
