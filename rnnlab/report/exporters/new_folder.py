"""A folder that is made whole or not at all."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from rnnlab.atomic import put_in_place, sync_folder
from rnnlab.errors import UsageError
from rnnlab.provenance import is_gone, this_process
from rnnlab.runs.remains import hidden_name

MARK = "rnnlab-export.json"
"""The file by which a folder is known to be an export, which `--force` may replace."""


def check_free(path: Path, *, force: bool) -> None:
    """Raise UsageError where the folder cannot be made: it is there and is not empty, or is no export to replace."""
    if not path.parent.is_dir():
        raise UsageError(f"{path} cannot be written: there is no folder {path.parent}")
    if not os.path.lexists(path) or (path.is_dir() and not path.is_symlink() and not any(path.iterdir())):
        return
    if path.is_symlink() or not (path / MARK).is_file():
        raise UsageError(
            f"{path} is there and is not an export, so it is never replaced; choose another DIR (the last argument)"
        )
    if not force:
        raise UsageError(f"{path} is there already; choose another DIR, or replace it with --force")


@contextlib.contextmanager
def new_folder(path: Path, about: dict[str, Any], *, force: bool = False) -> Iterator[Path]:
    """A hidden folder beside `path`, which has that name when the block ends without an error, and is gone otherwise.

    about: what its file MARK says. Raises UsageError as `check_free` does, and where the system refuses.
    """
    _clear_abandoned(path)
    check_free(path, force=force)
    draft = path.with_name(hidden_name(path.name, "new"))
    try:
        draft.mkdir()
        (draft / MARK).write_text(json.dumps(about | {"process": this_process()}) + "\n")
        yield draft
        (draft / MARK).write_text(json.dumps(about, indent=2) + "\n")
        _sync(draft)
        old = path.with_name(hidden_name(path.name, "old")) if (path / MARK).is_file() else None
        put_in_place(draft, path, old)
    except OSError as error:
        raise UsageError(f"{path} cannot be written: {error.strerror or error}; nothing of it is there") from error
    finally:
        # With the name of the export it is no longer here.
        shutil.rmtree(draft, ignore_errors=True)


def _sync(folder: Path) -> None:
    """Make all that is in a folder last."""
    for root, _, names in os.walk(folder):
        for name in names:
            with (Path(root) / name).open("rb") as file:
                os.fsync(file.fileno())
        sync_folder(Path(root))


def _clear_abandoned(path: Path) -> None:
    """Delete what killed exports to this folder left, and bring back one that was being replaced."""
    hidden = re.compile(rf"\.{re.escape(path.name)}\.(new|old)-[0-9a-f]{{8}}")
    for other in list(path.parent.iterdir()) if path.parent.is_dir() else ():
        if not (matched := hidden.fullmatch(other.name)) or not (other / MARK).is_file():
            continue
        if matched[1] == "old" and not os.path.lexists(path):
            other.rename(path)
        elif matched[1] == "old" or _is_abandoned(other / MARK):
            shutil.rmtree(other, ignore_errors=True)


def _is_abandoned(mark: Path) -> bool:
    try:
        return is_gone(json.loads(mark.read_text()).get("process") or {})
    except (OSError, ValueError, AttributeError):
        return False
