"""h-detach against a plain loop under autograd in which the gates read a detached h, and its draws."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from oracles import F64, make_batch, make_network, step
from torch import Tensor
from trainings import config, fleet_config, updated_together_and_alone, whole_and_resumed
from views import ALL, LAST_VALUE, parameters_of

from rnnlab.cells import Lstm
from rnnlab.config import load_config
from rnnlab.errors import ConfigError
from rnnlab.gradients.passes import Sequences, general_pass
from rnnlab.gradients.view import UpdateView
from rnnlab.network.network import Network
from rnnlab.network.objective import Objective
from rnnlab.training.detach import drawn_factors
from rnnlab.training.loop import train
from rnnlab.training.plan import plan


def loop(network: Network, batch: Sequences, objective: Objective, factors: Tensor) -> dict[str, Tensor]:
    """Parameter gradients [R, ...] where of what goes back to h_{t-1} through the gates only a part arrives."""
    leaves = {name: W.detach().clone().requires_grad_() for name, W in network.parameters.items()}
    learned, losses = Network(network.cell, network.shape, leaves), []
    for r in range(network.replicas):
        rows = list(batch.x[r])
        for layer in range(network.shape.layers):
            zero = torch.zeros(rows[0].shape[0], network.shape.hidden, dtype=F64)
            p, states = parameters_of(learned, layer, r), [(zero, zero)]
            for t, x_t in enumerate(rows):
                h, c = states[-1]
                read = h.detach() + factors[layer, r, t] * (h - h.detach())
                states.append(step(network.cell, x_t, (read, c), p))  # type: ignore[arg-type]
            rows = [h for h, _ in states[1:]]
        read_out = objective.read_out(batch.lengths[r : r + 1], len(rows))
        outputs = read_out.gather(torch.stack(rows)[None]) @ leaves["readout.W"][r] + leaves["readout.b"][r]
        losses.append(objective.losses(outputs, objective.targets(batch.y[r : r + 1], read_out), read_out)[0])
    gradients = torch.autograd.grad(torch.stack(losses).sum(), [*leaves.values()])
    return dict(zip(leaves, gradients, strict=True))


def plain(network: Network, batch: Sequences, objective: Objective, factors: Tensor | None) -> dict[str, Tensor]:
    passed = general_pass(network, batch, objective, through_h=factors)
    return {name: part.plain() for name, part in passed.gradients.items()}


def given(objective: Objective, **sizes: int) -> tuple[Network, Sequences]:
    network = make_network(Lstm(), R=2, **{"layers": 2, "hidden": 4, **sizes})
    return network, make_batch(objective, R=2, T=5, ragged=True)


@pytest.mark.parametrize("objective", [LAST_VALUE, ALL], ids=["last", "all"])
def test_gradients_are_those_of_a_loop_whose_gates_read_a_detached_h(objective: Objective) -> None:
    network, batch = given(objective)
    some = torch.tensor(np.random.default_rng(0).integers(0, 2, (2, 2, 5)), dtype=F64)
    for factors in (torch.zeros(2, 2, 5, dtype=F64), some):
        expected = loop(network, batch, objective, factors)
        for name, part in plain(network, batch, objective, factors).items():
            torch.testing.assert_close(part, expected[name], rtol=1e-10, atol=1e-15)


def test_where_nothing_is_blocked_not_a_bit_differs() -> None:
    network, batch = given(ALL)
    free, whole = (plain(network, batch, ALL, factors) for factors in (None, torch.ones(2, 2, 5, dtype=F64)))
    assert all(torch.equal(free[name], part) for name, part in whole.items())


def test_the_mean_over_all_draws_weakens_each_passage_through_h_by_1_minus_p() -> None:
    network, batch = given(LAST_VALUE, layers=1)
    p, total = 0.3, {name: torch.zeros_like(W) for name, W in network.parameters.items()}
    for mask in itertools.product((0.0, 1.0), repeat=5):
        weight = p ** mask.count(0.0) * (1 - p) ** mask.count(1.0)
        factors = torch.tensor(mask, dtype=F64).expand(1, 2, 5)
        for name, part in plain(network, batch, LAST_VALUE, factors).items():
            total[name] += weight * part
    expected = loop(network, batch, LAST_VALUE, torch.full((1, 2, 5), 1 - p, dtype=F64))
    for name, part in total.items():
        torch.testing.assert_close(part, expected[name], rtol=1e-10, atol=1e-15)


def test_what_probes_unroll_is_blocked_as_the_pass_was() -> None:
    network, batch = given(ALL)
    factors = torch.tensor(np.random.default_rng(1).integers(0, 2, (2, 2, 5)), dtype=F64)
    view = UpdateView(0, network, general_pass(network, batch, ALL, through_h=factors), batch, ALL)
    for name, part in view.unrolled.gradients.items():
        torch.testing.assert_close(part.plain(), view.result.gradients[name].plain(), rtol=1e-12, atol=1e-16)
    for name, (mantissa, exponent) in view.sample_gradients(slice(None)).items():
        by_sample = mantissa * exponent.double().exp2().view(*exponent.shape, *[1] * (mantissa.dim() - 2))
        whole = view.result.gradients[name].plain()
        torch.testing.assert_close(by_sample.mean(1), whole, rtol=1e-10, atol=1e-15)


def test_draws_are_of_seed_and_update_alone_and_as_often_as_asked() -> None:
    one = config(train={"detach": 0.25}, task={"name": "addition", "length": 400}, model={"layers": 2})
    configs = one.seeded(0, 1, 2)
    drawn = drawn_factors(configs, 5, 400)
    assert drawn is not None
    assert torch.equal(drawn[:, 1:2, :100], drawn_factors(configs[1:2], 5, 100))  # type: ignore[arg-type]
    assert not torch.equal(drawn, drawn_factors(configs, 6, 400))  # type: ignore[arg-type]
    assert not torch.equal(drawn[0], drawn[1])
    many = torch.stack([drawn_factors(configs, update, 400) for update in range(20)])  # type: ignore[misc]
    assert set(many.unique().tolist()) == {0.0, 1.0}
    error = (0.25 * 0.75 / many.numel()) ** 0.5
    assert abs(1 - float(many.mean()) - 0.25) < 4 * error


def test_a_fleet_is_its_runs_alone() -> None:
    train_ = {"batch": 4, "updates": 20, "evaluate_size": 20, "detach": 0.5}
    updated_together_and_alone([fleet_config(train=train_, seed=seed) for seed in range(3)], updates=6)


def test_the_file_has_both_the_signal_and_the_gradient_of_the_loss(tmp_path: Path) -> None:
    probe = {"schedule": [0]}
    bare = train(config(name="bare", probe=probe, train={"scan": "general"}), out=tmp_path).gradients
    with_detach = config(name="with", probe=probe, train={"detach": 0.5})
    run = train(with_detach, out=tmp_path)
    rows = run.gradients
    assert run.info["scan"] == "general"
    assert [*dict.fromkeys(rows["state"])] == ["h", "c", "h_attached", "c_attached"]
    assert len(rows) == plan(with_detach).gradient_rows
    for state in ("h", "c"):
        whole, attached, signal = (
            frame[frame["state"] == name].drop(columns="state").reset_index(drop=True)
            for frame, name in ((bare, state), (rows, f"{state}_attached"), (rows, state))
        )
        pd.testing.assert_frame_equal(whole, attached)
        assert not whole["norm"].equals(signal["norm"])


def test_an_interrupted_run_goes_on_to_the_same_bytes(tmp_path: Path) -> None:
    one = config(name="one", train={"detach": 0.5}, penalty={"name": "omega", "strength": 0.1})
    whole_and_resumed(one, tmp_path, 7)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"model": {"cell": "gru"}}, "train.detach: gru has no path beside h to keep when h is blocked; lstm has"),
        ({"model": {"cell": "cornn"}}, "train.detach: cornn has no path beside h"),
        ({"train": {"detach": 0.5, "scan": "fast"}}, "train.scan: paths are blocked in the general scan alone"),
        ({"train": {"detach": 1.5}}, "train.detach: must be 1 or less, not 1.5"),
    ],
)
def test_what_cannot_be_is_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        load_config({"task": "addition", "train": {"detach": 0.5}, **changes})
