"""Which of many runs can be compared: the newest sweeps, and conditions that leave runs of one experiment."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from rnnlab.compare.collection import Runs
from rnnlab.compare.conditions import plain
from rnnlab.compare.group_keys import differing_keys
from rnnlab.errors import RunFolderError
from rnnlab.runs.run import Run

_MOST_VALUES = 8
_MOST_SWEEPS = 3


@dataclass(frozen=True)
class Suggestion:
    """Options of `rnnlab report` that leave runs which can be compared, and what these are.

    >>> Suggestion("--sweep gains", "12 runs").options
    '--sweep gains'
    """

    options: str
    about: str


def newest_sweep(runs: Runs) -> str | None:
    """The sweep of which a run was started last; None where no run is of a sweep."""
    started = _by_sweep(runs)
    return max(started, key=lambda name: started[name]) if started else None


def suggestions(runs: Runs, can_be_compared: Callable[[Runs], bool]) -> list[Suggestion]:
    """The newest sweeps first, then the condition that leaves the most runs."""
    found = [*_of_sweeps(runs, can_be_compared)]
    if (condition := _condition(runs, can_be_compared)) is not None:
        found.append(condition)
    return found


def _of_sweeps(runs: Runs, can_be_compared: Callable[[Runs], bool]) -> Iterator[Suggestion]:
    started = _by_sweep(runs)
    sizes = Counter(run.info.get("sweep") for run in runs)
    newest = sorted(started, key=lambda name: started[name], reverse=True)
    for at, name in enumerate(newest[:_MOST_SWEEPS]):
        of = Runs([run for run in runs if run.info.get("sweep") == name])
        if len(of) < len(runs) and can_be_compared(of):
            yield Suggestion(f"--sweep {name}", f"{sizes[name]} runs" + (", the newest" if at == 0 else ""))


def _condition(runs: Runs, can_be_compared: Callable[[Runs], bool]) -> Suggestion | None:
    settings = {run.path: _settings(run) for run in runs}
    table = [*settings.values()]
    counted = []
    for key in differing_keys(table):
        values = Counter(plain(row.get(key)) for row in table)
        if len(values) <= _MOST_VALUES:
            counted += [
                (count, key, value) for value, count in values.items() if isinstance(value, tuple) and count > 1
            ]
    for count, key, value in sorted(counted, key=lambda one: -one[0]):
        kept = Runs([run for run in runs if plain(settings[run.path].get(key)) == value])
        if value[1] is not None and can_be_compared(kept):
            return Suggestion(f"--where {key.removesuffix('.name')}={value[1]}", f"{count} runs")
    return None


def _by_sweep(runs: Runs) -> dict[str, str]:
    """When a run of each sweep was last started."""
    started: dict[str, str] = {}
    for run in runs:
        if name := run.info.get("sweep"):
            started[name] = max(started.get(name, ""), str(run.info.get("started") or ""))
    return started


def _settings(run: Run) -> Mapping[str, Any]:
    try:
        return run.settings
    except RunFolderError:
        return {}
