"""Where fleets are trained: an engine is a class with one method, `train`."""

from rnnlab.engines.base import Engine
from rnnlab.engines.inline import Inline
from rnnlab.engines.local import Local

ENGINES: dict[str, type[Engine]] = {engine.name: engine for engine in (Inline, Local)}

__all__ = ["ENGINES", "Engine", "Inline", "Local"]
