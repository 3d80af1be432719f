"""Every exception a user can meet, one class each, with the exit code it leads to."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass


class RnnlabError(Exception):
    """Something the user can understand and mend; the message names the cure."""

    exit_code = 2


class UsageError(RnnlabError):
    """A command or a call was given something it cannot take."""


@dataclass(frozen=True)
class Problem:
    """One thing wrong with a config: where, which key, what, and the nearest right name.

    >>> print(Problem("model.cell", "'lsmt' is not known", ["rnn", "lstm", "gru"], "lsmt", "a.yaml:2:9"))
    a.yaml:2:9: model.cell: 'lsmt' is not known; did you mean 'lstm'? (choices: rnn, lstm, gru)
    """

    key: str
    message: str
    choices: Sequence[str] = ()
    given: str = ""
    place: str = ""

    def __str__(self) -> str:
        parts = [f"{self.place}: " if self.place else "", f"{self.key}: " if self.key else "", self.message]
        if near := nearest(self.given, self.choices):
            parts.append(f"; did you mean '{near}'?")
        if self.choices:
            parts.append(f" (choices: {', '.join(self.choices)})")
        return "".join(parts)


class ConfigError(RnnlabError):
    """Everything that is wrong with a config, all at once.

    >>> error = ConfigError([Problem("seed", "must be 0 or more, not -1"), Problem("task", "is needed")])
    >>> print(error)
    seed: must be 0 or more, not -1
    task: is needed
    """

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = list(problems)
        super().__init__("\n".join(map(str, self.problems)))


class RunExistsError(RnnlabError):
    """A finished or running run already has that name."""


class RunFolderError(RnnlabError):
    """The run folder cannot be made, written or read."""


class RunFailedError(RnnlabError):
    """A run started and could not be finished (a full disk, for one); its rows so far are kept."""

    exit_code = 3


class DivergedError(RnnlabError):
    """A run diverged and the caller asked for that to count as a failure."""

    exit_code = 3


class SomeFailedError(RnnlabError):
    """Some runs of a sweep failed; the others are trained."""

    exit_code = 3


class DataMissingError(RnnlabError):
    """A data file, or the package that carries it, is not there."""

    exit_code = 5


class DataFormatError(RnnlabError):
    """A data file is there and cannot be used as it is."""


class DeviceMissingError(RnnlabError):
    """The device asked for is not on this machine."""

    exit_code = 5


def nearest(given: str, choices: Iterable[str]) -> str | None:
    """The choice most like what was given, or None when nothing is close."""
    matches = difflib.get_close_matches(given.lower(), list(choices), n=1, cutoff=0.55) if given else []
    return matches[0] if matches else None
