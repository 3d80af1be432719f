"""Readings of nn.RNN, nn.LSTM and nn.GRU against a plain loop in float64, and the limits of a number format."""

from __future__ import annotations

import copy
import itertools
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence, pad_packed_sequence
from watching.loops import norms, run_loop

import rnnlab

KINDS: dict[str, Callable[..., nn.RNNBase]] = {
    "tanh": nn.RNN,
    "relu": lambda *sizes, **options: nn.RNN(*sizes, nonlinearity="relu", **options),
    "lstm": nn.LSTM,
    "gru": nn.GRU,
}
LENGTHS = [7, 3, 7, 5]
MATRIX = list(itertools.product(KINDS, (1, 3), (False, True), (False, True), (torch.float32, torch.float64)))


def watched(module: nn.Module, folder: Path, **options: Any) -> tuple[rnnlab.watching.session.Watch, torch.optim.SGD]:
    optimizer = torch.optim.SGD(module.parameters(), lr=0.1)
    return rnnlab.watch(module, folder, optimizer=optimizer, every=1, **options), optimizer


@pytest.mark.parametrize(("kind", "layers", "both", "packed", "dtype"), MATRIX)
def test_adjoints_are_those_of_a_plain_loop(
    kind: str, layers: int, both: bool, packed: bool, dtype: torch.dtype, tmp_path: Path
) -> None:
    torch.manual_seed(0)
    module = KINDS[kind](2, 3, num_layers=layers, bidirectional=both, dtype=dtype)
    D = 1 + both
    x = torch.randn(7, 4, 2, dtype=dtype)
    first = tuple(torch.randn(layers * D, 4, 3, dtype=dtype) for _ in range(1 + (kind == "lstm")))
    to_output, to_h, to_c = torch.randn(7, 4, 3 * D), torch.randn(layers * D, 4, 3), torch.randn(layers * D, 4, 3)
    lengths = LENGTHS if packed else [7] * 4

    def loss(output: Tensor, h: Tensor, c: Tensor | None) -> Tensor:
        read = (output * to_output.to(output)).sum() + (h * to_h.to(h)).sum()
        return read + (c * to_c.to(c)).sum() if c is not None else read

    with watched(module, tmp_path / "run")[0] as watch:
        given: Any = pack_padded_sequence(x, LENGTHS, enforce_sorted=False) if packed else x
        output, states = module(given, first if kind == "lstm" else first[0])
        h, c = states if kind == "lstm" else (states, None)
        read = pad_packed_sequence(output)[0] if packed else output
        loss(read, h, c).backward()
        watch._optimizer.step()
    # The optimizer has moved the weights; the oracle takes those of the pass.
    module_before = copy.deepcopy(module)
    for p, q in zip(module_before.parameters(), module.parameters(), strict=True):
        assert q.grad is not None
        p.data = (q + 0.1 * q.grad).detach()
    oracle = run_loop(module_before, x, lengths, first)
    loss(oracle.output, oracle.last_h, oracle.last_c if kind == "lstm" else None).backward()
    tolerance = 1e-5 if dtype == torch.float32 else 1e-12
    for of_layer in watch.run.info["layers"]:
        index = of_layer["depth"] * D + of_layer["reverse"]
        for state, states_of_loop in (("h", oracle.h), ("c", oracle.c)):
            if state == "c" and kind != "lstm":
                continue
            rows = watch.run.gradients.query(f"layer == {of_layer['layer']} and state == '{state}'")
            expected = norms(states_of_loop[index]).numpy()
            np.testing.assert_allclose(rows["norm"], expected, rtol=tolerance, atol=0)
    assert watch.run.metrics["verified"].tolist() == [1.0]


class Last(nn.Module):
    """A recurrent module whose last output is read."""

    def __init__(self, module: nn.RNNBase) -> None:
        super().__init__()
        self.rnn, self.read = module, nn.Linear(module.hidden_size, 1)

    def forward(self, x: Tensor) -> Tensor:
        read: Tensor = self.read(self.rnn(x)[0][-1])
        return read


def train(kind: str, watch_in: Path | None, updates: int = 20, **options: Any) -> tuple[nn.Module, Any]:
    torch.manual_seed(0)
    model = Last(KINDS[kind](2, 4, num_layers=2, dropout=0.3))
    optimizer = torch.optim.Adam(model.parameters())
    watch = rnnlab.watch(model, watch_in, optimizer=optimizer, every=3, **options) if watch_in else None
    for _ in range(updates):
        x = torch.randn(9, 4, 2)
        loss = model(x).square().mean()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 0.05)
        optimizer.step()
        if watch:
            watch.log(loss=loss)
        optimizer.zero_grad()
    if watch:
        watch.close()
    return model, watch


@pytest.mark.parametrize("kind", KINDS)
def test_training_is_the_same_bit_for_bit(kind: str, tmp_path: Path) -> None:
    alone, _ = train(kind, None)
    state = torch.get_rng_state()
    model, watch = train(kind, tmp_path / "run")
    assert torch.equal(torch.get_rng_state(), state)
    assert all(torch.equal(p, q) for p, q in zip(alone.parameters(), model.parameters(), strict=True))
    metrics = watch.run.metrics
    assert metrics["update"].tolist() == [0, 3, 6, 9, 12, 15, 18]
    assert metrics["verified"].eq(1).all()
    np.testing.assert_allclose(metrics["grad_norm_clipped"], metrics["grad_norm"].clip(upper=0.05), rtol=1e-4)
    assert metrics["loss"].notna().all()


