"""Any config, sweep, `--set` and `--where` is right or refused at its place: the short form of `make chaos`."""

from __future__ import annotations

import pytest
from chaos.fuzz_configs import run


@pytest.mark.long
def test_what_nobody_wrote_is_right_or_refused() -> None:
    figures = dict(run(300))
    assert any(", valid" in what for what in figures)
    assert any(", refused" in what for what in figures)
    assert any(what.startswith("trained") for what in figures)
    assert figures["given to a command too"] == "12"
