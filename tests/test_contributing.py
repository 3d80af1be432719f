"""CONTRIBUTING.md holds: its paths are there."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parent.parent
PAGE = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")


def test_every_path_of_the_table_is_there() -> None:
    table = PAGE.split("| to change | open |")[1].split("\n\n")[0]
    paths = re.findall(r"`(rnnlab/[\w/.]+)`", table)
    assert len(paths) > 30
    assert not [path for path in paths if not (ROOT / path).exists()]
