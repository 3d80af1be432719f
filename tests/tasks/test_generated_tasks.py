"""The laws of the generated tasks, recomputed from what they give, and their levels of chance, by simulation."""

from __future__ import annotations

from math import log
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from samples import GENERATED, Array, joined, take

from rnnlab.tasks import TASKS, Task
from rnnlab.tasks.addition import Addition
from rnnlab.tasks.copy import Copy
from rnnlab.tasks.delayed_copy import DelayedCopy
from rnnlab.tasks.delayed_xor import DelayedXor
from rnnlab.tasks.lorenz import Lorenz, runge_kutta
from rnnlab.tasks.multiplication import Multiplication
from rnnlab.tasks.noise import Noise
from rnnlab.tasks.noiseless_memorization import NoiselessMemorization
from rnnlab.tasks.random_permutation import RandomPermutation
from rnnlab.tasks.temporal_order import TemporalOrder
from rnnlab.tasks.temporal_order_3bit import TemporalOrder3bit

stretched = {
    "length": st.integers(10, 60),
    "jitter": st.sampled_from([0.0, 0.1, 0.5]),
    "batch": st.integers(1, 30),
    "seed": st.integers(0, 2**40),
}
some = settings(max_examples=30, deadline=None)


@some
@given(**stretched, of=st.sampled_from([Addition, Multiplication]))
def test_value_targets_follow_from_the_marked_numbers(
    length: int, jitter: float, batch: int, seed: int, of: Any
) -> None:
    task = of(length=length, jitter=jitter)
    drawn = take(task, 1, batch, seed)[0]
    lengths = np.full(batch, length) if drawn.lengths is None else drawn.lengths
    for row in range(batch):
        marks = np.flatnonzero(drawn.x[:, row, 1])
        assert set(drawn.x[marks, row, 1]) == {1.0}
        first, second = marks
        assert 0 <= first < lengths[row] * 1 // 10 <= second < lengths[row] * 5 // 10
        one, two = drawn.x[marks, row, 0]
        assert drawn.y[row, 0] == (one + two if of is Addition else one * two)
    assert ((drawn.x[..., 0] >= 0) & (drawn.x[..., 0] < 1)).all()


@some
@given(**stretched, of=st.sampled_from([TemporalOrder, TemporalOrder3bit]))
def test_order_labels_follow_from_the_symbols(length: int, jitter: float, batch: int, seed: int, of: Any) -> None:
    drawn = take(of(length=length, jitter=jitter), 1, batch, seed)[0]
    lengths = np.full(batch, length) if drawn.lengths is None else drawn.lengths
    for row in range(batch):
        shown = drawn.x[: lengths[row], row]
        assert (shown.sum(-1) == 1).all()
        places = np.flatnonzero(shown[:, :2].any(-1))
        assert len(places) == len(of.tenths)
        for place, tenth in zip(places, of.tenths, strict=True):
            assert lengths[row] * tenth // 10 <= place < lengths[row] * (tenth + 1) // 10
        bits = "".join(str(symbol) for symbol in shown[places].argmax(-1))
        assert drawn.y[row] == int(bits, 2)


@some
@given(length=st.integers(2, 40), symbols=st.integers(3, 30), seed=st.integers(0, 2**40))
def test_permutation_repeats_its_first_symbol_after_the_end(length: int, symbols: int, seed: int) -> None:
    drawn = take(RandomPermutation(length=length, symbols=symbols), 1, 16, seed)[0]
    shown = drawn.x.argmax(-1)
    assert (drawn.x.sum(-1) == 1).all()
    np.testing.assert_array_equal(drawn.y[:-1], shown[1:])
    np.testing.assert_array_equal(drawn.y[-1], shown[0])
    assert shown[0].max() <= 1
    assert shown[1:].min() >= 2


