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


@pytest.mark.parametrize(
    ("arguments", "meant"),
    [
        (["train", "c.yaml"], "the file goes with --config: rnnlab train --config c.yaml"),
        (["sweep", "my sweep.yaml", "-j", "2"], "rnnlab sweep --config 'my sweep.yaml' -j 2"),
        (["train", "-c", "c.yaml", "model.cell=gru"], "a change goes with --set: --set model.cell=gru"),
        (["train", "-c", "c.yaml", "--force", "a=1", "b=2"], "--set a=1 --set b=2"),
    ],
)
def test_an_argument_without_its_option_gets_it(arguments: list[str], meant: str, rnn: Call) -> None:
    result = rnn(*arguments)
    assert (result.code, result.out) == (2, "")
    assert result.err.splitlines()[-1].endswith(meant)


def test_other_refusals_get_no_hint_of_an_option(rnn: Call) -> None:
    assert "goes with" not in rnn("ls", "c.yaml", "--nothing").err


@pytest.mark.parametrize("file", ["configs/demo.yaml", "demo.yaml", "demo"])
def test_a_config_that_ships_and_is_not_here_is_copied_by_new(file: str, rnn: Call) -> None:
    assert "`rnnlab new --from demo` writes a copy of the one that ships" in rnn("train", "-c", file).err


@pytest.mark.parametrize(
    ("given", "meant"), [("xavier", "xavier_uniform"), ("orthogonal", "orthogonal"), ("ortogonal", "orthogonal")]
)
def test_an_initializer_for_all_of_a_model_is_told_its_place(given: str, meant: str, rnn: Call) -> None:
    Path("c.yaml").write_text("task: addition")
    message = rnn("train", "-c", "c.yaml", "--set", f"model.init={given}").err
    assert f"an initializer is for one place: model.init.recurrent: {meant}" in message
