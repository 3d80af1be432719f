"""The stop rule: what is one, and what fulfils it."""

from __future__ import annotations

import pytest

from rnnlab.config import load_config, stop_rule


@pytest.mark.parametrize(
    ("text", "written", "met"),
    [
        ("error < 0.01", "error < 0.01", [(9, 0.009)]),
        ("  loss<=1e-1 ", "loss <= 0.1", [(0.1, 9), (0.05, 9)]),
    ],
)
def test_a_stop_rule_is_met_by_what_it_says(text: str, written: str, met: list[tuple[float, float]]) -> None:
    rule = stop_rule(text)
    config = load_config({"task": "copy", "train": {"stop": text}})
    assert (config.train.stop, config.train.stop_rule, str(rule)) == (written, rule, written)
    assert all(rule.met(loss, error) for loss, error in met)
    assert not rule.met(9, 9)
    assert not rule.met(float("nan"), float("nan"))


@pytest.mark.parametrize("text", ["", "error", "accuracy > 3", "error < x", "error < nan", "error < 1 2", "loss <= -1"])
def test_what_is_no_stop_rule(text: str) -> None:
    with pytest.raises(ValueError, match=r"is no stop rule|can never be met"):
        stop_rule(text)
