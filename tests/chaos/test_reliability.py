"""docs/RELIABILITY.md names every damage that is not noticed, and no command that is not there."""

from __future__ import annotations

import re
from pathlib import Path

from chaos.damage import NOT_NOTICED

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "RELIABILITY.md").read_text(encoding="utf-8")


def test_what_is_not_noticed_is_named() -> None:
    assert set(NOT_NOTICED) == set(re.findall(r"^- \*\*(.*?)\*\*", PAGE, re.MULTILINE))


def test_each_promise_names_a_command_that_is_there() -> None:
    sections = set(re.findall(r"tools/run_chaos\.py (\w+)", PAGE))
    tool = (ROOT / "tools" / "run_chaos.py").read_text(encoding="utf-8")
    assert {"disturbances", "damage", "pairs", "configs", "hostile", "soak"} == sections
    assert all(f'"{section}"' in tool for section in sections)
    for row in re.findall(r"^\| [A-Z].*\|$", PAGE, re.MULTILINE):
        assert "`" in row.split("|")[3] or "tests/" in row.split("|")[3] or "checked by" in row, row
    for path in re.findall(r"tests/[\w/]+\.py", PAGE):
        assert (ROOT / path).exists(), path
