"""Several runs: those of a folder, chosen by conditions, and their records joined into one frame."""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, overload

import numpy as np

from rnnlab.column import Column
from rnnlab.compare.conditions import condition, plain
from rnnlab.compare.groups import Groups
from rnnlab.compare.run_names import run_names
from rnnlab.config.facts import LABELS
from rnnlab.display import InNotebook
from rnnlab.errors import RunFolderError, UsageError, nearest
from rnnlab.runs.cache import cached_configs
from rnnlab.runs.columns import GRADIENTS, METRICS
from rnnlab.runs.folder import RunFolder
from rnnlab.runs.run import Run

if TYPE_CHECKING:
    import pandas as pd

T = TypeVar("T")
# From this number on the configs are read from the cache, which is then faster.
_CACHE_FROM = 100


@dataclass(frozen=True, repr=False)
class Runs(InNotebook, Sequence[Run]):
    """Several runs, by name; `unreadable` has the folders that could not be read, each with the reason.

    >>> import rnnlab
    >>> runs = rnnlab.load_runs("runs")
    >>> runs.where("model.cell = lstm", "seed < 2")
    Runs(['lstm-T40-s0', 'lstm-T40-s1'])
    >>> runs["rnn-T40-s2"].status
    'completed'
    >>> runs.differing()
    ['model.cell', 'seed']
    """

    runs: Sequence[Run]
    unreadable: Mapping[Path, str] = field(default_factory=dict, hash=False)
    unmet: str = ""
    """Where no run was left by `where`: the first condition that no run fulfils, and what there is."""

    def __post_init__(self) -> None:
        # The caller may change its list later; this object does not change.
        object.__setattr__(self, "runs", tuple(self.runs))
        object.__setattr__(self, "unreadable", dict(self.unreadable))

    def __repr__(self) -> str:
        return f"Runs({[*map(self.name_of, self.runs)]})"

    @cached_property
    def names(self) -> dict[Path, str]:
        """The name that each run's folder is shown under: with its parent folder where two runs have one name."""
        return run_names([*(run.path for run in self.runs), *self.unreadable])

    def name_of(self, run: Run) -> str:
        """The name that a run is shown under."""
        return self.names[run.path]

    @property
    def left_out(self) -> dict[str, str]:
        """The runs that could not be read, by the name that they are shown under, each with the reason."""
        return {self.names[path]: reason for path, reason in self.unreadable.items()}

    def __len__(self) -> int:
        return len(self.runs)

    def __iter__(self) -> Iterator[Run]:
        return iter(self.runs)

    @overload
    def __getitem__(self, index: int | str) -> Run: ...
    @overload
    def __getitem__(self, index: slice) -> Runs: ...
    def __getitem__(self, index: int | str | slice) -> Run | Runs:
        """A run by position or by name, or a slice of the runs."""
        if isinstance(index, slice):
            return Runs(self.runs[index], self.unreadable)
        return self._named(index) if isinstance(index, str) else self.runs[index]

    def _named(self, name: str) -> Run:
        matching = [run for run in self.runs if name in (run.name, self.name_of(run))]
        if len(matching) > 1:
            paths = ", ".join(str(run.path) for run in matching)
            raise UsageError(f"{len(matching)} runs are named {name!r}: {paths}; ask for one by more of its path")
        if matching:
            return matching[0]
        near = nearest(name, [*map(self.name_of, self.runs)])
        raise UsageError(f"there is no run {name!r}" + (f"; did you mean {near!r}?" if near else ""))

    @property
    def gradients(self) -> pd.DataFrame:
        """Every run's gradients, with a `run` column and a column for each setting in which the runs differ.

        Warns (UserWarning) of runs whose files cannot be read, and leaves them out; `readable` does so beforehand.
        """
        return self._joined(lambda run: run.gradients, GRADIENTS)

    @property
    def metrics(self) -> pd.DataFrame:
        """Every run's metrics, with the same columns added; warns in the same way."""
        return self._joined(lambda run: run.metrics, METRICS)

    def readable(self) -> Runs:
        """The runs whose settings, gradients and metrics can be read; all are read. `left_out` has the others."""
        read, unreadable = self._read(lambda run: (run.gradients, run.metrics))
        return Runs([run for run, _ in read], {**self.unreadable, **unreadable})

    def where(self, *conditions: str) -> Runs:
        """The runs for which all conditions hold, such as `task.length >= 100` or `model.cell = [lstm, gru]`.

        The condition on `name` may have the name or the longer one that is shown where two runs have one name.
        A run whose settings cannot be read is left out, and `left_out` says so. Raises UsageError for a text
        that is not a condition, and for a key that no run has.
        """
        if not conditions:
            return self
        rules = [condition(text) for text in conditions]
        unreadable, readable = dict(self.unreadable), []
        for run in self.runs:
            try:
                readable.append((run, run.facts))
            except RunFolderError as error:
                unreadable[run.path] = str(error)
        known = dict.fromkeys(key for _, facts in readable for key in facts)
        for rule in rules if readable else ():
            rule.check(known)
        kept = [
            run
            for run, facts in readable
            if all(rule.holds(facts) or rule.holds({**facts, "name": self.name_of(run)}) for rule in rules)
        ]
        facts_of_all = [facts for _, facts in readable]
        unmet = "" if kept else next(filter(None, (rule.unmet(facts_of_all) for rule in rules)), "")
        return Runs(kept, unreadable, unmet)

    def group_by(self, *keys: str) -> Groups:
        """The runs in groups of equal settings except for the seed, to be compared by these keys.

        Without keys, by the settings that distinguish the groups. See `rnnlab.compare.groups.Groups`.
        """
        return Groups.of(self.runs, keys, self.unreadable)

    def differing(self) -> list[str]:
        """The dotted keys of the settings in which the runs differ, name and notes aside."""
        return _differing([run.settings for run in self.runs])

    def _joined(self, frame_of: Callable[[Run], pd.DataFrame], columns: Sequence[Column]) -> pd.DataFrame:
        import pandas as pd

        read, unreadable = self._read(frame_of)
        if unreadable:
            reasons = "; ".join(f"{self.names[path]}: {reason}" for path, reason in unreadable.items())
            warnings.warn(f"left out of the frame: {reasons}", stacklevel=3)
        if not read:
            return pd.DataFrame(columns=["run", *(column.name for column in columns)])
        lengths = [len(frame) for _, frame in read]
        settings = [run.settings for run, _ in read]
        labels: dict[str, list[Any]] = {"run": [self.name_of(run) for run, _ in read]}
        labels |= {key: [run_settings.get(key) for run_settings in settings] for key in _differing(settings)}
        added = pd.DataFrame({key: _repeated(values, lengths) for key, values in labels.items()})
        return pd.concat([added, pd.concat([frame for _, frame in read], ignore_index=True)], axis=1)

    def _read(self, records_of: Callable[[Run], T]) -> tuple[list[tuple[Run, T]], dict[Path, str]]:
        """The runs whose settings and these records can be read, with the records, and why the others cannot."""
        read, unreadable = [], {}
        for run in self.runs:
            try:
                _, records = run.settings, records_of(run)
                read.append((run, records))
            except RunFolderError as error:
                unreadable[run.path] = str(error)
        return read, unreadable


