"""What runs must have in common to train as one fleet."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from rnnlab.config.facts import REPLICAS_OWN, without

if TYPE_CHECKING:
    from rnnlab.config.schema import Config


def shape_of(config: Config) -> str:
    """A key that is equal for runs of one shape: all of a config but what each replica of a fleet has for itself.

    Optimizers must be of one kind, with whatever options; clips may differ, except that the adjoint clip, which acts
    inside the scan and writes rows of its own, goes with its like.
    """
    settings = without(config.resolved(), REPLICAS_OWN)
    kinds: Mapping[str, Any] = {"optimizer": config.optimizer.name, "adjoint": config.clip.in_scan() is not None}
    return json.dumps([settings, kinds], sort_keys=True)
