"""Runs, configs, checkpoints and data files of strangers; the long form is in `make chaos`."""

from __future__ import annotations

from chaos.hostile import ATTACKS, run


def test_nothing_runs_and_nothing_is_injected() -> None:
    figures = dict(run(3 * len(ATTACKS)))
    assert list(figures.values()) == ["3"] * len(ATTACKS)
