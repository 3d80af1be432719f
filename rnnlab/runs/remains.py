"""The hidden names that a run's folder has while it is made or replaced, and what killed processes leave under them."""

from __future__ import annotations

import contextlib
import re
import secrets
import shutil
import time
from functools import lru_cache
from pathlib import Path
from typing import Literal

from rnnlab.atomic import sync_folder
from rnnlab.errors import RunFolderError
from rnnlab.provenance import is_gone
from rnnlab.runs.run_json import read_run_json

_HIDDEN = re.compile(r"\.(.+)\.(new|old)-[0-9a-f]{8}", re.DOTALL)
_UNFILLED = 60.0
"""Seconds after which a new folder without a run.json is nobody's."""


def hidden_name(name: str, kind: Literal["new", "old"]) -> str:
    """A name for the folder of a run that is made under it, or was replaced."""
    return f".{name}.{kind}-{secrets.token_hex(4)}"


@lru_cache
def settle(root: Path, run_file: str) -> None:
    """Make a folder of runs last, and delete what killed processes left in it; once per process."""
    for folder in root.parents:
        with contextlib.suppress(OSError):  # one that this user may not read was not made just now
            sync_folder(folder)
    with contextlib.suppress(OSError):
        for path in list(root.iterdir()):
            if not (hidden := _HIDDEN.fullmatch(path.name)):
                continue
            if _is_dead(path / run_file) if hidden[2] == "new" else (root / hidden[1] / run_file).is_file():
                shutil.rmtree(path, ignore_errors=True)


def _is_dead(run_json: Path) -> bool:
    """Whether the process that was filling this folder is gone."""
    try:
        return is_gone(read_run_json(run_json).get("process") or {})
    except RunFolderError:
        return time.time() - run_json.parent.stat().st_mtime > _UNFILLED
