"""The shape of a run: what runs must have in common to train as one fleet."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from rnnlab.config.facts import REPLICAS_OWN, without

if TYPE_CHECKING:
    from rnnlab.config.schema import Config


def shape_of(config: Config) -> str:
    """A text that is equal for runs of one shape: the config without the keys that each replica has for itself.

    Optimizers must have one name; their options may differ. Clips may differ too, but a clip inside the scan and one
    outside do not go together: the former writes rows of its own.
    """
    settings = without(config.resolved(), REPLICAS_OWN)
    kinds: Mapping[str, Any] = {"optimizer": config.optimizer.name, "adjoint": config.clip.in_scan() is not None}
    return json.dumps([settings, kinds], sort_keys=True)
