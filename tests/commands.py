"""What `rnnlab` answers, called in this process; the fixture `rnn` (conftest.py) calls it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple


class Result(NamedTuple):
    code: int
    out: str
    err: str


Call = Callable[..., Result]


def written(text: str = "task: addition\n", name: str = "c.yaml") -> str:
    Path(name).write_text(text)
    return name
