"""Names of compiled functions that no other rule's have.

Numba names machine code by a function's qualified name, its argument types and a number that counts functions in a
process. Loops of two rules have one qualified name, and those of two values of a cell's option as well; where processes
of their own have compiled them, the number is the same too. A process that reads both from disk then runs one for the
other: LLVM takes the first symbol of a name. The qualified name names the index file in the cache as well, and two
processes that write to one index at once can give their machine code one file name.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from types import FunctionType
from typing import Any

LETTERS = 16


def unique(stamp: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """A decorator that gives a copy of the function, whose qualified name has a hash of this text in it.

    >>> def scale(x): return 2 * x
    >>> unique("rule a")(scale).__qualname__ == unique("rule b")(scale).__qualname__
    False
    >>> unique("rule a")(scale)(3)
    6
    """
    key = hashlib.sha256(stamp.encode()).hexdigest()[:LETTERS]

    def renamed(function: Callable[..., Any]) -> Callable[..., Any]:
        assert isinstance(function, FunctionType)
        copy = FunctionType(
            function.__code__, function.__globals__, function.__name__, function.__defaults__, function.__closure__
        )
        copy.__module__, copy.__doc__ = function.__module__, function.__doc__
        copy.__qualname__ = f"{function.__qualname__}_{key}"
        return copy

    return renamed
