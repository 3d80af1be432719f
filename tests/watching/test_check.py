"""rnnlab.check: readings held to finite differences, beside what retain_grad has."""

from __future__ import annotations

import copy
import math
import runpy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence
from watching.loops import norms, run_loop

import rnnlab
from rnnlab.errors import UsageError

KINDS: dict[str, Callable[..., nn.RNNBase]] = {"rnn": nn.RNN, "lstm": nn.LSTM, "gru": nn.GRU}


class Reader(nn.Module):
    """A recurrent module and a linear read-out of the last timestep, or of every one."""

    def __init__(self, module: nn.RNNBase, last: bool = True) -> None:
        super().__init__()
        self.rnn, self.last = module, last
        self.read = nn.Linear(module.hidden_size * (2 if module.bidirectional else 1), 1)

    def forward(self, x: Any) -> Tensor:
        output = self.rnn(x)[0]
        read: Tensor = self.read(output[-1] if self.last else output)
        return read


def mean_square(output: Tensor) -> Tensor:
    return output.square().mean()


@pytest.mark.parametrize("last", [True, False])
@pytest.mark.parametrize(("layers", "both"), [(1, False), (2, True)])
@pytest.mark.parametrize("kind", KINDS)
def test_readings_agree_with_differences_and_with_an_oracle(kind: str, layers: int, both: bool, last: bool) -> None:
    torch.manual_seed(0)
    model, x = Reader(KINDS[kind](2, 4, num_layers=layers, bidirectional=both), last), torch.randn(9, 3, 2)
    check = rnnlab.check(model, x, mean_square)
    assert check.agrees, str(check)
    oracle = run_loop(model.rnn, x, [9] * 3)
    read = copy.deepcopy(model.read).double()
    mean_square(read(oracle.output[-1] if last else oracle.output)).backward()
    for layer in check.layers:
        assert layer.timesteps == (0, 4, 8)
        expected = norms(oracle.h[layer.layer * (1 + both) + layer.reverse]).log10()[[0, 4, 8]]
        np.testing.assert_allclose(layer.total, expected, atol=1e-5)
    assert [(layer.layer, layer.reverse) for layer in check.layers] == [
        (layer, bool(d)) for layer in range(layers) for d in range(1 + both)
    ]


@pytest.mark.parametrize("last", [True, False])
def test_retain_grad_is_shown_as_torch_has_it(last: bool) -> None:
    torch.manual_seed(0)
    model, x = Reader(nn.GRU(2, 4), last), torch.randn(9, 3, 2)
    output = model.rnn(x)[0]
    output.retain_grad()
    mean_square(model.read(output[-1] if last else output)).backward()
    assert output.grad is not None
    retained = rnnlab.check(model, x, mean_square).layers[0].retained
    assert retained is not None
    np.testing.assert_allclose(retained, output.grad.flatten(1).norm(dim=1).log10()[[0, 4, 8]], rtol=1e-5)
    assert (retained[:2] == (-math.inf, -math.inf)) == last


def test_of_a_loss_on_the_last_state_retain_grad_has_nothing() -> None:
    layer = rnnlab.check(nn.LSTM(2, 4), torch.ones(9, 3, 2), lambda given: given[1][1].sum()).layers[0]
    assert layer.retained == (-math.inf,) * 3
    # At the end the loss reads c, which h does not act on.
    assert layer.agrees
    assert layer.total[2] == -math.inf < layer.total[0]


def test_what_differences_cannot_see_from_the_loss_is_held_all_the_same() -> None:
    torch.manual_seed(0)
    layer = rnnlab.check(Reader(nn.RNN(1, 8)), torch.randn(200, 2, 1), mean_square).layers[0]
    assert layer.agrees
    assert layer.total[0] < -30


def test_beyond_float64_nothing_is_claimed() -> None:
    model = nn.RNN(1, 4)
    with torch.no_grad():
        for p in model.parameters():
            p.mul_(0.01)
    layer = rnnlab.check(model, torch.ones(300, 2, 1), lambda given: given[0][-1].sum()).layers[0]
    assert layer.total[0] < -400
    assert math.isnan(layer.of_readings[0])
    assert (layer.agrees, layer.held) == (True, 1)
    assert "2 beyond float64" in layer.words


@pytest.mark.parametrize("reverse", [False, True])
def test_packed_sequences_and_dropout_between_layers(reverse: bool) -> None:
    torch.manual_seed(0)
    model = nn.LSTM(2, 4, num_layers=2, dropout=0.5, bidirectional=reverse)
    packed = pack_padded_sequence(torch.randn(7, 3, 2), [3, 7, 5], enforce_sorted=False)
    check = rnnlab.check(model, packed, lambda given: given[0].data.square().sum() + given[1][0].sum())
    assert check.agrees, str(check)


def test_chosen_timesteps_and_several_arguments() -> None:
    first = torch.randn(1, 3, 4)
    check = rnnlab.check(nn.GRU(2, 4), (torch.randn(9, 3, 2), first), lambda given: given[0].sum(), timesteps=[8, 1])
    assert check.layers[0].timesteps == (8, 1)
    assert check.agrees


