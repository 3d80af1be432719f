"""Laws of the optimizers: stacked equals separate to the bit, first updates as in the papers, options checked."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from pydantic import ValidationError
from torch import Tensor

from rnnlab.optimizers import OPTIMIZERS, OptimizerPart

UPDATES = 5

# Odd sizes on purpose: a kernel that treats the tail of a tensor differently is caught only where tails differ.
SHAPES = [(5, 7), (1,), (33,), (13, 11), (97, 101)]

# Every option away from its default at least once, beside every optimizer as it comes.
VARIANTS: list[tuple[str, dict[str, Any]]] = [
    *((name, {}) for name in OPTIMIZERS),
    *((name, {"weight_decay": 0.1}) for name in OPTIMIZERS),
    ("sgd", {"momentum": 0.9}),
    ("sgd", {"momentum": 0.9, "nesterov": True}),
    ("adam", {"beta1": 0.5, "beta2": 0.9, "eps": 1e-3, "amsgrad": True}),
    ("adamw", {"amsgrad": True}),
    ("rmsprop", {"alpha": 0.9, "momentum": 0.9, "centered": True}),
    ("adadelta", {"rho": 0.95}),
]


def drawn(seed: int, replicas: int) -> list[Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return [torch.randn(replicas, *shape, generator=generator, dtype=torch.float64) for shape in SHAPES]


def trained(part: OptimizerPart, start: list[Tensor], gradients: list[list[Tensor]], device: str) -> list[Tensor]:
    parameters = [value.clone().to(device).requires_grad_() for value in start]
    optimizer = part.build(parameters)
    for update in gradients:
        for parameter, gradient in zip(parameters, update, strict=True):
            parameter.grad = gradient.clone().to(device)
        optimizer.step()
    return [parameter.detach() for parameter in parameters]


def check_stacked_is_separate(part: OptimizerPart, device: str) -> None:
    start, gradients = drawn(0, 3), [drawn(1 + k, 3) for k in range(UPDATES)]
    stacked = trained(part, start, gradients, device)
    for r in range(3):
        alone = trained(part, [w[r] for w in start], [[g[r] for g in update] for update in gradients], device)
        for whole, own in zip(stacked, alone, strict=True):
            assert torch.equal(whole[r], own)


@pytest.mark.parametrize(("name", "options"), VARIANTS)
def test_stacked_equals_separate_to_the_bit(name: str, options: dict[str, Any]) -> None:
    check_stacked_is_separate(OPTIMIZERS[name](name=name, **options), "cpu")


@pytest.mark.cuda
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
@pytest.mark.parametrize(("name", "options"), VARIANTS)
def test_stacked_equals_separate_to_the_bit_on_cuda(name: str, options: dict[str, Any]) -> None:
    check_stacked_is_separate(OPTIMIZERS[name](name=name, **options), "cuda")


@pytest.mark.parametrize(("name", "options"), VARIANTS)
def test_every_option_reaches_torch(name: str, options: dict[str, Any]) -> None:
    part = OPTIMIZERS[name](name=name, **options)
    (group,) = part.build([torch.zeros(2, requires_grad=True)]).param_groups
    given = part.model_dump(exclude={"name"})
    if "beta1" in given:
        given["betas"] = (given.pop("beta1"), given.pop("beta2"))
    assert {key: group[key] for key in given} == given


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_defaults_are_those_of_torch(name: str) -> None:
    part = OPTIMIZERS[name](name=name)
    built = part.build([torch.zeros(2, requires_grad=True)])
    library: Any = type(built)
    plain = library([torch.zeros(2, requires_grad=True)])
    ours = {**built.defaults, "lr": plain.defaults["lr"]} if name == "sgd" else built.defaults
    assert ours == plain.defaults


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_a_gradient_of_zero_leaves_the_weights(name: str) -> None:
    start = drawn(0, 1)
    zeros = [torch.zeros_like(w) for w in start]
    part = OPTIMIZERS[name](name=name, weight_decay=0)
    for before, after in zip(start, trained(part, start, [zeros], "cpu"), strict=True):
        assert torch.equal(before, after)


@pytest.mark.parametrize(
    ("name", "options", "expected"),
    [
        ("sgd", {"lr": 0.1}, lambda g: -0.1 * g),
        ("sgd", {"lr": 0.1, "momentum": 0.5, "nesterov": True}, lambda g: -0.1 * 1.5 * g),
        ("adam", {"lr": 0.1, "eps": 1e-3}, lambda g: -0.1 * g / (abs(g) + 1e-3)),
        ("adamw", {"lr": 0.1, "eps": 1e-3, "weight_decay": 0}, lambda g: -0.1 * g / (abs(g) + 1e-3)),
        ("rmsprop", {"lr": 0.1, "alpha": 0.75, "eps": 1e-3}, lambda g: -0.1 * g / (0.5 * abs(g) + 1e-3)),
        ("adagrad", {"lr": 0.1, "eps": 1e-3}, lambda g: -0.1 * g / (abs(g) + 1e-3)),
        (
            "adadelta",
            {"lr": 1.0, "rho": 0.75, "eps": 1e-3},
            lambda g: -g * math.sqrt(1e-3) / math.sqrt(0.25 * g * g + 1e-3),
        ),
    ],
)
def test_first_update_is_the_formula(name: str, options: dict[str, Any], expected: Any) -> None:
    part = OPTIMIZERS[name](name=name, **options)
    for g in (-2.0, 0.5):
        zero, gradient = torch.zeros(1, dtype=torch.float64), torch.tensor([g], dtype=torch.float64)
        (after,) = trained(part, [zero], [[gradient]], "cpu")
        assert after.item() == pytest.approx(expected(g), rel=1e-12)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_every_optimizer_says_what_it_is(name: str) -> None:
    part = OPTIMIZERS[name]
    assert len(part.meaning()) > 10
    assert part.source
    assert all(field.description for key, field in part.model_fields.items() if key != "name")


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_a_resolved_optimizer_repeats_itself(name: str) -> None:
    part = OPTIMIZERS[name](name=name)
    assert OPTIMIZERS[name](**part.model_dump(mode="json")) == part


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("sgd", {"lr": 0}, "greater than 0"),
        ("sgd", {"lr": float("nan")}, "finite number"),
        ("sgd", {"momentum": 1}, "less than 1"),
        ("sgd", {"nesterov": True}, "nesterov needs a momentum above 0"),
        ("adam", {"beta2": 1.0}, "less than 1"),
        ("adam", {"momentum": 0.9}, "Extra inputs are not permitted"),
        ("rmsprop", {"eps": 0}, "greater than 0"),
        ("adagrad", {"weight_decay": -1}, "greater than or equal to 0"),
    ],
)
def test_bad_options_are_refused(name: str, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        OPTIMIZERS[name](name=name, **options)
