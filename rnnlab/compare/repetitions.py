"""Of several runs of one identity the one that counts: a damaged one does not hide a whole one."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rnnlab.compare.conditions import plain
from rnnlab.compare.measured import gradients_fault, metrics_fault
from rnnlab.config.facts import NO_IDENTITY
from rnnlab.runs.cache import map_in_threads
from rnnlab.runs.run import Run

_STATUS_RANK = {"completed": 3, "diverged": 2, "running": 1}


@dataclass(frozen=True)
class Replaced:
    """What is wrong with the run of an identity that would have counted, and the one that counts in its place."""

    fault: str
    by: Run


def without_repetitions(runs: Iterable[Run]) -> tuple[list[Run], Mapping[Path, Replaced]]:
    """One run of each identity, in the order given, and those that would count if they were not damaged.

    A completed run counts before others, a later one before an earlier, and one whose rows can be read before all that.
    Rows are read only of what is there more than once: the run that would count, and the others if it is damaged.
    """
    alike: dict[Any, list[Run]] = {}
    for run in runs:
        # An older run.json has no identity: then runs of the same settings are the same.
        alike.setdefault(run.info.get("identity") or _settings_but_name(run), []).append(run)
    chosen = {identity: max(reversed(same), key=_rank) for identity, same in alike.items()}
    repeated = [identity for identity, same in alike.items() if len(same) > 1]
    faults = map_in_threads(_faults, [chosen[identity] for identity in repeated])
    replaced: dict[Path, Replaced] = {}
    for identity, (gradients, metrics) in zip(repeated, faults, strict=True):
        if gradients or metrics:
            best = _least_damaged(alike[identity])
            if best is not chosen[identity]:
                replaced[chosen[identity].path] = Replaced(gradients or metrics, best)
                chosen[identity] = best
    kept = {id(run) for run in chosen.values()}
    return [run for same in alike.values() for run in same if id(run) in kept], replaced


def _faults(run: Run) -> tuple[str, str]:
    return gradients_fault(run), metrics_fault(run)


def _rank(run: Run) -> tuple[int, str]:
    return _STATUS_RANK.get(run.status, 0), str(run.info.get("started"))


def _least_damaged(runs: list[Run]) -> Run:
    """The gradients are what is compared; without its metrics a run still counts before one with another status."""

    def key(judged: tuple[Run, tuple[str, str]]) -> tuple[bool, int, bool, str]:
        run, (gradients, metrics) = judged
        status, started = _rank(run)
        return not gradients, status, not metrics, started

    judged = [*zip(runs, map_in_threads(_faults, runs), strict=True)]
    return max(reversed(judged), key=key)[0]


def _settings_but_name(run: Run) -> tuple[Any, ...]:
    return tuple(sorted((key, plain(value)) for key, value in run.settings.items() if key not in NO_IDENTITY))
