"""Two commands at once on one folder of runs; every pair is in `make chaos`."""

from __future__ import annotations

import pytest
from chaos.pairs import run


@pytest.mark.long
def test_two_commands_at_once_end_as_one_after_the_other() -> None:
    figures = dict(run(3))
    assert figures["pairs of commands at once"] == "3"