def test_the_model_is_afterwards_what_it_was() -> None:
    model, weight = Reader(nn.LSTM(2, 4, num_layers=2, dropout=0.5)).eval(), torch.ones(1, requires_grad=True)
    model.rnn.get_parameter("weight_hh_l0").requires_grad_(False)
    mean_square(model(torch.ones(5, 3, 2))).backward()
    x = torch.randn(5, 3, 2)
    hooks = [len(vars(m)[name]) for m in model.modules() for name in vars(m) if "hooks" in name]
    values = {name: p.detach().clone() for name, p in model.named_parameters()}
    gradients = {name: None if p.grad is None else p.grad.clone() for name, p in model.named_parameters()}
    state = torch.get_rng_state()
    # The loss has a parameter of the user's own, and draws random numbers.
    rnnlab.check(model, x, lambda output: (weight * output * torch.randn(3, 1)).sum())
    assert torch.equal(torch.get_rng_state(), state)
    assert weight.grad is None
    assert not any(module.training for module in model.modules())
    assert hooks == [len(vars(m)[name]) for m in model.modules() for name in vars(m) if "hooks" in name]
    assert not model.rnn.get_parameter("weight_hh_l0").requires_grad
    for name, p in model.named_parameters():
        assert torch.equal(p, values[name])
        before = gradients[name]
        assert p.grad is before is None or torch.equal(p.grad, before)  # type: ignore[arg-type]


def test_a_wrong_reading_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    from rnnlab.gradients.norm_tables import compiled_columns as compiled
    from rnnlab.watching import layer_replay

    def wrong(totals: Any, *others: Any) -> Any:
        return compiled({state: squares * 1.01 for state, squares in totals.items()}, *others)

    monkeypatch.setattr(layer_replay, "compiled_columns", wrong)
    check = rnnlab.check(Reader(nn.GRU(2, 4)), torch.randn(9, 3, 2), mean_square)
    assert not check.agrees
    assert "DIFFERS (readings 5e-03" in str(check)


def test_an_adjoint_that_differences_contradict_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    from rnnlab.watching import check as checking

    held = checking._held

    def wrong(*given: Any) -> Any:
        adjoint, found, states = held(*given)
        # The norm stays what was read; the direction does not.
        return adjoint.flip(-1), found, states

    monkeypatch.setattr(checking, "_held", wrong)
    layer = rnnlab.check(Reader(nn.LSTM(2, 4)), torch.randn(9, 3, 2), mean_square).layers[0]
    assert max(layer.of_readings) < 1e-4
    assert not layer.agrees


def test_rounding_that_grew_is_named_as_a_reason() -> None:
    torch.manual_seed(0)
    module = nn.RNN(1, 50)
    nn.init.normal_(module.get_parameter("weight_hh_l0"), 0, 3 / 50**0.5)
    x = torch.randn(200, 2, 1)
    layer = rnnlab.check(module, x, lambda given: given[0][-1].sum()).layers[0]
    assert not layer.agrees
    assert "already the states" in layer.words
    assert "rounding may have grown" in layer.words
    double = rnnlab.check(module.double(), x[:30].double(), lambda given: given[0][-1].sum()).layers[0]
    assert double.agrees, double.words


def test_dropped_units_that_the_replay_forgets_are_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    from rnnlab.watching import replay

    monkeypatch.setattr(replay, "dropout_masks", lambda *_: [])
    model = Reader(nn.GRU(2, 4, num_layers=2, dropout=0.5))
    assert not rnnlab.check(model, torch.randn(9, 3, 2), mean_square).agrees


def test_it_prints_a_line_a_layer() -> None:
    lines = str(rnnlab.check(Reader(nn.GRU(2, 4, num_layers=2)), torch.randn(9, 3, 2), mean_square)).splitlines()
    assert len(lines) == 3
    assert lines[1].startswith("rnn, layer 0  0 4 8  not in the output ")
    assert lines[2].startswith("rnn, layer 1  0 4 8  zero zero -")


@pytest.mark.parametrize(
    ("model", "loss", "options", "words"),
    [
        (nn.Linear(2, 2), torch.sum, {}, "no nn.RNN, nn.LSTM or nn.GRU"),
        (Reader(nn.GRU(2, 4)), lambda output: output, {}, "a tensor of one number"),
        (Reader(nn.GRU(2, 4)), lambda output: output.detach().sum(), {}, "depends on the model's parameters"),
        (Reader(nn.GRU(2, 4)), lambda output: output.sum() / 0, {}, "the loss is -?inf"),
        (Reader(nn.GRU(2, 4)), torch.sum, {"timesteps": [9]}, "the timesteps 0 to 8"),
        (Reader(nn.GRU(2, 4)), lambda output: torch.ones(3, requires_grad=True).sum(), {}, "no gradient of the loss"),
    ],
)
def test_what_cannot_be_checked_is_said(model: nn.Module, loss: Any, options: Any, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        rnnlab.check(model, torch.ones(9, 3, 2), loss, **options)


def test_the_table_of_the_documentation_is_what_its_example_prints() -> None:
    root = Path(__file__).parents[2]
    made = runpy.run_path(str(root / "examples/check_table.py"))["table"]().splitlines()
    written = [line for line in (root / "docs/WATCH.md").read_text().splitlines() if line.startswith("|")][: len(made)]
    assert written[:2] == made[:2]
    for line, other in zip(written[2:], made[2:], strict=True):
        assert "| agrees (" in other
        # Other versions of torch round otherwise.
        one, two = (
            [float(figure) for cell in row.split("|")[2:6] for figure in cell.split("/")] for row in (line, other)
        )
        np.testing.assert_allclose(one, two, rtol=0.06)
