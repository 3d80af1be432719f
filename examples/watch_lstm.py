"""Watch an LSTM of your own that learns to read handwritten digits, row by row, in your own loop.

    python examples/watch_lstm.py

Needs scikit-learn, whose digits (8 x 8 pixels) come with it. Takes some five seconds on two cores.
"""

from __future__ import annotations

import torch
from sklearn.datasets import load_digits
from torch import Tensor, nn

import rnnlab


class Reader(nn.Module):
    """An LSTM over the pixels of an image, one a timestep, and a linear read-out of its last state."""

    def __init__(self) -> None:
        super().__init__()
        self.lstm = nn.LSTM(1, 32, batch_first=True)
        self.read = nn.Linear(32, 10)

    def forward(self, x: Tensor) -> Tensor:
        _, (h, _) = self.lstm(x)
        classes: Tensor = self.read(h[-1])
        return classes


def main(updates: int = 200, out: str = "runs/watched") -> rnnlab.Run:
    """Train for so many updates, and give back the run."""
    torch.manual_seed(0)
    digits = load_digits()
    images = torch.tensor(digits.data, dtype=torch.float32).unsqueeze(-1) / 16
    labels = torch.tensor(digits.target)
    model = Reader()
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)

    settings = {"model.cell": "lstm", "lr": 3e-3}
    with rnnlab.watch(model, out, every=10, optimizer=optimizer, settings=settings, force=True) as watch:
        for _ in range(updates):
            batch = torch.randint(len(images), (50,))
            loss = nn.functional.cross_entropy(model(images[batch]), labels[batch])
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            watch.log(loss=loss)
            optimizer.zero_grad()
    return watch.run


if __name__ == "__main__":
    run = main()
    print(f"first update: {run.verdict(update=0).text}")
    print(f"last update:  {run.verdict().text}")
    print("rnnlab show runs/watched draws it")
