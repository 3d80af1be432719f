"""One case: a command, an operation and a fault; and the law that it is held to.

Whatever happens, the command ends by the signal or with a clear message, and nothing on disk that says it is complete
is anything but the undisturbed run. Once it may go on, it ends in the bytes of the undisturbed run.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from chaos.forks import Ended, Warm
from chaos.records import Record
from chaos.scenarios import CONFIG, PAGE, Scenario
from chaos.shim import ERRORS, FAULTS

MEMORY = Path("/dev/shm")
REFUSED = {name: os.strerror(number) for name, number in ERRORS.items()}
CODES = {"SIGTERM": {0, 143}, "SIGINT": {0, 130}, "SIGSTOP": {0}, "clock-": {0}, "clock+": {0}}
"""The exit codes after a fault; of errors those of a clear message, or none where the command could do without."""
NUMBERS = {"SIGKILL": signal.SIGKILL, "SIGTERM": signal.SIGTERM, "SIGINT": signal.SIGINT}


@dataclass(frozen=True)
class Outcome:
    """What became of a case.

    >>> Outcome("train", "kill", "operation 3", "SIGKILL", "same command", ()).good
    True
    """

    scenario: str
    fault: str
    at: str
    how: str
    """How the command ended."""
    then: str
    """How it went on."""
    violations: tuple[str, ...]
    refused: bool = False
    """Whether it went on only after a refusal that says how."""

    @property
    def good(self) -> bool:
        return not self.violations

    def __str__(self) -> str:
        return f"{self.scenario}, {self.fault} at {self.at}: {self.how}; {self.then}: {'; '.join(self.violations)}"


class Bench:
    """A scenario with its undisturbed result, on which cases are run.

    >>> Bench(SCENARIOS["train"], warm).case(17, "kill").good  # doctest: +SKIP
    True
    """

    def __init__(self, scenario: Scenario, warm: Warm) -> None:
        self.scenario, self.warm = scenario, warm
        self._holder = tempfile.TemporaryDirectory(dir=MEMORY if MEMORY.is_dir() else None, prefix="chaos-")
        self.folder = Path(self._holder.name)
        self._cases = 0
        self.other = self.folder / "other.yaml"
        self.other.write_text(yaml.safe_dump(CONFIG))
        scenario.prepare(self.folder / "start", warm)
        self.start = self.folder / "start" / "work"
        work, begun = self._work(), time.monotonic()
        ended = scenario.run(work, warm, scenario.plan(work, record=True))
        self.seconds = time.monotonic() - begun
        assert ended.code == 0, ended
        self.undisturbed = ended
        self.expected: dict[str, Record] = scenario.result(work)
        lines = (work.parent / "state" / "log").read_text().splitlines()
        self.log: list[dict[str, Any]] = [*map(json.loads, lines)]
        self.recorded_in = work
        self.operations = [entry for entry in self.log if "op" in entry]
        self.recorded = {str(path.relative_to(work)): path.read_bytes() for path in work.rglob("*") if path.is_file()}
        """Every file that the recording left."""
        shutil.rmtree(work.parent)

    def close(self) -> None:
        self._holder.cleanup()

    def new_folder(self) -> Path:
        """The path of a folder for one case."""
        self._cases += 1
        return self.folder / str(self._cases)

    def _work(self) -> Path:
        return self.scenario.prepare(self.new_folder(), self.warm, self.start)

    def cases(self) -> Iterator[tuple[int, str]]:
        """Every operation with every fault that it can have."""
        for at, entry in enumerate(self.operations):
            yield from ((at, fault) for fault in FAULTS if fault != "torn" or entry["op"] == "write")

    def case(self, at: int, fault: str) -> Outcome:
        """Disturb one operation, and go on."""
        work = self._work()
        ended = self.scenario.run(work, self.warm, self.scenario.plan(work, at, fault))
        return self._judged(
            work, fault, ended, f"operation {at} ({ended.struck.split()[0] if ended.struck else 'not reached'})"
        )

    def kick(self, name: str, seconds: float) -> Outcome:
        """Send a signal from outside after so many seconds, and go on."""
        work = self._work()
        ended = self.scenario.run(work, self.warm, kick=(seconds, NUMBERS[name]))
        return self._judged(work, f"{name} from outside", ended, f"{seconds:.3f} s")

    def _judged(self, work: Path, fault: str, ended: Ended, at: str) -> Outcome:
        _put_back(work / self.scenario.folder)
        all_there = ended.code == 0 and fault not in self.scenario.loses
        wrong = [*unclear(fault, ended), *self.believed(work, all_there=all_there)]
        wrong += self.scenario.more_laws(work, fault, ended, self.undisturbed, self.expected)
        _age(work)
        then = self.scenario.go_on(work, self.warm)
        last = then[-1]
        if last.code:
            wrong.append(f"does not go on: {last.how}: {last.err[-300:]}")
        wrong += [text for step in then for text in unclear("", step)]
        wrong += [f"afterwards: {text}" for text in self.believed(work, all_there=True)]
        wrong += [f"left: {name}" for name in self._remains(work)]
        shutil.rmtree(work.parent)
        how = ended.how + ("" if ended.struck or "outside" in fault else " (before the fault)")
        going_on = "at once" if len(then) == 1 else _reason(then[0])
        return Outcome(self.scenario.name, fault, at, how, going_on, tuple(wrong), refused=len(then) > 1)

    def _remains(self, work: Path) -> list[str]:
        """What is left of it; of half-made folders the next start takes care, if there has been none."""
        left = self.scenario.remains(work)
        if any(".new-" in name or ".old-" in name for name in left):
            self.warm.run(["train", "-c", str(self.other), "--name", "other", "-q"], work)
            shutil.rmtree(work / "runs/other")
            left = self.scenario.remains(work)
        return left

    def believed(self, work: Path, *, all_there: bool) -> Iterator[str]:
        """What is complete on disk must be the undisturbed result."""
        there = self.scenario.result(work)
        if self.scenario.name == "report" and not all_there:
            old = {name: Record("completed", {name: (self.start / name).read_bytes()}) for name in self.expected}
            if there not in ({}, old, self.expected):
                yield "the page is neither the old one nor the new one"
            return
        for name, record in there.items():
            if name not in self.expected:
                yield f"{name} is none of the runs"
            elif (all_there or record.contents) and (names := record.differs(self.expected[name])):
                yield f"{name} differs: {', '.join(names)}"
        if all_there and (missing := self.expected.keys() - there.keys()):
            yield f"missing: {', '.join(missing)}"


def unclear(fault: str, ended: Ended) -> Iterator[str]:
    """What is wrong with how a command ended, whatever is on disk."""
    text = ended.err
    if ended.hung:
        yield "hangs"
    if match := re.search(r"Traceback.*|.*bug in rnnlab", text + ended.out, re.DOTALL):
        yield f"a bug: {match.group()[-400:]} {text[-400:]}"
    if fault in CODES and ended.code not in CODES[fault]:
        yield f"{ended.how}: {text[-300:]}"
    by_it = {"kill": "SIGKILL", "torn": "SIGKILL", **{f"{name} from outside": name for name in NUMBERS}}
    if ended.code < 0 and ended.how != by_it.get(fault):
        yield f"ends by {ended.how}: {text[-300:]}"
    if ended.code > 0 and not re.search(r"^(rnnlab: .+|interrupted.*)", text, re.MULTILINE):
        yield f"{ended.how} without a message: {text[-300:]}"
    if ended.code > 0 and fault in REFUSED and REFUSED[fault] not in text and "disk is full" not in text:
        yield f"does not say why: {text[-300:]}"


def _put_back(folder: Path) -> None:
    """The folder that vanished is there again, unless the command made a new one."""
    gone = folder.with_name(f"{folder.name}.gone") if folder.name else folder
    if gone.exists() and not folder.exists():
        gone.rename(folder)
    shutil.rmtree(f"{folder}.gone", ignore_errors=True)


def _age(work: Path) -> None:
    """Drafts are of a while ago: what a living process may be writing is left alone."""
    for pattern in ("runs/.*.new-*", f".{PAGE}.*"):
        for draft in work.glob(pattern):
            os.utime(draft, (0, 0))


def _reason(ended: Ended) -> str:
    lines = [line for line in ended.err.splitlines() if line.startswith("rnnlab: ")]
    return (
        f"refused first ({re.sub('r[0-9]+|[0-9]+', 'N', lines[-1][8:])[:120]})" if lines else f"refused ({ended.how})"
    )
