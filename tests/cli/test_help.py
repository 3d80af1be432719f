"""Help holds, a wrong command line is answered, and nothing heavy is loaded for either."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import typer
from commands import Call, Result

import rnnlab
from rnnlab.config import known_keys

COMMANDS = ("train", "sweep", "probe", "report", "ls", "show", "validate", "new", "list", "schema")


def options(command: str) -> list[str]:
    from rnnlab.cli.app import app

    group: Any = typer.main.get_command(app)
    parser = group.commands[command] if command else group
    return [option for parameter in parser.params for option in parameter.opts if option.startswith("-")]


@pytest.mark.parametrize("command", ["", *COMMANDS])
def test_help_names_every_option_and_gives_examples(command: str, rnn: Call) -> None:
    result = rnn(*([command] if command else []), "--help")
    assert (result.code, result.err) == (0, "")
    assert re.search(rf"Examples?:\n +rnnlab {command}", result.out)
    assert [option for option in options(command) if not re.search(rf"(?<![\w-]){option}(?![\w-])", result.out)] == []
    assert max(map(len, result.out.splitlines())) <= 80
    assert "..." not in result.out.split("Commands:")[-1].replace("tasks, ...", "").replace("{FILE}...", "").replace(
        "GLOB]...", ""
    )


@pytest.mark.parametrize("command", COMMANDS)
def test_examples_are_right(command: str, rnn: Call) -> None:
    from rnnlab.cli.app import app

    group: Any = typer.main.get_command(app)
    for line in re.findall(r"rnnlab (\w+)([^|>\n]*)", rnn(command, "--help").out.split("Example")[1]):
        given = re.findall(r"(?<= )--?[a-z]\S*", line[1])
        assert line[0] in group.commands
        assert set(given) <= set(options(line[0]))


def test_without_arguments_help_goes_to_stderr(rnn: Call) -> None:
    result = rnn()
    assert (result.code, result.out) == (2, "")
    assert "Commands:" in result.err


def test_the_version(rnn: Call) -> None:
    assert rnn("--version") == Result(0, f"rnnlab {rnnlab.__version__}\n", "")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["trian"], "No such command 'trian'. Did you mean 'train'?"),
        (["train", "--confg", "x"], "No such option: --confg; did you mean --config"),
        (["train"], "Missing option '--config'"),
        (["validate"], "Missing argument 'FILE'"),
        (["train", "-c"], "requires an argument"),
    ],
)
def test_a_misspelt_command_line_is_answered(arguments: list[str], message: str, rnn: Call) -> None:
    answer = rnn(*arguments)
    assert (answer.code, answer.out) == (2, "")
    assert message in answer.err


def test_keys_are_completed() -> None:
    from rnnlab.cli.completion import complete_keys

    assert complete_keys("model.hid") == ["model.hidden="]
    assert len(complete_keys("")) == len(known_keys())


@pytest.mark.parametrize("arguments", ["[]", "['--help']", "['train', '--help']", "['--version']"])
def test_help_loads_nothing_heavy(arguments: str) -> None:  # Typer itself loads pydantic
    heavy = ("torch", "pandas", "numba", "numpy", "rich", "yaml")
    script = f"""
import sys
from rnnlab.catalog import KINDS
from rnnlab.cli import main
try:
    main({arguments})
except SystemExit:
    pass
print([name for name in {heavy} if name in sys.modules], file=sys.stderr)
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stderr.splitlines()[-1] == "[]"


def test_validating_loads_neither_torch_nor_pandas(tmp_path: Path) -> None:
    script = (
        "import sys; from rnnlab.config import load_config; load_config({'task': 'addition'}); print([*sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, cwd=tmp_path)
    assert not {"'torch'", "'pandas'", "'numba'", "'rich'"} & set(re.findall(r"'\w+'", done.stdout))
