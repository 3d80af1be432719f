"""At update 0 what only acts later makes no difference: such groups are one measurement, if they read the same."""

from __future__ import annotations

from pathlib import Path

import pytest
from fakes import fake_group

from rnnlab.compare.collection import load_runs
from rnnlab.compare.distinct import distinct
from rnnlab.compare.pairs import pairs
from rnnlab.report.findings import Findings

RNN, LSTM = {0: -10.0, 1: -12.0, 2: -15.0}, {0: -1.0, 1: -2.0, 2: -4.0}


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    """Two cells, each under two clips and two learning rates, of the same curves."""
    for clip in ("none", "norm"):
        for lr in (0.1, 0.2):
            for cell, rates in (("rnn", RNN), ("lstm", LSTM)):
                fake_group(tmp_path, rates, model__cell=cell, clip__name=clip, optimizer__lr=lr)
    return tmp_path


def test_what_acts_later_is_folded_at_update_0(runs: Path) -> None:
    groups = load_runs(runs).group_by()
    first = distinct(groups.measure(at=0))
    assert [group.values["model.cell"] for group in first.groups] == ["lstm", "rnn"]
    assert [axis.key for axis in first.axes] == ["model.cell"]
    assert {axis.key for axis in first.folded} == {"clip.name", "optimizer.lr"}
    assert [(pair.first, pair.second, dict(pair.rest)) for pair in pairs(groups.measure(at=0))] == [("lstm", "rnn", {})]
    assert len(distinct(groups.measure()).groups) == 8
    assert not distinct(groups.measure()).folded


def test_the_table_keeps_all_and_says_so_once(runs: Path) -> None:
    findings = Findings(load_runs(runs).group_by(), at=0)
    assert len(findings.measured) == 8
    (note,) = [note for note in findings.notes() if "has not acted yet" in note]
    assert "clip.name" in note
    assert "optimizer.lr" in note
    assert not any("has not acted yet" in note for note in Findings(load_runs(runs).group_by()).notes())


def test_a_clip_that_acts_in_the_backward_pass_is_a_measurement_of_its_own(runs: Path) -> None:
    for lr in (0.1, 0.2):
        for cell in ("rnn", "lstm"):
            rates = {seed: rate + 0.5 for seed, rate in (RNN if cell == "rnn" else LSTM).items()}
            fake_group(runs, rates, model__cell=cell, clip__name="adjoint", optimizer__lr=lr)
    first = distinct(load_runs(runs).group_by().measure(at=0))
    assert [axis.key for axis in first.folded] == ["optimizer.lr"]
    assert len(first.groups) == 6
