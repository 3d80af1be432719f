"""Power failures of a command: every moment, and of each every image of the disk; and the law that they are held to.

What was said to be done by then is there: a run goes on from the last checkpoint that was reported or a later one, a
run whose end was reported is complete, and so is a page. Nothing that says it is complete differs from the undisturbed
run. The same command, or `--resume`, goes on to the undisturbed result; before anything was reported it may refuse,
with the reason.
"""

from __future__ import annotations

import json
import os
import random
import shutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from chaos.faulting import Bench, Outcome, unclear
from chaos.forks import Warm
from chaos.power import VARIANTS, Disk, digest, write_image
from chaos.scenarios import PAGE, Scenario

Image = Mapping[str, bytes | None]
CLAIMS = "runs/.rnnlab/claims.sqlite"


@dataclass(frozen=True)
class Outage:
    """What the disk holds when the power fails, and what had been said to be done."""

    moment: int
    variant: str
    image: Image
    checkpoints: Mapping[str, int]
    """The last checkpoint that was reported, by run."""
    ended: frozenset[str]
    """The runs and pages whose end was reported."""


class PowerBench:
    """A recording of a command, from which outages are made and judged.

    without: operations that are left out of the recording, to see that the law notices.

    >>> bench = PowerBench(SCENARIOS["train"], warm)  # doctest: +SKIP
    >>> [bench.judge(outage).good for outage in bench.outages(mixed=2)]  # doctest: +SKIP
    """

    def __init__(
        self, scenario: Scenario, warm: Warm, without: Callable[[Mapping[str, Any]], bool] = lambda entry: False
    ) -> None:
        self.bench = Bench(replace(scenario, folder="."), warm)
        self.scenario, self.warm = self.bench.scenario, warm
        self.entries = [_relative(entry, self.bench.recorded_in) for entry in self.bench.log if not without(entry)]

    def close(self) -> None:
        self.bench.close()

    def outages(self, mixed: int) -> Iterator[Outage]:
        """Each image once, with the most that had been said by any moment that can leave it; `mixed` draws a moment."""
        disk = Disk.of(self.bench.start)
        checkpoints: dict[str, int] = {}
        ended: set[str] = set()
        found: dict[str, Outage] = {}
        for moment, entry in enumerate(self.entries):
            disk.apply(entry)
            said = entry.get("said", {})
            if said.get("what") == "checkpoint":
                checkpoints[said["run"]] = said["updates"]
            elif said.get("what") in ("ended", "page"):
                ended.add(said.get("run", PAGE))
            for variant, seed in [*((name, 0) for name in VARIANTS), *(("mixed", k) for k in range(mixed))]:
                image = disk.image(variant, 1000 * moment + seed)
                if variant == "mixed":
                    image |= self._bookkeeping(image, random.Random(1000 * moment + seed))
                found[digest(image)] = Outage(moment, variant, image, dict(checkpoints), frozenset(ended))
        return iter(found.values())

    def _bookkeeping(self, image: Image, random: random.Random) -> Image:
        """The claims as a file that was written without any fsync may be."""
        whole = self.bench.recorded.get(CLAIMS)
        if "runs" not in image or not whole or random.random() < 0.5:
            return {}
        cut = whole[: random.randrange(0, len(whole), 512)]
        start = random.randrange(0, len(whole), 512)
        zeros = whole[:start] + bytes(min(4096, len(whole) - start)) + whole[start + 4096 :]
        return {os.path.dirname(CLAIMS): None, CLAIMS: random.choice([whole, cut, zeros])}

    def judge(self, outage: Outage) -> Outcome:
        """Start from what the disk holds, and go on."""
        folder = self.bench.new_folder()
        work = folder / "work"
        folder.mkdir()
        write_image(outage.image, work)
        (folder / "state").mkdir()
        wrong = [*self.bench.believed(work, all_there=False)]
        there = self.scenario.result(work)
        wrong += [
            f"the end of {name} was reported, and it is {there[name].status if name in there else 'not there'}"
            for name in outage.ended
            if name not in there or there[name].differs(self.bench.expected[name])
        ]
        plan = self.scenario.plan(work, record=True)
        then = self.scenario.go_on(work, self.warm, plan)
        wrong += [] if then[-1].code == 0 else [f"does not go on: {then[-1].how}: {then[-1].err[-300:]}"]
        wrong += [text for step in then for text in unclear("", step)]
        complete = {name for name, record in there.items() if record.status == "completed"}
        wrong += self._lost(outage, _resumed(folder / "state" / "log"), complete)
        wrong += [f"afterwards: {text}" for text in self.bench.believed(work, all_there=True)]
        shutil.rmtree(folder)
        at, fault = f"moment {outage.moment} of {len(self.entries)}", f"power, {outage.variant}"
        refused = len(then) > 1
        return Outcome(self.scenario.name, fault, at, "power cut", then[0].err[-300:], tuple(wrong), refused=refused)

    def _lost(self, outage: Outage, resumed: Mapping[str, int], complete: set[str]) -> Iterator[str]:
        for run, updates in outage.checkpoints.items():
            if run in resumed and resumed[run] < updates:
                yield f"{run}: a checkpoint of update {updates} was reported, and it goes on from {resumed[run]}"
            if run not in resumed and run not in complete:
                yield f"{run}: a checkpoint of update {updates} was reported, and it does not go on"


def _relative(entry: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    """An entry of the log with paths below the folder of the command."""
    return {key: os.path.relpath(value, folder) if key in ("path", "to") else value for key, value in entry.items()}


def _resumed(log: Path) -> dict[str, int]:
    """The update that each run went on from, the first time."""
    entries = [json.loads(line) for line in log.read_text().splitlines()] if log.exists() else []
    said = [entry["said"] for entry in entries if entry.get("said", {}).get("what") == "resumed"]
    return {one["run"]: one["updates"] for one in reversed(said)}
