"""A user's loop under `rnnlab.watch`, disturbed as the commands are, and what else it is held to.

Whatever happens to rnnlab's files, the user's training goes on and ends in the same weights. The rows on disk are a
beginning of the undisturbed ones, and a reader takes the whole ones of them.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from chaos.calls import called
from chaos.forks import Ended, Warm
from chaos.records import Record, without_seconds
from chaos.scenarios import Scenario
from chaos.shim import ERRORS, SIGNALS, Plan
from chaos.users_loop import BEGUN

import rnnlab
from rnnlab.errors import RnnlabError

RUN = "runs/r"
ENDS_THE_PROGRAM = {"kill", "torn", *SIGNALS} - {"SIGSTOP"}
"""Besides the signals from outside."""


class WatchedLoop(Scenario):
    """users_loop.py in a folder of its own."""

    def go_on(self, work: Path, warm: Warm, plan: Plan | None = None) -> list[Ended]:
        """The program is run again, in place of the run that is there."""
        return [warm.run([*self.command, "--force"], work, plan)]

    def more_laws(
        self, work: Path, fault: str, ended: Ended, undisturbed: Ended, expected: dict[str, Record]
    ) -> Iterator[str]:
        """What is wrong with the user's training, and with the rows that are on disk."""
        goes_on = fault not in ENDS_THE_PROGRAM and "outside" not in fault
        if ended.out.startswith(BEGUN) and goes_on and ended.code:
            yield f"the user's training is stopped: {ended.how}: {ended.err[-300:]}"
        if ended.code == 0 and ended.out != undisturbed.out:
            yield "the user's training is changed"
        contents = expected["r"].contents
        for name in ("gradients.csv", "metrics.csv"):
            path = work / RUN / name
            rows = path.read_bytes() if path.exists() else b""
            if not contents[name].startswith(rows if name == "gradients.csv" else _without_seconds(rows)):
                yield f"{name} is no beginning of the undisturbed one"
        yield from _misread(work / RUN)


def _without_seconds(rows: bytes) -> bytes:
    """Of a row that was cut, nothing: its seconds may be cut."""
    return without_seconds(rows[: rows.rfind(b"\n") + 1].decode()) if b"\n" in rows else b""


def _misread(folder: Path) -> Iterator[str]:
    """A reader takes the rows of gradients.csv that are whole, or names the file; and no command calls it damaged."""
    path = folder / "gradients.csv"
    if not (folder / "run.json").exists():
        return
    # Raises where one of them ends as a bug.
    codes = {command: called(command, str(folder)).code for command in ("ls", "show", "report", "verify")}
    yield from (f"`rnnlab {command}` ends with {code}" for command, code in codes.items() if code)
    if not path.exists():
        return
    whole = max(0, path.read_bytes().count(b"\n") - 1)
    try:
        read = len(rnnlab.Run(folder).gradients)
    except RnnlabError as error:
        if "gradients.csv" not in str(error) and whole:
            yield f"the reader says {error}"
        return
    if read != whole:
        yield f"{read} rows of {whole} are read"


WATCH = WatchedLoop("watch", ("python", "chaos.users_loop"), {}, loses=frozenset({"vanish", *ERRORS}))
