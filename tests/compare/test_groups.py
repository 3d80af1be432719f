"""Groups pool runs that are alike and no others, and their figures are the runs' own."""

from __future__ import annotations

import copy
import shutil
from collections.abc import Callable
from dataclasses import FrozenInstanceError
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from fakes import fake_group, fake_run
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from rnnlab.analysis.curve import effective_lag
from rnnlab.compare.collection import load_runs
from rnnlab.compare.groups import Groups
from rnnlab.compare.measured import median_curve
from rnnlab.compare.pairs import pairs
from rnnlab.errors import UsageError
from rnnlab.report.figures.data import curve_data


@pytest.fixture
def six(tmp_path: Path) -> Path:
    """Two cells with three seeds each, whose rates are known."""
    fake_group(tmp_path, {0: -10, 1: -12, 2: -14}, model__cell="rnn")
    fake_group(tmp_path, {0: -1, 1: -2, 2: -3}, model__cell="lstm")
    return tmp_path


def test_rates_are_the_runs_own_with_their_interval(six: Path) -> None:
    frame = load_runs(six).group_by().decay_rates().set_index("model.cell")
    assert list(frame.index) == ["lstm", "rnn"]
    assert frame["rate"].to_dict() == pytest.approx({"lstm": -2.0, "rnn": -12.0})
    low, high = stats.t.interval(0.95, 2, -12.0, 2 / np.sqrt(3))
    assert (frame.loc["rnn", "low"], frame.loc["rnn", "high"]) == pytest.approx((low, high))
    assert frame[["runs", "seeds"]].to_numpy().tolist() == [[3, 3], [3, 3]]
    # 2 / 0.12 timesteps to 1%; of the LSTM's runs none gets that far in 40.
    assert frame.loc["rnn", "horizon"] == pytest.approx(2 / 0.12)
    assert frame.loc["lstm", "horizon"] == np.inf


def test_the_update_is_chosen(tmp_path: Path) -> None:
    for seed in range(3):
        fake_run(tmp_path, f"run{seed}", {"seed": seed}, updates=(0, 10, 20), decades=-0.2)
    groups = load_runs(tmp_path).group_by()
    assert groups.decay_rates(at=0)["rate"].tolist() == pytest.approx([-20.0])
    assert groups.decay_rates(at=12)["rate"].tolist() == pytest.approx([-10.0])
    assert groups.decay_rates()["rate"].tolist() == pytest.approx([-5.0])


def test_runs_that_differ_are_not_pooled(six: Path) -> None:
    fake_group(six, {0: -5, 1: -5}, model__cell="rnn", optimizer__lr=0.1)
    groups = load_runs(six).group_by("model.cell")
    assert groups.also == ("optimizer.lr",)
    assert [len(group.runs) for group in groups] == [3, 3, 2]
    (first, some), (second, other) = groups.comparisons()
    assert (first, second) == ({"optimizer.lr": None}, {"optimizer.lr": 0.1})
    assert (len(some), len(other)) == (2, 1)
    assert list(groups.decay_rates().columns)[:2] == ["optimizer.lr", "model.cell"]


def test_keys_are_found_where_few_differ(tmp_path: Path) -> None:
    for cell in ("rnn", "lstm"):
        for threshold in (0.1, 1.0):
            # What follows from another key is not a key of its own.
            linked = {"model__bias": cell == "lstm", "clip__limit": threshold * 2}
            fake_group(tmp_path, {0: -1.0}, model__cell=cell, clip__threshold=threshold, **linked)
    groups = load_runs(tmp_path).group_by()
    assert groups.by == ("model.cell", "clip.threshold")
    assert sorted(groups.hidden) == ["clip.limit", "model.bias"]
    assert [tuple(group.values.values()) for group in groups] == [
        ("lstm", 0.1), ("lstm", 1.0), ("rnn", 0.1), ("rnn", 1.0)
    ]  # fmt: skip
    assert load_runs(tmp_path).group_by("clip").by == ("clip.threshold",)
    assert load_runs(tmp_path).group_by("model", "clip").by == ("model.cell", "clip.threshold")
    assert load_runs(tmp_path).group_by("task").by == ("task.name",)


def test_too_many_keys_are_asked_about(tmp_path: Path) -> None:
    for at in range(6):
        fake_group(tmp_path, {0: -1.0}, **{f"model__k{k}": int(k == at) for k in range(7)}, optimizer__lr=1 / (1 + at))
        fake_group(tmp_path, {0: -1.0}, **{f"model__k{k}": int(k == at) for k in range(7)}, optimizer__lr=9.0)
    with pytest.raises(UsageError, match=r"these runs differ in \d settings: .*model.k1 \(.*--by KEY,KEY.*--where"):
        load_runs(tmp_path).group_by()
    with pytest.raises(UsageError, match=r"no run has a setting 'model.cel'; did you mean 'model.cell'\?"):
        load_runs(tmp_path).group_by("model.cel")


def test_a_repeated_run_counts_once(six: Path) -> None:
    shutil.copytree(six / "cell=rnn-T40-s0", six / "again")
    groups = load_runs(six).group_by()
    assert groups.repeated == 1
    assert [len(group.runs) for group in groups] == [3, 3]