def load_runs(folder: str | Path = "runs", *, trust: bool = False) -> Runs:
    """The runs in a folder, or the folder itself if it is a run. Unreadable folders are in `left_out`.

    With `trust` files are read that were changed since their run ended.

    Raises RunFolderError where there is no such folder.
    """
    root = Path(folder)
    if not root.is_dir():
        raise RunFolderError(f"{root} is not a folder; runs are where `rnnlab train --out` put them (runs/)")
    paths = [root] if RunFolder(root).is_run else sorted(path for path in root.iterdir() if path.is_dir())
    # A hidden folder is a run that is being made or deleted, or belongs to another program.
    run_folders = [RunFolder(path, trust=trust) for path in paths if not path.name.startswith(".")]
    infos: dict[RunFolder, dict[str, Any]] = {}
    unreadable: dict[Path, str] = {}
    for run_folder in run_folders:
        try:
            infos[run_folder] = run_folder.read_run()
        except RunFolderError as error:
            unreadable[run_folder.path] = str(error)
    # What is trusted is not put where others would find it.
    cached = len(run_folders) > _CACHE_FROM and not trust
    # All in one folder, so no two have the same name.
    configs = cached_configs(root, infos, _seals(infos)) if cached else {}
    runs = [Run(run.path, configs.get(run.name), info=info, trust=trust) for run, info in infos.items()]
    return Runs(runs, unreadable)


def _seals(infos: Mapping[RunFolder, Mapping[str, Any]]) -> dict[str, str]:
    """The length and hash that each run.json gives for its config, as one text."""
    fields = {run.name: (info.get("files") or {}).get(run.config.name) for run, info in infos.items()}
    return {name: f"{of.get('bytes')} {of.get('sha256')}" for name, of in fields.items() if of is not None}


def _differing(settings: Sequence[Mapping[str, Any]]) -> list[str]:
    keys = dict.fromkeys(key for run in settings for key in run if key not in LABELS)
    return [key for key in keys if len({plain(run.get(key)) for run in settings}) > 1]


def _repeated(values: Sequence[Any], lengths: Sequence[int]) -> Any:
    """Each value as often as its run has rows: numbers as numbers, anything else as a category."""
    import pandas as pd

    if all(value is None or (isinstance(value, (int, float)) and not isinstance(value, bool)) for value in values):
        return np.repeat(pd.Series(values).to_numpy(), lengths)
    texts = [None if value is None else value if isinstance(value, str) else json.dumps(value) for value in values]
    categories = list(dict.fromkeys(text for text in texts if text is not None))
    return pd.Categorical(texts, categories).take(np.repeat(np.arange(len(texts)), lengths))
