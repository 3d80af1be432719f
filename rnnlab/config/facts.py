"""Facts about the keys of a config, defined here alone.

This module imports nothing, so that packages that compare runs can use it and still start fast. A key that is not
listed has the facts of `KeyFacts()`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class KeyFacts:
    """The facts about one key of a config, dotted, or about all keys of a section.

    >>> FACTS["seed"].identity, FACTS["seed"].condition
    (True, False)
    """

    identity: bool = True
    """Whether it is part of a run's identity, and can be an axis of a sweep."""
    condition: bool = True
    """Whether it is a condition of the experiment: a report never pools runs that differ in it."""
    label: bool = False
    """Whether it is only a label, which changes nothing in a run."""
    replica: bool = False
    """Whether the replicas of a fleet can have different values."""
    acts_later: bool = False
    """Whether it acts only after the gradients of update 0 are read: in that reading it can make no difference."""
    continues: bool = False
    """Whether it says only when a training ends, so that a run can go on with another value."""
    added: Any = None
    """Of a key that came later than others: its default, with which a run's identity is what it was without the key."""
    excludes: str = ""
    """The key that cannot be given together with this one; each replaces the other."""


FACTS: Mapping[str, KeyFacts] = {
    "seed": KeyFacts(condition=False, replica=True),
    "device": KeyFacts(identity=False, condition=False),
    "name": KeyFacts(identity=False, condition=False, label=True, replica=True),
    "plugins": KeyFacts(identity=False, condition=False, label=True, replica=True),
    "notes": KeyFacts(identity=False, condition=False, label=True, replica=True),
    "model.init": KeyFacts(replica=True),
    "model.forget_bias": KeyFacts(replica=True),
    # The clip of the adjoint acts in the backward pass: whoever relies on `acts_later` compares the readings too.
    "clip": KeyFacts(replica=True, acts_later=True),
    "penalty": KeyFacts(acts_later=True, added={"name": "none"}),
    "optimizer": KeyFacts(replica=True, acts_later=True),
    "train.stop": KeyFacts(replica=True, acts_later=True, continues=True),
    "train.nonfinite": KeyFacts(replica=True, acts_later=True),
    "train.detach": KeyFacts(added=0.0),
    "train.checkpoint_seconds": KeyFacts(identity=False, condition=False, replica=True, acts_later=True),
    "train.updates": KeyFacts(acts_later=True, continues=True),
    "train.epochs": KeyFacts(acts_later=True, continues=True, excludes="train.updates"),
}

NO_IDENTITY = tuple(key for key, facts in FACTS.items() if not facts.identity)
NO_CONDITION = tuple(key for key, facts in FACTS.items() if not facts.condition)
LABELS = tuple(key for key, facts in FACTS.items() if facts.label)
CONTINUES = tuple(key for key, facts in FACTS.items() if facts.continues)
REPLICAS_OWN = tuple(key for key, facts in FACTS.items() if facts.replica)
ADDED = {key: facts.added for key, facts in FACTS.items() if facts.added is not None}
EXCLUSIVE = tuple((facts.excludes, key) for key, facts in FACTS.items() if facts.excludes)
_EXCLUDED_BY = {**dict(EXCLUSIVE), **{second: first for first, second in EXCLUSIVE}}


def excluded_by(key: str) -> str | None:
    """The key that this one replaces, if there is one."""
    return _EXCLUDED_BY.get(key)


def acts_later(key: str) -> bool:
    """Whether a key, or the section that it is in, acts only after the reading of update 0.

    >>> acts_later("clip.threshold"), acts_later("model.cell")
    (True, False)
    """
    return any(facts.acts_later and f"{key}.".startswith(f"{of}.") for of, facts in FACTS.items())


def without(settings: Mapping[str, Any], keys: Iterable[str]) -> dict[str, Any]:
    """The nested settings without these dotted keys; missing keys are no error."""
    remaining = dict(settings)
    for key in keys:
        first, _, below = key.partition(".")
        if below and isinstance(remaining.get(first), dict):
            remaining[first] = without(remaining[first], [below])
        elif not below:
            remaining.pop(first, None)
    return remaining


def identifying(settings: Mapping[str, Any]) -> dict[str, Any]:
    """The nested settings that make a run another one.

    >>> identifying({"seed": 3, "name": "mine", "penalty": {"name": "none"}, "train": {"detach": 0.0, "batch": 20}})
    {'seed': 3, 'train': {'batch': 20}}
    """
    usual = [key for key, default in ADDED.items() if _value_at(settings, key) == default]
    return without(settings, (*NO_IDENTITY, *usual))


def _value_at(settings: Mapping[str, Any], key: str) -> Any:
    """The value of a dotted key; None where there is none."""
    value: Any = settings
    for name in key.split("."):
        value = value.get(name) if isinstance(value, Mapping) else None
    return value
