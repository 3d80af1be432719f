"""What many runs take stays level: the short form of `make chaos`."""

from __future__ import annotations

from chaos.soak import run


def test_nothing_grows_from_run_to_run() -> None:
    figures = dict(run(40))
    assert {"runs of a sweep", "updates of a run", "runs on a page, twice"} <= figures.keys()
