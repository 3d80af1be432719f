"""What runs must have in common to train as one fleet."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rnnlab.config.schema import Config

# Each replica has its own; dotted, as in a config.
OWN = ("seed", "model.init", "model.forget_bias", "clip", "optimizer", "train.stop", "train.nonfinite", "name", "notes")


def shape_of(config: Config) -> str:
    """A key that is equal for runs of one shape: all of a config but what each replica of a fleet has for itself.

    Optimizers must be of one kind, with whatever options; clips may differ, except that the adjoint clip, which acts
    inside the scan and writes rows of its own, goes with its like.
    """
    settings = config.resolved()
    for key in OWN:
        *above, last = key.split(".")
        node: Any = settings
        for step in above:
            node = node[step]
        del node[last]
    kinds: Mapping[str, Any] = {"optimizer": config.optimizer.name, "adjoint": config.clip.in_scan() is not None}
    return json.dumps([settings, kinds], sort_keys=True)
