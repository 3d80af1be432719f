"""Names of runs as names of folders."""

from __future__ import annotations

import re
from collections.abc import Callable


def file_names() -> Callable[[str], str]:
    """A function from names to names of folders, no two alike, without `/` and not hidden.

    >>> name = file_names()
    >>> name("a/lstm-s0"), name("a_lstm-s0"), name("..")
    ('a_lstm-s0', 'a_lstm-s0-2', '_.')
    """
    given: set[str] = set()

    def free(name: str) -> str:
        plain = re.sub(r"[^\w=+,.-]|^\.", "_", name)[:200] or "_"
        numbered = (plain if n == 1 else f"{plain}-{n}" for n in range(1, len(given) + 2))
        chosen = next(one for one in numbered if one.casefold() not in given)
        given.add(chosen.casefold())
        return chosen

    return free
