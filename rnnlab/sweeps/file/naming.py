"""Readable names for the runs of a sweep, such as lstm-orthogonal-clip1-T200-s3."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rnnlab.clips import Clip
    from rnnlab.config import Config

_LONGEST = 90
# Keys whose values are in every name.
_FIXED = ("model.cell", "seed")


def name_of(config: Config, varying: Collection[str], prefix: str | None, settings: Sequence[tuple[str, Any]]) -> str:
    """The name of a run, from its config and the settings of the axes; `prefix` is the name that the base gives."""
    parts = [prefix or "", *_parts(config, varying, settings), f"s{config.seed}"]
    return "-".join(part for part in map(_plain, parts) if part)


def _parts(config: Config, varying: Collection[str], settings: Sequence[tuple[str, Any]]) -> Sequence[str]:
    """Task, cell, initializer, clip and length by their values; any other key that varies by key and value."""
    task, clip = config.task, config.clip
    touched = {"task", "model.init", "clip"} & set(varying)
    parts = [task.name] if touched & {"task"} or "task.name" in varying else []
    parts.append(config.model.cell)
    if any(key in varying for key in ("model.init", "model.init.recurrent", "model.init.recurrent.name")):
        given = dict(settings).get("model.init.recurrent")
        parts.append(_short(given) if isinstance(given, dict) else config.model.init.recurrent.name)
    if any(map(_of_clip, varying)):
        parts.append(_clip(clip))
    shown = ("model.init.recurrent", "model.init.recurrent.name", "task.length")
    others = [
        f"{_label(key, value)}{_short_at(key, value)}"
        for key, value in sorted(settings)
        if key not in (*shown, *_FIXED, "task", "task.name", "model.init") and not _of_clip(key)
    ]
    return [*parts, f"T{task.timesteps}", *others]


def _of_clip(key: str) -> bool:
    return key.split(".")[0] == "clip"


def _clip(clip: Clip) -> str:
    """Its short name and the values of its options, such as clip1."""
    options = [_short(value) for key, value in clip.model_dump(mode="json").items() if key != "name"]
    return (clip.short or clip.name) + "-".join(options)


def _label(key: str, value: Any) -> str:
    """The label before a value: the last part of its key; empty before text and parts."""
    return "" if isinstance(value, (str, dict)) else key.rpartition(".")[2]


def _short_at(key: str, value: Any) -> str:
    """A value in short; of `penalty` none says of what there is none."""
    return "nopenalty" if key == "penalty" and _short(value) == "none" else _short(value)


def _short(value: Any) -> str:
    if isinstance(value, dict) and "name" in value:
        return str(value["name"]) + "".join(
            f"{option:g}" for option in value.values() if isinstance(option, float | int)
        )
    if isinstance(value, bool) or value is None:
        return str(value).lower()
    if isinstance(value, float):
        return f"{value:g}"
    return str(value) if isinstance(value, (int, str)) else json.dumps(value)


def _plain(text: str) -> str:
    """The text in characters that a name can hold on every system."""
    return re.sub(r"[^A-Za-z0-9_.+]+", "-", text).strip("-. ")


def unique(names: Sequence[str], identities: Sequence[str]) -> list[str]:
    """The names; one that is too long or repeated ends with a part of the identity."""
    repeated = {name for name, count in Counter(names).items() if count > 1}
    return [
        name if name not in repeated and len(name) <= _LONGEST else f"{name[: _LONGEST - 9]}-{identity[:8]}"
        for name, identity in zip(names, identities, strict=True)
    ]
