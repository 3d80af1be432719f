"""The file run.json: strict JSON with the status of a run, its process, versions and result.

A number that is not finite is the text "inf", "-inf" or "nan", which `float()` reads.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rnnlab.atomic import atomic
from rnnlab.errors import RunFolderError
from rnnlab.provenance import is_gone

STATUSES = ("running", "completed", "diverged", "failed", "interrupted")
ENDED = ("completed", "diverged")
"""A run with one of these statuses has come to its end: it counts as a result, and is not trained again."""


def write_run_json(path: Path, info: Mapping[str, Any]) -> None:
    """Write the file whole. Raises RunFailedError, and then the old one is as it was."""
    text = json.dumps(_plain(info), indent=2, allow_nan=False, ensure_ascii=False)
    with atomic(path) as file:
        # A command line may hold bytes that are not text; their backslash form is valid JSON.
        file.write(text.encode(errors="backslashreplace") + b"\n")


def read_run_json(path: Path) -> dict[str, Any]:
    """The content of the file; keys that this version does not know are kept. Raises RunFolderError."""
    try:
        info = json.loads(path.read_bytes())
    except FileNotFoundError:
        missing = f"it has no {path.name}" if path.parent.is_dir() else "there is no such folder"
        raise RunFolderError(f"{path.parent} is not a run: {missing}") from None
    except (OSError, ValueError) as error:
        raise RunFolderError(f"{path} cannot be read: {error}") from error
    if not isinstance(info, dict):
        raise RunFolderError(f"{path} cannot be read: it is not a JSON object")
    return info


def status_of(info: Mapping[str, Any]) -> str:
    """The status in a `run.json`; `running` becomes `interrupted` where its process is known to be gone."""
    status = str(info.get("status", "failed"))
    return "interrupted" if status == "running" and is_gone(info.get("process") or {}) else status


def now() -> str:
    """The time in UTC, as ISO 8601."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")


def _plain(value: Any) -> Any:
    """The value in JSON's own types."""
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if hasattr(value, "tolist"):
        return _plain(value.tolist())
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return str(value) if isinstance(value, os.PathLike) else value
