"""The stop rule of `train.stop`, such as `error < 0.01`."""

from __future__ import annotations

import math
import re
from typing import Literal, NamedTuple, cast

from rnnlab.wording import shortened

_RULE = re.compile(r"\s*(loss|error)\s*(<=|<)\s*(\S+)\s*")
_HINT = "write one as `error < 0.01` or `loss <= 0.1`"


class StopRule(NamedTuple):
    """A condition on the validation split's loss or error.

    >>> stop_rule("error < 0.01").met(loss=1.0, error=0.005)
    True
    """

    quantity: Literal["loss", "error"]
    operator: Literal["<", "<="]
    level: float

    def __str__(self) -> str:
        return f"{self.quantity} {self.operator} {self.level!r}"

    def met(self, loss: float, error: float) -> bool:
        """Whether these values fulfil it; NaN never does."""
        value = loss if self.quantity == "loss" else error
        return value < self.level if self.operator == "<" else value <= self.level


def stop_rule(text: str) -> StopRule:
    """The rule of a text. Raises ValueError, with the right form, where it is no rule or can never be met."""
    match = _RULE.fullmatch(text)
    try:
        level = float(match[3]) if match else math.nan
    except ValueError:
        level = math.nan
    if match is None or math.isnan(level):
        raise ValueError(f"{shortened(repr(text))} is no stop rule; {_HINT}")
    rule = StopRule(cast(Literal["loss", "error"], match[1]), cast(Literal["<", "<="], match[2]), level)
    if not rule.met(0.0, 0.0):
        raise ValueError(f"{shortened(repr(text))} can never be met, for loss and error are never below 0; {_HINT}")
    return rule