@some
@given(length=st.integers(1, 40), pattern=st.integers(1, 12), symbols=st.integers(2, 6), seed=st.integers(0, 2**40))
def test_memorization_asks_for_the_pattern_from_the_trigger_on(
    length: int, pattern: int, symbols: int, seed: int
) -> None:
    task = NoiselessMemorization(length=length, pattern=pattern, symbols=symbols)
    shown = take(task, 1, 6, seed)[0].x.argmax(-1)
    y = take(task, 1, 6, seed)[0].y
    assert task.timesteps == length + 2 * pattern
    check_recall(shown, y, pattern, blank=symbols, cue=symbols + 1, cue_at=length + pattern)


@some
@given(length=st.integers(1, 60), seed=st.integers(0, 2**40))
def test_copy_asks_for_the_ten_symbols_after_the_delimiter(length: int, seed: int) -> None:
    drawn = take(Copy(length=length), 1, 6, seed)[0]
    assert len(drawn.x) == length + 20
    check_recall(drawn.x.argmax(-1), drawn.y, 10, blank=8, cue=9, cue_at=length + 9)


def check_recall(shown: Array, y: Array, pattern: int, blank: int, cue: int, cue_at: int) -> None:
    """The pattern first and asked for last; one cue; blanks elsewhere."""
    np.testing.assert_array_equal(y[-pattern:], shown[:pattern])
    assert shown[:pattern].max() < blank
    assert (y[:-pattern] == blank).all()
    assert (shown[cue_at] == cue).all()
    assert (np.delete(shown[pattern:], cue_at - pattern, axis=0) == blank).all()


@some
@given(length=st.integers(10, 500), batch=st.integers(1, 40), seed=st.integers(0, 2**40), low=st.integers(0, 4))
def test_marks_of_even_sequences_are_drawn_as_those_of_uneven_ones(
    length: int, batch: int, seed: int, low: int
) -> None:
    """The same numbers from the same stream, and the stream is at the same place afterwards."""
    lengths, even, uneven = np.full(batch, length), *(np.random.default_rng(seed) for _ in range(2))
    found = Addition(length=length).within(even, lengths, low, low + 1)
    expected = Addition(length=length, jitter=0.5).within(uneven, lengths, low, low + 1)
    np.testing.assert_array_equal(found, expected)
    assert even.bit_generator.state == uneven.bit_generator.state


@some
@given(length=st.integers(2, 40), delay=st.integers(1, 39), seed=st.integers(0, 2**40))
def test_what_is_delayed_is_asked_for_so_many_timesteps_late(length: int, delay: int, seed: int) -> None:
    delay = min(delay, length - 1)
    copied = take(DelayedCopy(length=length, delay=delay, symbols=5), 1, 6, seed)[0]
    differed = take(DelayedXor(length=length, delay=delay), 1, 6, seed)[0]
    for row in range(6):
        shown, bits = copied.x[:, row].argmax(-1), [0, *(differed.x[:, row, 0] > 0).astype(int)]
        for t in range(length):
            late = t - delay
            assert copied.y[t, row] == (shown[late] if late >= 0 else 5)
            assert differed.y[t, row] == (bits[late + 1] != bits[late] if late >= 0 else 0)


@pytest.mark.parametrize("of", [DelayedCopy, DelayedXor])
def test_a_delay_as_long_as_the_sequence_is_refused(of: Any) -> None:
    with pytest.raises(ValidationError, match="delay 12 is not below length 12"):
        of(length=12, delay=12)


@some
@given(length=st.integers(10, 60), seed=st.integers(0, 2**40))
def test_marks_in_halves_lie_one_in_each(length: int, seed: int) -> None:
    drawn = take(Addition(length=length, marks="halves"), 1, 20, seed)[0]
    for row in range(20):
        first, second = np.flatnonzero(drawn.x[:, row, 1])
        assert 0 <= first < length * 5 // 10 <= second < length
        assert drawn.y[row, 0] == drawn.x[[first, second], row, 0].sum()


