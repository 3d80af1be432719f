"""Damaged folders of runs; the long form is in `make chaos`."""

from __future__ import annotations

from chaos.damage import NOT_NOTICED, run


def test_nothing_wrong_is_read_as_right() -> None:
    figures = dict(run(20))
    assert figures["damaged files"] == "20"
    unnoticed = [word.partition(": ")[2] for word in figures if word.startswith("not noticed")]
    assert set(unnoticed) <= set(NOT_NOTICED)
