"""Which runs a command is about: folders of runs, single runs, names and patterns of names."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from fnmatch import fnmatchcase
from pathlib import Path

from rnnlab.compare.collection import Runs, load_runs
from rnnlab.errors import RunFolderError, UsageError, nearest
from rnnlab.runs.folder import RunFolder
from rnnlab.runs.run import Run

DEFAULT = "runs"


def choose(given: Sequence[str] = (), where: Sequence[str] = ()) -> Runs:
    """The runs that words stand for, of which the conditions hold, each once.

    A word is a run's folder, a folder of runs, or a name or pattern (`lstm-*`) among the runs of the folders before it
    (of runs/, if there is none). Raises UsageError where a word stands for nothing, RunFolderError where there is no
    folder.
    """
    folders = [Path(word) for word in given if _is_folder(word)]
    patterns = [word for word in given if not _is_folder(word)]
    _refuse_paths(patterns)
    all_of = [folder for folder in folders if not RunFolder(folder).is_run]
    if not folders or (patterns and not all_of):
        all_of.append(Path(DEFAULT))
    chosen, unreadable = _single(folder for folder in folders if RunFolder(folder).is_run)
    for folder in all_of:
        runs = load_runs(folder)
        chosen += _matching(runs, patterns, folder) if patterns else list(runs)
        unreadable |= _wanted(runs.unreadable, patterns)
    once = {run.path.resolve(): run for run in chosen}
    return Runs(list(once.values()), unreadable).where(*where)


def _is_folder(word: str) -> bool:
    return Path(word).is_dir()


def _refuse_paths(patterns: Sequence[str]) -> None:
    for word in patterns:
        if "/" in word and not any(sign in word for sign in "*?["):
            raise RunFolderError(f"{word} is not a folder; runs are where `rnnlab train --out` put them (runs/)")


def _single(folders: Iterable[Path]) -> tuple[list[Run], dict[Path, str]]:
    runs: list[Run] = []
    unreadable: dict[Path, str] = {}
    for folder in folders:
        try:
            runs.append(Run(folder))
        except RunFolderError as error:
            unreadable[folder] = str(error)
    return runs, unreadable


def _matching(runs: Runs, patterns: Sequence[str], folder: Path) -> list[Run]:
    chosen = [run for run in runs if any(fnmatchcase(run.name, pattern) for pattern in patterns)]
    names = [run.name for run in runs]
    for pattern in patterns:
        if not any(fnmatchcase(name, pattern) for name in [*names, *(path.name for path in runs.unreadable)]):
            near = nearest(pattern, names)
            raise UsageError(f"{folder} has no run {pattern!r}" + (f"; did you mean {near!r}?" if near else ""))
    return chosen


def _wanted(unreadable: Mapping[Path, str], patterns: Sequence[str]) -> dict[Path, str]:
    return {
        path: reason
        for path, reason in unreadable.items()
        if not patterns or any(fnmatchcase(path.name, pattern) for pattern in patterns)
    }