def test_what_has_not_ended_is_no_success_and_no_failure(tmp_path: Path) -> None:
    fake_group(tmp_path, {0: -1, 1: -1}, error=0.005)
    fake_group(tmp_path, {2: -1}, error=0.005, status="diverged")
    fake_group(tmp_path, {3: -1}, status="interrupted")
    fake_group(tmp_path, {4: -1}, error=0.5)
    (group,) = load_runs(tmp_path).group_by().measure()
    assert dict(group.statuses) == {"completed": 3, "diverged": 1, "interrupted": 1}
    assert (len(group.solved), group.ended) == (2, 4)
    assert group.success is not None
    assert group.success.middle == 0.5
    # Errors are of completed runs; gradients of all.
    assert sorted(group.each("error")) == [0, 1, 4]
    assert len(group.each("rate")) == 5
    frame = load_runs(tmp_path).group_by().success_rates("error <= 0.5")
    assert frame[["successes", "ended"]].to_numpy().tolist() == [[3, 4]]


def test_a_runs_own_stop_rule_says_what_success_is(tmp_path: Path) -> None:
    fake_group(tmp_path, {0: -1}, error=0.05, train__stop="error < 0.1")
    fake_group(tmp_path, {0: -1}, error=0.05, train__stop=None)
    groups = load_runs(tmp_path).group_by().measure()
    assert {group.values["train.stop"]: len(group.solved) for group in groups} == {None: 0, "error < 0.1": 1}


def test_what_cannot_be_read_is_left_out_and_named(six: Path) -> None:
    (six / "cell=rnn-T40-s0" / "gradients.csv").write_text("nonsense\n")
    (six / "cell=rnn-T40-s1" / "config.yaml").unlink()
    (six / "cell=lstm-T40-s2" / "gradients.csv").unlink()
    groups = load_runs(six).group_by().measure()
    assert sorted(groups.left_out) == ["cell=lstm-T40-s2", "cell=rnn-T40-s0", "cell=rnn-T40-s1"]
    assert "does not begin with the columns" in groups.left_out["cell=rnn-T40-s0"]
    assert [len(group.measured) for group in groups] == [2, 1]
    # Its status and its success are in run.json, and count.
    assert [len(group.runs) for group in groups] == [3, 2]


def test_pairs_differ_in_one_key(six: Path) -> None:
    fake_group(six, {0: -6, 1: -7, 2: -8}, model__cell="rnn", timesteps=60)
    fake_group(six, {0: -1, 1: -2, 2: -3}, model__cell="lstm", timesteps=60)
    groups = load_runs(six).group_by("task.length", "model.cell").measure()
    comparisons = {(pair.key, pair.first, pair.second, *pair.rest.values()): pair.comparison for pair in pairs(groups)}
    assert set(comparisons) == {
        ("task.length", 40, 60, "lstm"), ("task.length", 40, 60, "rnn"),
        ("model.cell", "lstm", "rnn", 40), ("model.cell", "lstm", "rnn", 60),
    }  # fmt: skip
    assert comparisons["model.cell", "lstm", "rnn", 60].difference.middle == pytest.approx(-5)
    assert comparisons["task.length", 40, 60, "rnn"].difference.middle == pytest.approx(5)
    assert comparisons["task.length", 40, 60, "lstm"].word == "not told apart"


marked = st.sampled_from([-np.inf, np.nan, np.inf]) | st.floats(-400, 400)


