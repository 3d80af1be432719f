"""The runs that a command line names: folders of runs, single runs, names and patterns of names."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from fnmatch import fnmatchcase
from pathlib import Path

from rnnlab.compare.collection import Runs, load_runs
from rnnlab.errors import RunFolderError, UsageError, nearest
from rnnlab.runs.folder import RunFolder
from rnnlab.runs.run import Run
from rnnlab.wording import shortened

DEFAULT = "runs"


def choose(given: Sequence[str] = (), where: Sequence[str] = (), *, trust: bool = False) -> Runs:
    """The runs that the arguments name and for which the conditions hold, each once; `trust` as in `load_runs`.

    An argument is a run's folder, a folder of runs, or a name or pattern (`lstm-*`) of runs in the given folders (in
    runs/ if there are none). Raises UsageError where a name or pattern matches nothing, RunFolderError where a folder
    is missing.
    """
    folders = [Path(argument) for argument in given if _is_folder(argument)]
    patterns = [argument for argument in given if not _is_folder(argument)]
    _check_no_paths(patterns)
    searched = [folder for folder in folders if not RunFolder(folder).is_run]
    if not folders or (patterns and not searched):
        searched.append(Path(DEFAULT))
    chosen, unreadable = _single_runs([folder for folder in folders if RunFolder(folder).is_run], trust)
    for folder in searched:
        runs = load_runs(folder, trust=trust)
        chosen += _matching(runs, patterns, folder) if patterns else list(runs)
        unreadable |= _matching_unreadable(runs.unreadable, patterns)
    unique = {run.path.resolve(): run for run in chosen}
    return Runs(list(unique.values()), unreadable).where(*where)


def _is_folder(argument: str) -> bool:
    try:
        return Path(argument).is_dir()
    except OSError:  # a name longer than the system allows
        return False


def _check_no_paths(patterns: Sequence[str]) -> None:
    for pattern in patterns:
        if "/" in pattern and not any(sign in pattern for sign in "*?["):
            raise RunFolderError(
                f"{shortened(pattern)} is not a folder; runs are where `rnnlab train --out` put them (runs/)"
            )


def _single_runs(folders: Iterable[Path], trust: bool) -> tuple[list[Run], dict[Path, str]]:
    runs: list[Run] = []
    unreadable: dict[Path, str] = {}
    for folder in folders:
        try:
            runs.append(Run(folder, trust=trust))
        except RunFolderError as error:
            unreadable[folder] = str(error)
    return runs, unreadable


def _matching(runs: Runs, patterns: Sequence[str], folder: Path) -> list[Run]:
    chosen = [run for run in runs if any(fnmatchcase(run.name, pattern) for pattern in patterns)]
    names = [run.name for run in runs]
    for pattern in patterns:
        if not any(fnmatchcase(name, pattern) for name in [*names, *(path.name for path in runs.unreadable)]):
            near = nearest(pattern, names)
            raise UsageError(
                f"{folder} has no run {shortened(repr(pattern))}" + (f"; did you mean {near!r}?" if near else "")
            )
    return chosen


def _matching_unreadable(unreadable: Mapping[Path, str], patterns: Sequence[str]) -> dict[Path, str]:
    return {
        path: reason
        for path, reason in unreadable.items()
        if not patterns or any(fnmatchcase(path.name, pattern) for pattern in patterns)
    }