def test_after_the_end_the_model_is_what_it_was(tmp_path: Path) -> None:
    model, _ = train("lstm", tmp_path / "run", 4)
    alone, _ = train("lstm", None, 4)
    assert [vars(module).keys() for module in model.modules()] == [vars(module).keys() for module in alone.modules()]
    hooks = [vars(module)[name] for module in model.modules() for name in vars(module) if "hooks" in name]
    assert hooks
    assert not any(hooks)
    for twin in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        assert all(torch.equal(p, q) for p, q in zip(alone.parameters(), twin.parameters(), strict=True))


def test_a_copy_of_a_watched_model_is_not_watched(tmp_path: Path) -> None:
    model = Last(nn.LSTM(2, 4))
    watch, optimizer = watched(model, tmp_path / "run")
    for twin in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        twin(torch.randn(5, 3, 2)).sum().backward()
    optimizer.step()
    watch.close()
    assert watch.run.gradients.empty


@pytest.mark.parametrize(("module", "size", "beyond"), [(nn.LSTM(1, 4), 0.05, -300), (nn.RNN(1, 4), 4.0, 300)])
def test_float32_reads_what_it_cannot_hold(module: nn.RNNBase, size: float, beyond: float, tmp_path: Path) -> None:
    """At rest tanh passes everything on, so with W_hh = size * I it is size^lag; a forget gate does likewise."""
    with torch.no_grad():
        for p in module.parameters():
            p.zero_()
        if isinstance(module, nn.LSTM):
            module.get_parameter("bias_ih_l0")[4:8] = float(np.log(size / (1 - size)))
        else:
            module.get_parameter("weight_hh_l0").copy_(size * torch.eye(4))
    with watched(module, tmp_path / "run")[0] as watch:
        _, states = module(torch.zeros(600, 1, 1))
        (states[1] if isinstance(module, nn.LSTM) else states).sum().backward()
        watch._optimizer.step()
    state = "c" if isinstance(module, nn.LSTM) else "h"
    rows = watch.run.gradients.query(f"state == '{state}'")
    expected = np.log10(2) + rows["lag"] * np.log10(size)
    assert abs(expected).max() > abs(beyond)
    np.testing.assert_allclose(rows["log10_norm"], expected, atol=0.01)


def test_a_wrong_reading_is_not_verified(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from rnnlab.watching import replay

    monkeypatch.setattr(replay, "dropout_masks", lambda *_: [])
    _, watch = train("gru", tmp_path / "run")
    assert watch.run.metrics["verified"].eq(0).all()
    assert watch.run.info["watch"]["not_verified"] == 7


@pytest.mark.parametrize("batch_first", [False, True])
def test_packed_and_unbatched_sequences_keep_their_layout(batch_first: bool, tmp_path: Path) -> None:
    module = nn.GRU(2, 3, batch_first=batch_first)
    watch, optimizer = watched(module, tmp_path / "run")
    module(torch.randn(6, 2))[0].sum().backward()
    optimizer.step()
    data = pack_padded_sequence(torch.randn(2, 6, 2) if batch_first else torch.randn(6, 2, 2), [6, 4], batch_first)
    assert isinstance(data, PackedSequence)
    module(data)[0].data.sum().backward()
    optimizer.step()
    watch.close()
    assert watch.run.metrics["verified"].tolist() == [1, 1]


@pytest.mark.parametrize("module", [nn.RNN(2, 3), nn.LSTM(2, 3), nn.GRU(2, 3, 2)])
def test_a_gradient_of_zeros_is_read_as_zeros(module: nn.RNNBase, tmp_path: Path) -> None:
    """A dead ReLU behind the layer, or a loss whose samples are all masked: no timestep has anything to read."""
    watch, optimizer = watched(module, tmp_path)
    for factor in (0.0, 1.0):
        (module(torch.randn(4, 2, 2))[0].square().sum() * factor).backward()
        optimizer.step()
        optimizer.zero_grad()
    watch.close()
    gradients, metrics = watch.run.gradients, watch.run.metrics
    assert watch.run.status == "completed"
    assert gradients.groupby("update")["norm"].apply(lambda norms: norms.eq(0).all()).tolist() == [True, False]
    assert len(gradients.query("update == 0")) == len(gradients.query("update == 1")) > 0
    assert gradients["log10_norm"].notna().all()  # not lost to underflow
    assert metrics["verified"].tolist() == [1, 1]


@pytest.mark.parametrize(("gain", "word"), [(0.0, "dead"), (1e-30, "vanishing"), (1e3, "exploding")])
def test_the_verdict_is_on_the_curve_of_the_last_record(gain: float, word: str, tmp_path: Path) -> None:
    """Exact zeros, and what float32 cannot hold, are part of the curve; one read-out is counted as one."""
    module = nn.RNN(2, 3, nonlinearity="relu")
    with torch.no_grad():
        for weight in module.parameters():
            weight.fill_(0.1)
        module.all_weights[0][1].copy_(gain * torch.eye(3))
    watch, optimizer = watched(module, tmp_path)
    module(torch.rand(8, 2, 2))[0][-1].sum().backward()
    optimizer.step()
    watch.close()
    verdict = watch.run.verdict()
    assert (verdict.word, verdict.readouts) == (word, 1)
    assert verdict.zeros == (7 if gain == 0 else 0)
