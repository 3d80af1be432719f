"""All exceptions that a user can meet: one class each, with its exit code."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from rnnlab.wording import escaped, shortened

MOST_PROBLEMS = 50
"""Problems that are listed; the others are counted."""
_LONGEST_KEY, _LONGEST_MESSAGE = 100, 600


class RnnlabError(Exception):
    """An error that the user can understand and correct; its message says how."""

    exit_code = 2


class UsageError(RnnlabError):
    """A command or a call got an argument that it cannot use."""


class NotEnoughMemoryError(UsageError):
    """A training needs more memory than the machine has, as is known before it starts."""


@dataclass(frozen=True)
class Problem:
    """One problem of a config: its place, its key, what is wrong, and the nearest valid name.

    >>> print(Problem("model.cell", "'lsmt' is not known", ["rnn", "lstm", "gru"], "lsmt", "a.yaml:2:9"))
    a.yaml:2:9: model.cell: 'lsmt' is not known; did you mean 'lstm'? (choices: rnn, lstm, gru)
    """

    key: str
    message: str
    choices: Sequence[str] = ()
    given: str = ""
    place: str = ""

    def __str__(self) -> str:
        key, message = shortened(self.key, _LONGEST_KEY), shortened(self.message, _LONGEST_MESSAGE)
        parts = [f"{self.place}: " if self.place else "", f"{key}: " if key else "", message]
        if near := nearest(self.given, self.choices):
            parts.append(f"; did you mean '{near}'?")
        if self.choices:
            parts.append(f" (choices: {', '.join(self.choices)})")
        return escaped("".join(parts))


class ConfigError(RnnlabError):
    """All problems of a config together.

    >>> error = ConfigError([Problem("seed", "must be 0 or more, not -1"), Problem("task", "is needed")])
    >>> print(error)
    seed: must be 0 or more, not -1
    task: is needed
    """

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = list(problems)
        super().__init__("\n".join(map(str, self.problems)))


def at_most(problems: Sequence[Problem], *, incomplete: bool = False) -> list[Problem]:
    """The first MOST_PROBLEMS of them, and how many more there are; `incomplete` if even more were not looked for."""
    more = len(problems) - MOST_PROBLEMS
    count = f"more than {more}" if incomplete else str(more)
    return [*problems] if more <= 0 else [*problems[:MOST_PROBLEMS], Problem("", f"... and {count} more")]


class PluginError(RnnlabError):
    """A plugin, code that adds parts, cannot be loaded."""


class PluginRefusedError(ConfigError):
    """A config names plugins, and nobody allowed that they are loaded."""


class RunExistsError(RnnlabError):
    """A finished or running run already has that name."""


class RunFolderError(RnnlabError):
    """The run folder cannot be made, written or read."""


class RunFailedError(RnnlabError):
    """A run started and could not be finished, for example because the disk is full; its rows so far are kept."""

    exit_code = 3


class DivergedError(RnnlabError):
    """A run diverged and the caller asked for that to count as a failure."""

    exit_code = 3


class SomeFailedError(RnnlabError):
    """Some runs of a sweep failed; the others are trained."""

    exit_code = 3


class DamagedError(RnnlabError):
    """Some runs are damaged."""

    exit_code = 3


class NotReproducedError(RnnlabError):
    """A run that was trained again gave other figures."""

    exit_code = 3


class DataMissingError(RnnlabError):
    """A data file, or the package that contains it, is missing."""

    exit_code = 5


class DataFormatError(RnnlabError):
    """A data file exists, but its content cannot be used."""


class DeviceMissingError(RnnlabError):
    """This machine does not have the requested device."""

    exit_code = 5


def nearest(given: str, choices: Iterable[str]) -> str | None:
    """The choice that is most similar to `given`, or None if none is close."""
    matches = difflib.get_close_matches(given.lower(), list(choices), n=1, cutoff=0.55) if given else []
    return matches[0] if matches else None