def test_noise_has_its_variance_and_says_nothing_of_its_target() -> None:
    drawn = take(Noise(length=50, variance=0.3, channels=4), 1, 400)[0]
    assert drawn.x.mean() == pytest.approx(0, abs=0.01)
    assert drawn.x.var() == pytest.approx(0.3, rel=0.02)
    rows, columns = drawn.x.transpose(1, 0, 2).reshape(400, -1), drawn.x.reshape(-1, 4)
    np.testing.assert_allclose(np.corrcoef(columns.T), np.eye(4), atol=0.03)
    assert abs(rows.T @ drawn.y / 400).max() < 5 * (0.3 / 400) ** 0.5


def test_the_lorenz_system_is_integrated_to_fourth_order() -> None:
    """Halving the step divides the error at one time by 16."""
    start, ends = np.array([[1.0], [2.0], [20.0]]), []
    for steps in (20, 40, 640):
        state = start
        for _ in range(steps):
            state = runge_kutta(state, 0.4 / steps)
        ends.append(state)
    coarse, fine = (np.abs(end - ends[-1]).max() for end in ends[:2])
    assert 12 < coarse / fine < 20


def test_the_lorenz_system_follows_its_equations() -> None:
    """The path of a sequence has the slopes of Lorenz (1963), by central differences."""
    task = Lorenz(length=40, dt=0.001, ahead=3)
    drawn = take(task, 1, 3)[0]
    x, y, z = (drawn.x * [7.9, 9.0, 8.6] + [0, 0, 23.5]).transpose(2, 0, 1)
    expected = np.stack([10 * (y - x), x * (28 - z) - y, x * y - 8 / 3 * z])[:, 1:-1]
    path = np.stack([x, y, z])
    np.testing.assert_allclose((path[:, 2:] - path[:, :-2]) / 0.002, expected, rtol=0, atol=0.02)
    np.testing.assert_array_equal(drawn.x[3:], drawn.y[:-3])


def test_the_lorenz_system_has_its_fixed_points() -> None:
    root = (8 / 3 * 27) ** 0.5
    for point in ([0, 0, 0], [root, root, 27], [-root, -root, 27]):
        at = np.array(point, float)[:, None]
        np.testing.assert_allclose(runge_kutta(at, 0.02), at, atol=1e-12)


def test_chance_of_the_lorenz_system_is_that_of_its_mean() -> None:
    task = Lorenz(length=200, dt=0.05)
    y = torch.from_numpy(joined(task, task.stream(1, "float64").evaluation("test", 500)).y)
    assert float(y.square().mean()) == pytest.approx(task.chance().loss, rel=0.03)
    assert float(task.mistakes(torch.zeros_like(y)[:, None], y[:, None]).mean()) == pytest.approx(0.81, rel=0.02)


def test_chance_of_noise_is_that_of_zero() -> None:
    task = Noise()
    y = torch.from_numpy(drawn_targets(task))[None, None]
    assert float(y.square().mean()) == pytest.approx(task.chance().loss, rel=0.06)
    assert float(task.mistakes(torch.zeros_like(y), y).mean()) == pytest.approx(task.chance().error, abs=0.02)


def test_lengths_fill_the_range_of_the_papers() -> None:
    lengths = joined(Addition(), Addition(jitter=0.1).stream(0, "float64").evaluation("test", 2000)).lengths
    assert lengths is not None
    assert set(lengths) == set(range(100, 111))


@pytest.mark.parametrize("of", [Addition, Multiplication, TemporalOrder, TemporalOrder3bit])
def test_a_sequence_too_short_for_its_stretches_is_refused(of: Any) -> None:
    with pytest.raises(ValidationError, match="9 is too short: at least 10 timesteps are needed, so that every tenth"):
        of(length=9)
    assert of.model_json_schema()["properties"]["length"]["minimum"] == 10


@pytest.mark.parametrize("name", GENERATED)
@pytest.mark.parametrize("length", [0, -5, 2.5, "long"])
def test_a_length_that_is_no_length_is_refused(name: str, length: Any) -> None:
    with pytest.raises(ValidationError, match=r"length"):
        TASKS[name].model_validate({"length": length})


# Levels of chance.

COUNT = 6000


def drawn_targets(task: Task) -> Array:
    return joined(task, task.stream(11, "float64").evaluation("test", COUNT)).y


