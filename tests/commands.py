"""What `rnnlab` answers, called in this process; the fixture `rnn` (conftest.py) calls it."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple


class Said(NamedTuple):
    code: int
    out: str
    err: str


Call = Callable[..., Said]
