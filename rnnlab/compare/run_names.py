"""The names of runs that are shown together; where two runs have the same name, their folders are added."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from rnnlab.wording import encodable


def run_names(paths: Iterable[Path]) -> dict[Path, str]:
    """For each run's folder the shortest end of its path that no other of them has.

    A name that only one run has is shown alone, such as lstm-s0; two with this name are a/lstm-s0 and b/lstm-s0.
    A character that UTF-8 cannot write is shown by its code.
    """
    parts = {path: Path(os.path.abspath(path)).parts for path in paths}
    names: dict[tuple[str, ...], str] = {}
    rest, length = set(parts.values()), 1
    while rest:
        count = Counter(whole[-length:] for whole in rest)
        unique = [whole for whole in rest if count[whole[-length:]] == 1]
        names |= {whole: str(Path(*whole[-length:])) for whole in unique}
        rest.difference_update(unique)
        length += 1
    return {path: encodable(names[whole]) for path, whole in parts.items()}