@pytest.mark.parametrize(
    ("task", "answer"), [(Addition(), 1.0), (Addition(target="mean"), 0.5), (Multiplication(), 0.25)]
)
def test_chance_of_value_tasks_is_that_of_the_constant_answer(task: Task, answer: float) -> None:
    y = torch.from_numpy(drawn_targets(task))[None, None]
    outputs = torch.full_like(y, answer)
    chance = task.chance()
    assert float(((outputs - y) ** 2).mean()) == pytest.approx(chance.loss, rel=0.06)
    assert float(task.mistakes(outputs, y).mean()) == pytest.approx(chance.error, abs=0.03)
    assert float(y.mean()) == pytest.approx(answer, abs=0.02)


def test_tolerance_of_value_tasks_is_two_tenths() -> None:
    y = torch.zeros(1, 1, 4, 1)
    outputs = torch.tensor([0.19, -0.19, 0.21, -0.21]).reshape(1, 1, 4, 1)
    assert Addition().mistakes(outputs, y).tolist() == [[[0, 0, 1, 1]]]


@pytest.mark.parametrize("loss", ["last", "all", {"single": 3}, {"single": -4}])
@pytest.mark.parametrize(
    "of",
    [TemporalOrder, TemporalOrder3bit, RandomPermutation, NoiselessMemorization, Copy, DelayedCopy, DelayedXor],
)
def test_chance_of_class_tasks_is_the_entropy_of_their_targets(of: Any, loss: Any) -> None:
    small = {"symbols": 6} if of is RandomPermutation else {}
    task = of(length=12, loss=loss, **small)
    y = drawn_targets(task)
    levels = np.array([entropy(row) for row in (y if task.per_timestep else [y] * task.timesteps)])
    placed = levels if loss == "all" else levels[-1 if loss == "last" else loss["single"]]
    assert float(np.mean(placed)) == pytest.approx(task.chance().loss, abs=0.01)


def entropy(classes: Array) -> float:
    shares = np.bincount(classes)[np.unique(classes)] / len(classes)
    return float(-(shares * np.log(shares)).sum())


@pytest.mark.parametrize("loss", ["last", "all", {"single": 3}, {"single": -4}])
@pytest.mark.parametrize(
    "of",
    [TemporalOrder, TemporalOrder3bit, RandomPermutation, NoiselessMemorization, Copy, DelayedCopy, DelayedXor],
)
def test_error_of_class_tasks_is_that_of_a_guess_without_memory(of: Any, loss: Any) -> None:
    small = {"symbols": 6} if of is RandomPermutation else {}
    task = of(length=12, loss=loss, **small)
    y = drawn_targets(task) if task.per_timestep else drawn_targets(task)[None]
    # Another sequence's targets are a guess that knows the timestep and nothing else.
    guess = torch.nn.functional.one_hot(torch.from_numpy(np.roll(y, 1, axis=1)), task.outputs).double()
    at = range(len(y)) if loss == "all" else [-1 if loss == "last" or len(y) == 1 else loss["single"]]
    where = list(task.scored or at)
    wrong = task.mistakes(guess[where][:, None], torch.from_numpy(y[where])[:, None])
    assert float(wrong.mean()) == pytest.approx(task.chance().error, abs=0.02)


@pytest.mark.parametrize("length", [10, 100, 1000])
def test_copy_has_the_papers_baseline(length: int) -> None:
    assert Copy(length=length).chance().loss == pytest.approx(10 * log(8) / (length + 20), rel=1e-12)


def test_one_wrong_symbol_spoils_a_whole_memorized_sequence() -> None:
    task = NoiselessMemorization(length=4)
    y = torch.from_numpy(take(task, 1, 3)[0].y)[:, None]
    outputs = torch.nn.functional.one_hot(y, task.outputs).double()
    outputs[-2, 0, 1] = outputs[-2, 0, 1].roll(1)
    assert task.mistakes(outputs, y).tolist() == [[[0, 1, 0]]]
