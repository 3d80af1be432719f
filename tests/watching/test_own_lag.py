"""Lag counts from where a watched sample's own gradient enters, forward and back, packed and in cells."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence

import rnnlab

LENGTHS = [9, 4, 7, 2]
DECADES = np.log10(0.5)


def linear(module: nn.Module) -> None:
    """h_t = relu(0.5 h_{t-1} + x_t), which is linear for inputs that are positive."""
    with torch.no_grad():
        for name, weight in module.named_parameters():
            weight.zero_()
            if "weight" in name:
                weight.copy_((0.5 if "hh" in name else 1.0) * torch.eye(3))


@pytest.mark.parametrize("reads", ["states", "output"])
def test_packed_sequences_read_one_exponential_in_both_directions(reads: str, tmp_path: Path) -> None:
    module = nn.RNN(3, 3, nonlinearity="relu", bidirectional=True)
    optimizer = torch.optim.SGD(module.parameters(), lr=0.1)
    linear(module)
    x, scale = torch.rand(9, 4, 3), 10.0 ** torch.arange(4)[:, None]
    with rnnlab.watch(module, tmp_path / "run", every=1, optimizer=optimizer) as watch:
        packed = pack_padded_sequence(x, LENGTHS, enforce_sorted=False)
        output, h = module(packed)
        if reads == "states":
            (h * scale).sum().backward()
        else:  # a timestep in the middle, of the two that have one
            rows = nn.utils.rnn.pad_packed_sequence(output)[0]
            (rows[5] * scale).sum().backward()
        optimizer.step()
    for layer in (0, 1):
        curve = watch.run.own_curve(layer=layer)
        expected = {"states": [sum(n > k for n in LENGTHS) for k in range(9)], "output": [2] * 6}[reads]
        if reads == "output" and layer == 0:  # the reverse direction goes on to each sequence's end
            expected = [2, 2, 1, 1]
        assert curve["lag"].tolist() == list(range(len(expected)))
        assert curve["samples"].tolist() == expected
        norms = curve["log10_norm"].to_numpy()
        np.testing.assert_allclose(norms - norms[0], DECADES * curve["lag"], atol=1e-6)
        assert watch.run.verdict(layer=layer).readouts == 1


def test_a_cell_counts_from_the_last_state_that_a_gradient_comes_back_to(tmp_path: Path) -> None:
    cell = nn.RNNCell(3, 3, nonlinearity="relu")
    optimizer = torch.optim.SGD(cell.parameters(), lr=0.1)
    linear(cell)
    with rnnlab.watch(cell, tmp_path / "run", every=1, optimizer=optimizer) as watch:
        h = torch.zeros(2, 3)
        hs = [h := cell(x, h) for x in torch.rand(12, 2, 3)]
        (hs[8][:1].sum() + 10 * hs[3][1:].sum()).backward()
        optimizer.step()
    curve = watch.run.own_curve()
    assert curve["samples"].tolist() == [2] * 4 + [1] * 5
    norms = curve["log10_norm"].to_numpy()
    np.testing.assert_allclose(norms - norms[0], DECADES * curve["lag"], atol=1e-6)
