"""Laws of the optimizers: stacked equals separate to the bit, first updates as in the papers, options checked."""

from __future__ import annotations

import inspect
import math
import sys
from typing import Any

import pytest
import torch
from pydantic import ValidationError
from torch import Tensor

from rnnlab.network.flat import Layout
from rnnlab.optimizers import OPTIMIZERS, OptimizerPart

UPDATES = 5

# Odd sizes on purpose: a kernel that treats the tail of a tensor differently is caught only where tails differ.
SHAPES = [(1,), (35,), (143,), (9797,)]

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


def drawn(seed: int, replicas: int, shape: tuple[int, ...], dtype: torch.dtype = torch.float64) -> Tensor:
    """Rows [R, P] as a network lays them out: normal numbers, and zeros up to the width of the layout."""
    generator, layout = torch.Generator().manual_seed(seed), Layout({"W": shape})
    rows = torch.zeros(replicas, layout.width, dtype=dtype)
    rows[:, : layout.count] = torch.randn(replicas, layout.count, generator=generator, dtype=dtype)
    return rows


def trained(part: OptimizerPart, start: Tensor, gradients: list[Tensor], device: str = "cpu") -> Tensor:
    rows = start.clone().to(device)
    optimizer = part.build([rows])
    for gradient in gradients:
        rows.grad = gradient.clone().to(device)
        optimizer.step()
    return rows


def check_stacked_is_separate(part: OptimizerPart, shape: tuple[int, ...], dtype: torch.dtype, device: str) -> None:
    start, gradients = drawn(0, 3, shape, dtype), [drawn(1 + k, 3, shape, dtype) for k in range(UPDATES)]
    stacked = trained(part, start, gradients, device)
    assert (stacked[:, math.prod(shape) :] == 0).all()
    for r in range(3):
        alone = trained(part, start[r : r + 1], [g[r : r + 1] for g in gradients], device)
        assert torch.equal(stacked[r], alone[0])


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize(("name", "options"), VARIANTS)
def test_stacked_equals_separate_to_the_bit(
    name: str, options: dict[str, Any], shape: tuple[int, ...], dtype: torch.dtype
) -> None:
    check_stacked_is_separate(OPTIMIZERS[name](name=name, **options), shape, dtype, "cpu")


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize(("name", "options"), VARIANTS)
def test_an_update_is_that_of_torchs_own_step_to_the_bit(
    name: str, options: dict[str, Any], shape: tuple[int, ...], dtype: torch.dtype
) -> None:
    part, rows, theirs = OPTIMIZERS[name](name=name, **options), drawn(0, 3, shape, dtype), drawn(0, 3, shape, dtype)
    ours, torchs = part.build([rows]), part.build([theirs])
    for k in range(UPDATES):
        with torch.no_grad():
            part.step(ours, rows, drawn(1 + k, 3, shape, dtype))
        theirs.grad = drawn(1 + k, 3, shape, dtype)
        torchs.step()
        assert torch.equal(rows, theirs)
    state, expected = ours.state_dict(), torchs.state_dict()
    assert state["param_groups"] == expected["param_groups"]
    for mine, its in zip(state["state"].values(), expected["state"].values(), strict=True):
        assert mine.keys() == its.keys()
        assert all(
            torch.equal(torch.as_tensor(mine[key]), torch.as_tensor(its[key])) for key in its if its[key] is not None
        )


@pytest.mark.cuda
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
@pytest.mark.parametrize(("name", "options"), VARIANTS)
def test_stacked_equals_separate_to_the_bit_on_cuda(name: str, options: dict[str, Any]) -> None:
    check_stacked_is_separate(OPTIMIZERS[name](name=name, **options), (143,), torch.float32, "cuda")


@pytest.mark.parametrize(("name", "options"), VARIANTS)
def test_groups_over_slices_of_the_stack_are_runs_of_their_own(name: str, options: dict[str, Any]) -> None:
    """Replicas that differ in learning rate: one parameter group for each slice of rows."""
    quick, slow = (OPTIMIZERS[name](**{"name": name, **options, "lr": lr}) for lr in (0.1, 0.01))
    start, gradients = drawn(0, 3, (143,)), [drawn(1 + k, 3, (143,)) for k in range(UPDATES)]
    rows = start.clone()
    groups = [{"params": [rows[:2]], "lr": 0.1}, {"params": [rows[2:]], "lr": 0.01}]
    optimizer = quick.build(groups)  # type: ignore[arg-type]
    for gradient in gradients:
        rows_of = [group["params"][0] for group in optimizer.param_groups]
        rows_of[0].grad, rows_of[1].grad = gradient[:2], gradient[2:]
        optimizer.step()
    assert torch.equal(rows[:2], trained(quick, start[:2], [g[:2] for g in gradients]))
    assert torch.equal(rows[2:], trained(slow, start[2:], [g[2:] for g in gradients]))


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
    # Not a rule of its own, but another kernel for the same one.
    assert {**ours, "fused": None} == {**plain.defaults, "fused": None}


@pytest.mark.parametrize(("name", "options"), VARIANTS)
def test_updates_are_those_of_torchs_plain_kernels(name: str, options: dict[str, Any]) -> None:
    start, gradients = drawn(0, 2, (143,)), [drawn(1 + k, 2, (143,)) for k in range(UPDATES)]
    part, rows = OPTIMIZERS[name](name=name, **options), start.clone()
    plain = part.build([rows])
    plain.param_groups[0]["fused"] = False
    for gradient in gradients:
        rows.grad = gradient
        plain.step()
    torch.testing.assert_close(trained(part, start, gradients), rows, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize(("name", "options"), VARIANTS)
def test_without_the_wrappers_for_compiling_it_is_torchs_own(
    name: str, options: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same updates to the bit as by torch's class, and torch.compile is not imported for them."""
    start, gradients = drawn(0, 2, (143,)), [drawn(1 + k, 2, (143,)) for k in range(UPDATES)]
    part, rows = OPTIMIZERS[name](name=name, **options), start.clone()
    ours = part.build([rows])
    (group,) = ours.param_groups
    library: Any = type(ours).__mro__[1]
    assert library.__module__.startswith("torch.optim")
    theirs = library(**{key: group[key] for key in inspect.signature(library).parameters if key in group})
    for gradient in gradients:
        rows.grad = gradient
        theirs.step()
    monkeypatch.setitem(sys.modules, "torch._dynamo", None)  # an import of it is an error
    assert torch.equal(trained(part, start, gradients), rows)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_a_gradient_of_zero_leaves_the_weights(name: str) -> None:
    start = drawn(0, 1, (143,))
    part = OPTIMIZERS[name](name=name, weight_decay=0)
    assert torch.equal(start, trained(part, start, [torch.zeros_like(start)]))


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
        after = trained(part, zero, [gradient])
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