@given(st.lists(st.lists(marked, min_size=4, max_size=4), min_size=1, max_size=6))
def test_the_median_curve_is_the_plain_one(rows: list[list[float]]) -> None:
    """Against a sort by rank: zero, underflow, numbers, not finite; half way between unlike things is the lower."""
    curve = median_curve([(np.arange(4), np.array(row)) for row in rows])

    def rank(value: float) -> tuple[int, float]:
        if np.isnan(value):
            return 1, 0.0
        return (2, value) if np.isfinite(value) else ((0, 0.0) if value < 0 else (3, 0.0))

    for lag in range(4):
        ordered = sorted((row[lag] for row in rows), key=rank)
        low, high = ordered[(len(ordered) - 1) // 2], ordered[len(ordered) // 2]
        both = np.isfinite(low) and np.isfinite(high)
        assert curve.median[lag] == pytest.approx((low + high) / 2 if both else low, nan_ok=True)
        column = np.array([row[lag] for row in rows])
        if len(rows) >= 3 and np.isfinite(column).all():
            theirs = stats.t.interval(0.95, len(rows) - 1, column.mean(), max(stats.sem(column), 1e-300))
            assert (curve.low[lag], curve.high[lag]) == pytest.approx(theirs, abs=1e-9)
        else:
            assert np.isnan(curve.low[lag])


def test_curves_of_unequal_length_are_joined_lag_by_lag() -> None:
    curve = median_curve([(np.arange(n), np.full(n, -float(n))) for n in (2, 3, 4, 4)])
    assert curve.lags.tolist() == [0, 1, 2, 3]
    assert curve.count.tolist() == [4, 4, 3, 2]
    assert curve.median.tolist() == [-3.5, -3.5, -4.0, -4.0]
    assert np.isfinite(curve.low).tolist() == [True, True, True, False]


@pytest.mark.parametrize("rho", [0.5, 0.9, 0.97])
def test_the_effective_lag_of_an_exponential(rho: float) -> None:
    lag = np.arange(3000)
    assert effective_lag(lag, lag * np.log10(rho)) == pytest.approx(rho / (1 - rho))
    # No matter how small all of it is.
    assert effective_lag(lag, lag * np.log10(rho) - 1e4) == pytest.approx(rho / (1 - rho))


def test_the_effective_lag_of_marks() -> None:
    assert effective_lag([0, 1, 2, 3], [0.0, -np.inf, np.nan, 0.0]) == pytest.approx(1.5)
    assert effective_lag([0, 1], [0.0, np.inf]) is None
    assert effective_lag([0, 1], [-np.inf, np.nan]) is None


def test_a_run_without_gradients_is_in_the_table_all_the_same(tmp_path: Path) -> None:
    (run,) = fake_group(tmp_path, {0: -1})
    lines = run.dir.gradients.read_text().splitlines(keepends=True)
    run.dir.gradients.write_text(lines[0])
    measured = load_runs(tmp_path).group_by().measure()
    assert measured.decay_rates()["rate"].isna().all()
    assert "recorded no gradient of state 'h'" in measured.left_out[run.name]
    assert measured.curves().empty


def test_a_curve_says_of_how_many_samples_each_lag_is(tmp_path: Path) -> None:
    """The fewest of its runs: 20 samples at lag 0, and one fewer every 10 or 5 lags."""
    lags = np.arange(50)
    for seed, each in ((0, 10), (1, 5)):
        run = fake_run(tmp_path, f"run{seed}", {"seed": seed})
        frame = pd.read_csv(run.dir.gradients)
        frame["own_samples"] = 20 - frame["own_lag"] // each
        frame.to_csv(run.dir.gradients, index=False)
    groups = load_runs(tmp_path).group_by()
    assert groups.curves()["samples"].tolist() == (20 - lags // 5).tolist()
    assert curve_data(groups.measure()).loc[:, "samples"].tolist() == (20 - lags // 5).tolist()
    # A file of an older version says nothing of it.
    frame["own_samples"] = -1
    frame.to_csv(run.dir.gradients, index=False)
    assert load_runs(tmp_path).group_by().curves()["samples"].tolist() == (20 - lags // 10).tolist()


QUESTIONS: dict[str, Callable[[Groups], pd.DataFrame]] = {
    "rates": lambda groups: groups.decay_rates(),
    "rates at 0": lambda groups: groups.decay_rates(at=0),
    "curves": lambda groups: groups.curves(),
    "curves at 0": lambda groups: groups.curves(at=0),
    "success": lambda groups: groups.success_rates(),
    "strict success": lambda groups: groups.success_rates("error < 0.001"),
}


@pytest.fixture
def two_readings(tmp_path: Path) -> Path:
    """Three seeds whose gradient falls half as fast at update 10 as at update 0, and a run that cannot be read."""
    for seed in range(4):
        fake_run(tmp_path, f"run{seed}", {"seed": seed, "train": {"stop": "error < 0.1"}}, decades=-0.1 - 0.01 * seed)
    (tmp_path / "run3" / "gradients.csv").write_text("nonsense\n")
    return tmp_path


@pytest.mark.parametrize("first", QUESTIONS)
def test_any_order_of_questions_has_the_same_answers(first: str, two_readings: Path) -> None:
    groups = load_runs(two_readings).group_by()
    before = copy.copy(groups)
    QUESTIONS[first](groups)
    for ask in QUESTIONS.values():
        pd.testing.assert_frame_equal(ask(groups), ask(load_runs(two_readings).group_by()))
    assert groups == before
    assert groups.left_out == {}


def test_groups_do_not_change_once_they_are_handed_out(two_readings: Path) -> None:
    groups = load_runs(two_readings).group_by()
    last, first = groups.measure(), groups.measure(at=0, success="error < 0.001")
    (group,) = last
    rate, solved, curve = group.rate, group.solved, group.curve
    assert (last.at, first.at, first[0].solved) == (None, 0, ())
    assert first[0].rate != rate
    assert last == groups.measure()
    assert [*last.left_out] == ["run3"]
    assert (group.rate, group.solved) == (rate, solved)
    assert group.curve is curve
    for holder, field in ((group, "solved"), (groups[0], "runs"), (groups, "by"), (last, "at")):
        with pytest.raises(FrozenInstanceError, match=f"cannot assign to field '{field}'"):
            setattr(holder, field, ())


def test_what_was_read_stays_as_it_was_while_a_run_goes_on(tmp_path: Path) -> None:
    (run,) = fake_group(tmp_path, {0: -10})
    groups = load_runs(tmp_path).group_by()
    rates = groups.decay_rates()
    lines = run.dir.gradients.read_text().splitlines(keepends=True)
    run.dir.gradients.write_text("".join(lines[:-40]))
    assert groups.decay_rates().equals(rates)
