"""The file run.json: strict JSON with the status of a run, its process, versions and result.

A number that is not finite is the text "inf", "-inf" or "nan", which `float()` reads.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
from collections import Counter
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rnnlab.atomic import atomic
from rnnlab.errors import RunFolderError
from rnnlab.provenance import is_gone
from rnnlab.regular import read_regular
from rnnlab.runs.run_keys import KEYS, STATUSES, fault_of, is_deep
from rnnlab.runs.seals import REMEDY
from rnnlab.wording import shortened

__all__ = [
    "ENDED",
    "NO_CHECKSUM",
    "STATUSES",
    "has_checksum",
    "now",
    "read_run_json",
    "status_of",
    "why_stopped",
    "write_run_json",
]

ENDED = ("completed", "diverged")
"""A run with one of these statuses has come to its end: it counts as a result, and is not trained again."""
NO_CHECKSUM = "run.json has no checksum: an earlier version wrote it, or somebody else"
"""What is said of such a run, whose figures cannot be verified."""
_CHECKSUM, _DIGITS = b'"checksum": "', 64
_MOST_BYTES = 4 << 20
_DEEPEST = 50


def write_run_json(path: Path, info: Mapping[str, Any]) -> None:
    """Write the file whole, its checksum last. Raises RunFailedError, and then the old one is as it was."""
    last = {"checksum": ""}
    text = json.dumps({**_plain(info), **last}, indent=2, allow_nan=False, ensure_ascii=False)
    # A command line may hold bytes that are not text; their backslash form is valid JSON.
    content = text.encode(errors="backslashreplace").removesuffix(_CHECKSUM + b'"\n}')
    with atomic(path) as file:
        file.write(content + _ending(content))


def _ending(content: bytes) -> bytes:
    """The last lines of the file: the SHA-256 of everything before them."""
    return _CHECKSUM + hashlib.sha256(content).hexdigest().encode() + b'"\n}\n'


def _agrees(data: bytes, info: dict[str, Any]) -> bool:
    """Whether a file has the content that its checksum was made of; an earlier version wrote none."""
    at = data.rfind(_CHECKSUM)
    return data[at:] == _ending(data[:at]) if at >= 0 else not _ends_in_hash(info)


def has_checksum(path: Path) -> bool:
    """Whether the file has one; True also where it cannot be read."""
    try:
        return _CHECKSUM in read_regular(path, _MOST_BYTES)
    except OSError:
        return True


def _ends_in_hash(info: dict[str, Any]) -> bool:
    """Whether the last value is as long as a checksum, under no key of run.json: its own key was damaged as well."""
    key, value = next(reversed(info.items()), ("", None))
    return key not in KEYS and isinstance(value, str) and len(value) == _DIGITS


def read_run_json(path: Path, *, trust: bool = False) -> dict[str, Any]:
    """The content of the file; keys that this version does not know are kept.

    Raises RunFolderError where there is none, where a key is there twice, where a value is not of the type that
    `run_keys` says, or where the content is not that of its checksum, unless it is trusted.
    """
    try:
        data = read_regular(path, _MOST_BYTES)
        text = str(data, "utf-8-sig")
        info = _decode(text)
    except FileNotFoundError:
        missing = f"it has no {path.name}" if path.parent.is_dir() else "there is no such folder"
        raise RunFolderError(f"{path.parent} is not a run: {missing}") from None
    except OSError as error:
        raise RunFolderError(f"{path} cannot be read: {error.strerror or error}") from error
    except ValueError as error:
        raise RunFolderError(f"{path} cannot be read: {shortened(str(error), 200)}") from error
    except RecursionError as error:
        raise RunFolderError(f"{path} cannot be read: it is nested too deep") from error
    if not isinstance(info, dict):
        raise RunFolderError(f"{path} cannot be read: it is not a JSON object")
    # Counted first, which takes no time: a text with few brackets is not nested deep.
    if text.count("[") + text.count("{") > _DEEPEST and is_deep(info, _DEEPEST):
        raise RunFolderError(f"{path} cannot be read: it is nested more than {_DEEPEST} deep")
    if fault := fault_of(info):
        raise RunFolderError(f"{path} cannot be read: {fault}")
    if not trust and not _agrees(data, info):
        raise RunFolderError(f"{path} was changed: its content does not agree with its checksum{REMEDY}")
    info.pop("checksum", None)
    return info


def _refuse_constant(word: str) -> Any:
    raise ValueError(f"{word} is no JSON; a number that is not finite is the text 'inf', '-inf' or 'nan'")


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object of JSON. Of a key that is there twice a parser believes the last, and a person the first."""
    values = dict(pairs)
    if len(values) == len(pairs):
        return values
    twice = next(key for key, count in Counter(key for key, _ in pairs).items() if count > 1)
    raise ValueError(f"the key {shortened(repr(twice))} is there twice")


_decode = json.JSONDecoder(parse_constant=_refuse_constant, object_pairs_hook=_unique).decode


def status_of(info: Mapping[str, Any]) -> str:
    """The status in a `run.json`; `running` becomes `interrupted` where its process is known to be gone."""
    status = str(info.get("status") or "failed")
    return "interrupted" if status == "running" and is_gone(info.get("process") or {}) else status


def why_stopped(info: Mapping[str, Any]) -> str:
    """Why a run stopped before its end: the reason in its run.json, or what leaves none there."""
    if info.get("status") == "running":
        return "its process was killed, or the disk was full"
    return shortened(str(info.get("reason") or "the run failed"), 300)


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
