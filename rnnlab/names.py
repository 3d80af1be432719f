"""Names of runs and of their folder: which names are valid on every system, and the default name."""

from __future__ import annotations

import os
import re

from rnnlab.errors import UsageError
from rnnlab.wording import shortened

_LONGEST = 100
# Names that Windows gives to devices, with any extension; a run folder is copied between machines.
_DEVICES = re.compile(r"(con|prn|aux|nul|com[0-9]|lpt[0-9])(\..*)?", re.IGNORECASE)
_NOT_PORTABLE = '/\\:*?"<>|'
_REMEDY = "use letters, digits, '-', '_' and '.', as in addition-lstm-T100-s0"


def check_name(name: str) -> None:
    """Raise UsageError, with the remedy, unless `name` can be a folder's name on every system."""
    if fault := _fault(name):
        raise UsageError(f"name: {shortened(repr(name), _LONGEST)} {fault}; {_REMEDY}")


def check_out(out: str | os.PathLike[str]) -> None:
    """Raise UsageError for a folder of runs without a name: an empty one would stand for the working directory."""
    if not os.fspath(out):
        raise UsageError("--out is empty; name the folder for the runs, such as runs, or . for this one")


def default_name(task: str, cell: str, length: int | None, seed: int) -> str:
    """A readable name for a run without a name, such as `addition-lstm-T100-s0`."""
    return "-".join([task, cell, *([f"T{length}"] if length is not None else []), f"s{seed}"])


def _fault(name: str) -> str | None:
    if not name.strip():
        return "is empty"
    if not name.isprintable():
        return "holds a control character"
    if len(name) > _LONGEST or len(name.encode()) > 2 * _LONGEST:
        return f"is longer than {_LONGEST} characters"
    if bad := sorted(set(name) & set(_NOT_PORTABLE)):
        return f"holds {' '.join(bad)}: a name is not a path (--out says where runs go)"
    if name[0] in ".- " or name[-1] in ". ":
        return "begins or ends with a dot or a space, or begins with a dash"
    return "is a device's name on Windows" if _DEVICES.fullmatch(name) else None
