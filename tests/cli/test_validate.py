"""`rnnlab validate` gives every problem of every file."""

from __future__ import annotations

import re

from commands import Call, Result, written


def test_validate_tells_every_problem_of_every_file(rnn: Call) -> None:
    written("task: additon\n", "a.yaml")
    written("task: addition\nseed: x\nhiden: 3\n", "b.yaml")
    result = rnn("validate", "a.yaml", written(), "b.yaml", "none.yaml")
    assert result.code == 2
    assert re.findall(r"(?m)^([\w.]+(?::\d+:\d+)?): (\w*)", result.out) == [
        ("a.yaml:1:7", "task"),
        ("b.yaml:2:7", "seed"),
        ("b.yaml:3:1", "hiden"),
        ("none.yaml", "cannot"),
    ]
    assert result.err == "4 files, 3 with problems\n"


def test_validate_is_content(rnn: Call) -> None:
    assert rnn("validate", written()) == Result(0, "", "1 file, nothing wrong\n")
