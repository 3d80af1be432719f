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


def test_an_unknown_name_hides_no_typo_beside_it(rnn: Call) -> None:
    written("task: {name: adition, lenght: 20}\nmodel: {init: {recurrent: {name: ortogonal, gane: 2}}}\n", "a.yaml")
    result = rnn("validate", "a.yaml")
    assert [line.partition(" (")[0] for line in result.out.splitlines()] == [
        "a.yaml:1:14: task.name: 'adition' is not known; did you mean 'addition'?",
        "a.yaml:1:23: task.lenght: there is no such key, whatever the name is; did you mean 'length'?",
        "a.yaml:2:34: model.init.recurrent.name: 'ortogonal' is not known; did you mean 'orthogonal'?",
        "a.yaml:2:45: model.init.recurrent.gane: there is no such key, whatever the name is; did you mean 'gain'?",
    ]


def test_an_option_of_another_part_is_no_typo(rnn: Call) -> None:
    written("task: {name: adition, length: 20, symbols: 3}\n", "a.yaml")
    assert len(rnn("validate", "a.yaml").out.splitlines()) == 1


def test_a_wrong_axis_hides_no_wrong_value(rnn: Call) -> None:
    written(
        "base: {task: addition, train: {updats: 3}}\n"
        "axes:\n  grid:\n    model.cel: [rnn, lstm]\n    model.hidden: [3, -4]\n    clip: [norme, none]\n"
        "    model.nonlinearity: [relu]\nseeds: two\n",
        "s.yaml",
    )
    lines = rnn("validate", "s.yaml").out.splitlines()
    assert sorted(line.split(":")[1] for line in lines) == ["1", "4", "5", "6", "8"]
    # An lstm has no nonlinearity, but which cells there are is not known here.
    assert not any("nonlinearity" in line for line in lines)
    assert any("model.hidden: must be above 0" in line for line in lines)
