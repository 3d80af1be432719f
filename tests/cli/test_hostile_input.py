"""Whatever stands in a config, an option or a folder's name: an error at its place, short and plain, or a run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from commands import Call, Result, written
from fakes import fake_group

from rnnlab.config import load_config
from rnnlab.errors import ConfigError
from rnnlab.report.export import escape_formula
from rnnlab.sweeps.file import load_sweep

LONG = "a" * 100_000
HEX = "0x" + "f" * 3900
BUG = 1


def is_plain(result: Result) -> bool:
    text = result.out + result.err
    return all(character.isprintable() or character in "\n\t" for character in text) and len(text) < 20_000


@pytest.mark.parametrize("key", ["model.hidden", "seed", "optimizer.lr", "task.length", "train"])
@pytest.mark.parametrize("digits", [HEX, "0o" + "7" * 3900, "9" * 3900, "9" * 100_000, "-" + "9" * 3900])
def test_numbers_of_thousands_of_digits_are_refused_where_they_stand(key: str, digits: str, rnn: Call) -> None:
    result = rnn("train", "-c", written(), "--dry-run", "--set", f"{key}={digits}")
    assert (result.code, result.err.count("\n")) == (2, 1)
    assert f": {key}: " in result.err
    assert is_plain(result)
    assert len(result.err) < 500
    path, _, last = key.rpartition(".")
    text = f"{path}: {{{last}: {digits}}}\n" if path else f"{key}: {digits}\n"
    checked = rnn("validate", written(f"{'' if path == 'task' else 'task: addition'}\n{text}"))
    assert checked.code == 2
    assert key.partition(".")[0] in checked.out
    assert is_plain(checked)


def test_a_number_beyond_what_is_counted_with_is_refused_at_its_place(rnn: Call) -> None:
    for number in (10**19, 2**63, 10**400):
        result = rnn("validate", written(f"task: {{name: addition, length: {number}}}\n"))
        assert result.out.startswith("c.yaml:1:32: task.length: must be below 9,223,372,036,854,775,808")
    assert load_config({"task": "addition", "train": {"log_every": 2**63 - 1}}).train.log_every == 2**63 - 1
    constant = load_config({"task": "addition", "model": {"init": {"bias": {"name": "constant", "value": 10**20}}}})
    assert constant.model.init.bias.model_dump()["value"] == 1e20


@pytest.mark.parametrize("value", ["[a]", "{a: 1}", "[[a]]", "[1]", "3", "{name: [a]}", "{name: {a: 1}}", "[{a: [1]}]"])
@pytest.mark.parametrize(
    "key", ["clip", "task", "optimizer", "probe.schedule", "model.init.recurrent", "model.init", "model.cell"]
)
def test_what_is_no_name_of_a_part_is_refused(key: str, value: str, rnn: Call) -> None:
    if (key, value) in (("probe.schedule", "3"), ("probe.schedule", "[1]")):
        return
    below = "preset" if key == "model.init" else "name"
    for full in [key] if key == "model.cell" else [key, f"{key}.{below}"]:
        result = rnn("train", "-c", written(), "--dry-run", "--set", f"{full}={value}")
        assert result.code == 2, result.err
        assert f": {key}" in result.err
        sweep = written(f"base: {{task: addition}}\naxes: {{grid: {{{full}: [{value}, {value}]}}}}\n", "s.yaml")
        for command in ("validate", sweep), ("sweep", "-c", sweep, "--dry-run"):
            result = rnn(*command)
            assert result.code == 2, result.err
            assert f": {key}" in result.out + result.err


LARGE = [
    ("orthogonal", "gain"), ("xavier_uniform", "gain"), ("he_uniform", "gain"), ("he_normal", "gain"),
    ("uniform", "bound"), ("normal", "std"), ("normal", "mean"), ("constant", "value"), ("identity", "scale"),
    ("sparse", "std"), ("normal", "spectral_radius"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "option"), LARGE)
def test_options_that_no_number_format_can_add_are_refused(name: str, option: str, rnn: Call) -> None:
    result = rnn("train", "-c", written(), "--set", f"model.init.recurrent={{name: {name}, {option}: 1.7e308}}")
    assert result.code == 2
    assert f"model.init.recurrent.{option}: must be 1e+100 or less" in result.err
    given = {"name": name, option: 1e100, **({"value": 1.0} if name == "constant" and option != "value" else {})}
    assert load_config({"task": "addition", "model": {"init": {"recurrent": given}}})


@pytest.mark.parametrize(
    "text",
    [
        '"a\\e[31mb": 3\ntask: addition',
        "task: addition\nmodel: {'x\u202ey': 1}",
        'task: "\\e]0;title\\a"',
        'task: addition\ndevice: "\\e[31m"',
        'task: addition\nname: "\\e[31m"',
        'task: addition\ntrain: {stop: "\\e[31m"}',
        'base: {task: addition}\naxes: {grid: {"a\\eb": [3]}}',
        'base: {task: addition}\naxes: {"a\\eb": {}}\n"c\\ed": 1',
        'base: "\\e[31m"\nseeds: 2',
        'task: {name: series, column: 0, path: a, "delim\\e": 1}',
    ],
)
def test_a_terminal_obeys_nothing_of_a_config(text: str, rnn: Call) -> None:
    file = written(text)
    for command in ("validate", file), ("train", "-c", file), ("sweep", "-c", file):
        result = rnn(*command)
        assert result.code == 2, result.err
        assert is_plain(result), result


@pytest.mark.parametrize(
    "arguments",
    [
        ["train", "-c", LONG],
        ["train", "-c", "c.yaml", "--out", LONG],
        ["train", "-c", "c.yaml", "--device", LONG],
        ["train", "-c", "c.yaml", "--name", LONG],
        ["train", "-c", "c.yaml", "--seed", LONG],
        ["train", "-c", "c.yaml", "--set", LONG],
        ["train", "-c", "c.yaml", "--set", f"model.{LONG}=3"],
        ["train", "-c", "c.yaml", "--set", f"task.name={LONG}"],
        ["train", "-c", "c.yaml", "--set", f"train.stop={LONG}"],
        ["train", "-c", "c.yaml", "--set", f"task={{name: text, path: {LONG}}}"],
        ["ls", LONG],
        ["ls", f"{LONG}*"],
        ["ls", f"a/{LONG}"],
        ["ls", "--where", LONG],
        ["ls", "--where", f"{LONG}=1"],
        ["ls", "--where", f"seed<{LONG}"],
        ["ls", "--where", f"seed=[{LONG}"],
        ["show", LONG],
        ["report", "--by", LONG],
        ["report", "--success", LONG],
        ["report", "--html", LONG],
        ["report", "--figures", "x", "--format", LONG],
        ["sweep", "-c", "s.yaml", "--engine", LONG],
        ["list", LONG],
    ],
    ids=lambda arguments: " ".join(arguments).replace(LONG, "LONG"),
)
def test_a_message_does_not_repeat_a_long_value(arguments: list[str], rnn: Call) -> None:
    written()
    written("base: {task: addition}\nseeds: 2\n", "s.yaml")
    fake_group(Path("runs"), {0: -10.0, 1: -11.0, 2: -12.0})
    result = rnn(*arguments)
    assert result.code in (2, 5), result.err[:1000]
    assert len(result.err) < 5000
    assert "..." in result.err


def test_a_message_does_not_repeat_a_long_value_of_a_file(rnn: Call) -> None:
    for text in (f"task: {LONG}", f"? {LONG}\n: 3\n", f"task: addition\nmodel: {{cell: {LONG}}}", f"task: [{LONG}]"):
        result = rnn("validate", written(text))
        assert result.code == 2
        assert "characters)" in result.out
        assert len(result.out) < 2000


def test_a_mapping_that_no_file_can_say_is_refused() -> None:
    loop: dict[str, Any] = {"task": "addition"}
    loop["model"] = loop
    deep: dict[str, Any] = {"task": "addition"}
    for _ in range(100):
        deep = {"task": "addition", "model": deep}
    for read in (load_config, load_sweep):
        with pytest.raises(ConfigError, match="it contains itself"):
            read(loop)
        with pytest.raises(ConfigError, match="nested more than 50 deep"):
            read(deep)
        with pytest.raises(ConfigError, match="seed: a number of too many digits"):
            read({"task": "addition", "seed": 10**5000})


@pytest.mark.parametrize(
    "text",
    ["=1", "+1", "-1", "@x", "\tx", "\r=", " =1", "\n\n=1", "\xa0=1", "\u200b=1", "\ufeff@x", "\u3000\u202e-1", "＝1"],
)
def test_a_spreadsheet_runs_nothing(text: str) -> None:
    assert escape_formula(text) == f"'{text}"


@pytest.mark.parametrize("value", ["", " ", "a=1", " a", "1-2", 3, -3.5, None, "\u200b"])
def test_what_is_no_formula_stays(value: Any) -> None:
    assert escape_formula(value) == value
