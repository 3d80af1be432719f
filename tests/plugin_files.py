"""Files with parts of a user's own, as texts, and a config that uses them."""

from __future__ import annotations

from typing import Any

from rnnlab.plugins import unload_plugin
from rnnlab.plugins.loading import _LOADED


def unload_all() -> None:
    """As in a process that has loaded nothing yet."""
    for plugin in list(dict.fromkeys(_LOADED.values())):
        unload_plugin(plugin)


CELL = '''
from typing import ClassVar, Literal

from torch import Tensor

from rnnlab.cells import CELLS, Cell, State


class Halved(Cell):
    """Half of the state and half of a tanh."""

    gates: ClassVar[tuple[str, ...]] = ("h",)

    name: Literal["halved"] = "halved"

    def definition(self, gx: Tensor, gh: Tensor, state: State) -> tuple[State, State]:
        gate = (gx + gh).tanh()
        return (state[0] / 2 + gate / 2,), (gate,)


CELLS["halved"] = Halved
'''
CLIP = '''
from typing import ClassVar, Literal

import numpy as np
from pydantic import Field

from rnnlab.clips import CLIPS, Clip


class Scaled(Clip):
    """Multiplies the gradient by a constant."""

    counts: ClassVar[str] = "updates"

    name: Literal["scaled"] = "scaled"
    factor: float = Field(default=0.5, gt=0, description="The constant.")
    words: str = Field(default="", description="Any text.")

    @classmethod
    def act(cls, clips, gradient):
        factors = np.array([clip.factor for clip in clips])
        return gradient.plain(np.log2(factors)), np.ones(len(clips))


CLIPS["scaled"] = Scaled
'''
CONFIG: dict[str, Any] = {
    "task": {"name": "addition", "length": 10},
    "model": {"cell": "halved", "hidden": 3},
    "clip": {"name": "scaled", "factor": 0.25},
    "train": {"updates": 4, "batch": 2, "evaluate_size": 4},
    "device": "cpu",
}
YAML = """\
plugins: [parts/my_cell.py, parts/my_clip.py]
task: {name: addition, length: 10}
model: {cell: halved, hidden: 3}
clip: {name: scaled, factor: 0.25}
train: {updates: 4, batch: 2, evaluate_size: 4}
device: cpu
"""
