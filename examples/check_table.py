"""What `retain_grad` on the output of a recurrent layer reads at a timestep, beside the total gradient there.

    python examples/check_table.py

For nn.RNN, nn.LSTM and nn.GRU as they are made, over 100 timesteps, with a loss on the last one. Prints the table of
docs/WATCH.md, each of whose totals agrees with finite differences, or says which does not.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

import rnnlab

T, HIDDEN, BATCH = 100, 50, 16
TIMESTEPS = (0, 50, 98, 99)
LAYERS = {"nn.RNN": nn.RNN, "nn.LSTM": nn.LSTM, "nn.GRU": nn.GRU}


class Reader(nn.Module):
    """A recurrent layer, and a linear read-out of its last output."""

    def __init__(self, layer: nn.RNNBase) -> None:
        super().__init__()
        self.rnn, self.read = layer, nn.Linear(HIDDEN, 1)

    def forward(self, x: Tensor) -> Tensor:
        read: Tensor = self.read(self.rnn(x)[0][-1])
        return read


def check_of(name: str) -> rnnlab.watching.checked.Check:
    """The check of one layer on the mean squared error of random targets."""
    torch.manual_seed(0)
    model, x, targets = Reader(LAYERS[name](1, HIDDEN)), torch.randn(T, BATCH, 1), torch.randn(BATCH, 1)
    return rnnlab.check(model, x, lambda output: nn.functional.mse_loss(output, targets), timesteps=TIMESTEPS)


def table() -> str:
    """In Markdown: in each cell what retain_grad reads, then the total."""
    columns = ["retain_grad / total", *(f"t = {t}" for t in TIMESTEPS), "total against differences"]
    lines = ["| " + " | ".join(columns) + " |", "| --- " * len(columns) + "|"]
    for name in LAYERS:
        layer = check_of(name).layers[0]
        assert layer.retained is not None
        cells = [f"{_power(a)} / {_power(b)}" for a, b in zip(layer.retained, layer.total, strict=True)]
        lines.append(f"| {name} | " + " | ".join(cells) + f" | {layer.words} |")
    return "\n".join(lines)


def _power(log10: float) -> str:
    return "0" if log10 == -math.inf else f"{10**log10:.1e}"


if __name__ == "__main__":
    print(table())
