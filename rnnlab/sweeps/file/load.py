"""From a sweep file to its runs. Every combination is checked before anything runs."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from rnnlab.config import Config, Setting
from rnnlab.config.load import STDIN, Document, Source, check, document_of, read_settings, with_plugins
from rnnlab.config.messages import format_value
from rnnlab.errors import MOST_PROBLEMS, ConfigError, Problem, at_most
from rnnlab.plugins import load_installed
from rnnlab.sweeps.file.naming import name_of, unique
from rnnlab.sweeps.file.reader import Choice, Reader

_MOST_WRONG = 200


@dataclass(frozen=True)
class Member:
    """One run of a sweep: its config with its name, its identity, its name, and the settings that the axes gave it.

    >>> from rnnlab.sweeps.file import load_sweep
    >>> sweep = load_sweep({"base": {"task": "addition"}, "axes": {"grid": {"model.cell": ["rnn", "lstm"]}}})
    >>> member = sweep.members[1]
    >>> member.name, dict(member.settings), member.config.model.cell
    ('lstm-T100-s0', {'model.cell': 'lstm'}, 'lstm')
    """

    config: Config
    identity: str
    name: str
    settings: Mapping[str, Any]


@dataclass(frozen=True)
class Sweep:
    """A set of runs, the keys that vary, and how many combinations repeat another one.

    >>> from rnnlab.sweeps.file import load_sweep
    >>> axes = {"grid": {"model.cell": ["rnn", "lstm"]}}
    >>> sweep = load_sweep({"base": {"task": "addition"}, "axes": axes, "seeds": 2})
    >>> [member.name for member in sweep.members]
    ['rnn-T100-s0', 'rnn-T100-s1', 'lstm-T100-s0', 'lstm-T100-s1']
    >>> sweep.axes
    ['model.cell', 'seed']
    """

    members: list[Member]
    axes: list[str]
    repeated: int
    name: str = ""
    """The name of its file without the extension; empty if it is not from a file."""
    others: frozenset[str] = frozenset()
    """The identities of its runs that are not among the members now."""


def load_sweep(source: Source, sets: Iterable[str | Setting] = (), *, allow_plugins: bool = False) -> Sweep:
    """The runs that a sweep file, `-` (stdin) or a mapping describes. Raises ConfigError with everything wrong.

    `allow_plugins`: load what `plugins` names, here and in the base; see `load_config`.
    """
    document = document_of(source)
    load_installed()
    with_plugins(document, allowed=allow_plugins)
    reader = Reader(document)
    base = with_plugins(reader.base(), allowed=allow_plugins)
    given, unreadable = read_settings(sets)
    seeds = [setting for setting in given if setting.path == ("seeds",)]
    base_sets = [setting for setting in given if setting.path != ("seeds",)]
    reader.check_size(seeds[-1] if seeds else None)
    dimensions = [*reader.axes(), *reader.seeds(seeds[-1] if seeds else None)]
    axes = list(dict.fromkeys(_key(setting) for dimension in dimensions for setting in dimension[0]))
    reader.problems += [*unreadable, *_on_axes(base_sets, axes)]
    if not dimensions and not reader.problems:
        reader.add("axes", "a sweep needs `axes` or `seeds`; a single run is trained with `rnnlab train`")
    if reader.problems:
        wrong = _wrong_values(base, base_sets, dimensions) if base.value else []
        raise ConfigError(at_most([*reader.problems, *wrong]))
    return replace(_members(base, base_sets, dimensions, axes), name=_stem(document.name))


def _stem(name: str) -> str:
    return Path(name).stem if name != STDIN else ""


def _members(base: Document, sets: Sequence[Setting], dimensions: Sequence[Sequence[Choice]], axes: list[str]) -> Sweep:
    configs: dict[str, tuple[Config, dict[str, Any]]] = {}
    repeated, wrong = 0, _WrongCombinations()

    for choices in itertools.product(*dimensions):
        settings = [setting for choice in choices for setting in choice]
        try:
            config = check(base, [*sets, *settings])
        except ConfigError as error:
            if wrong.add(error.problems, settings):
                break
            continue
        identity = config.identity()
        repeated += identity in configs
        configs.setdefault(identity, (config, {_key(setting): setting.value for setting in settings}))
    wrong.raise_if_any()
    suggested = [name_of(config, axes, config.name, [*settings.items()]) for config, settings in configs.values()]
    names = unique(suggested, list(configs))
    members = [
        Member(config.model_copy(update={"name": name}), identity, name, settings)
        for (identity, (config, settings)), name in zip(configs.items(), names, strict=True)
    ]
    return Sweep(members, axes, repeated)


def _wrong_values(base: Document, sets: Sequence[Setting], dimensions: Iterable[Sequence[Choice]]) -> list[Problem]:
    """What is wrong with the base and with each value of the axes that can be read, where others cannot.

    Each by itself: what contradicts what cannot be said while an axis is missing.
    """
    faults: dict[str, Problem] = {}
    for choice in itertools.islice(itertools.chain([()], *dimensions), _MOST_WRONG):
        try:
            check(base, [*sets, *choice], with_conflicts=False)
        except ConfigError as error:
            faults |= {str(problem): problem for problem in error.problems if str(problem) not in faults}
    return list(faults.values())


class _WrongCombinations:
    """The problems of combinations. One that several combinations have is reported once, with the first of them."""

    def __init__(self) -> None:
        self._first: dict[str, tuple[Problem, Sequence[Setting]]] = {}
        self._count: dict[str, int] = {}
        self._combinations = 0

    def add(self, problems: Iterable[Problem], settings: Sequence[Setting]) -> bool:
        """Add the problems of one combination; return whether there are enough to stop."""
        self._combinations += 1
        for problem in problems:
            text = str(problem)
            self._first.setdefault(text, (problem, settings))
            self._count[text] = self._count.get(text, 0) + 1
        return self._combinations >= _MOST_WRONG or len(self._first) >= MOST_PROBLEMS

    def raise_if_any(self) -> None:
        """Raise ConfigError with all problems, if there are any."""
        if self._first:
            raise ConfigError(
                replace(problem, message=problem.message + _combination(settings, self._count[text]))
                for text, (problem, settings) in self._first.items()
            )


def _combination(settings: Sequence[Setting], count: int) -> str:
    """The combination in words, and how many others have the same problem."""
    more = count - 1
    pairs = ", ".join(f"{_key(setting)}={format_value(setting.value)}" for setting in settings)
    others = f"; and {more} more combination{'s' * (more > 1)}" if more else ""
    return f" (with {pairs}{others})"


def _on_axes(sets: Iterable[Setting], axes: Iterable[str]) -> Iterator[Problem]:
    for setting in sets:
        key = _key(setting)
        for axis in axes:
            if key == axis or key.startswith(f"{axis}.") or axis.startswith(f"{key}."):
                yield Problem(
                    key,
                    f"{axis} is an axis of this sweep; change it there, or take some of its values with --only",
                    place=setting.place,
                )


def _key(setting: Setting) -> str:
    return ".".join(map(str, setting.path))
