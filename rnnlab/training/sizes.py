"""The sizes of what trains together, as the forecast of memory and an evaluation need them. Without torch."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from rnnlab.config import Config

_EVALUATED_AT_ONCE = 2**23
"""Numbers in one layer's pre-activations of an evaluation batch; bounds the memory that evaluation takes."""
DRAWN_AT_ONCE = 256
"""Sequences that a task draws at a time for an evaluation."""


class Sizes(NamedTuple):
    """The sizes of a fleet, and its numbers of parameters.

    R replicas, T timesteps, B sequences, H units, I inputs, O outputs; S are the timesteps where the loss is.

    >>> from rnnlab.config import load_config
    >>> sizes = Sizes.of(load_config({"task": {"name": "copy", "length": 30}, "model": {"hidden": 10}}), R=4, threads=2)
    >>> sizes.R, sizes.T, sizes.S, sizes.P, sizes.rows(sizes.B)
    (4, 50, 50, 939, 4000)
    """

    R: int
    T: int
    B: int
    S: int
    H: int
    I: int
    O: int
    layers: int
    gates: int
    states: int
    width: int
    """Arrays [H] that the fast scan saves for each timestep."""
    item: int
    """Bytes of a number."""
    P: int
    """Parameters of a replica."""
    largest: int
    """Those of its largest weight matrix."""
    blocks: int
    chunk: int
    """Sequences in an evaluation batch."""

    @classmethod
    def of(cls, config: Config, R: int, threads: int) -> Sizes:
        model, task, cell = config.model, config.task, config.model.build_cell()
        H, L, I, O, T = model.hidden, model.layers, task.inputs, task.outputs, task.timesteps
        G, rule = len(cell.gates), cell.rule()
        biases = 1 + bool(cell.needs_recurrent_bias if model.recurrent_bias is None else model.recurrent_bias)
        parameters = G * H * (I + (L - 1) * H + L * biases) + L * cell.recurrent_count(H) + (H + 1) * O
        return cls(
            R=R,
            T=T,
            B=config.train.batch,
            S=T if task.loss == "all" else 1,
            H=H,
            I=I,
            O=O,
            layers=L,
            gates=G,
            states=len(cell.states),
            width=rule.width if rule else G,
            item=8 if config.dtype == "float64" else 4,
            P=parameters,
            largest=G * H * max(H, I),
            blocks=min(config.train.batch, -(-threads // R)),
            chunk=min(config.train.evaluate_size, evaluation_chunk(T, G * H)),
        )

    def rows(self, B: int) -> int:
        """Timesteps of all sequences of a batch."""
        return self.R * self.T * B


def evaluation_chunk(timesteps: int, pre_activations: int) -> int:
    """How many sequences are evaluated at once, for so many pre-activations a timestep."""
    return max(1, min(DRAWN_AT_ONCE, _EVALUATED_AT_ONCE // (timesteps * pre_activations)))
