"""A report that follows is written anew when a run has ended, and at a Ctrl-C once more, without its reload."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from commands import Call
from fakes import fake_group


def data_of(page: Path) -> dict[str, Any]:
    (block,) = re.findall(r'id="data">(.*?)</script>', page.read_text(encoding="utf-8"), re.DOTALL)
    data: dict[str, Any] = json.loads(block)
    return data


def test_the_page_is_written_as_runs_end(rnn: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[tuple[int, int]] = []
    page = tmp_path / "report.html"

    def sleep(seconds: float) -> None:
        """What happens between two looks."""
        if page.exists():
            data = data_of(page)
            seen.append((len(data["runs"]), data["reload"]))
        at = len(asleep)
        asleep.append(seconds)
        if at in (1, 2):
            fake_group(tmp_path / "runs", {at: -1.0}, model__cell="rnn")
        if at == 5:
            raise KeyboardInterrupt

    asleep: list[float] = []
    monkeypatch.setattr("rnnlab.cli.follow.time.sleep", sleep)
    done = rnn("report", "--html", "report.html", "--follow")
    assert done.code == 130
    assert [runs for runs, _ in seen] == [1, 2, 2, 2]
    assert {reload for _, reload in seen} == {10}
    assert data_of(page)["reload"] is None
    assert done.err.splitlines() == [
        "waiting for the first run to end",
        "wrote report.html: 1 run ended",
        "wrote report.html: 2 runs ended",
        "interrupted",
    ]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "--follow writes a page anew: name it with --html FILE"),
        (["--html", "a.html", "--json"], "--follow writes files"),
    ],
)
def test_it_needs_a_file(rnn: Call, words: list[str], message: str) -> None:
    done = rnn("report", "--follow", *words)
    assert done.code == 2
    assert message in done.err
