"""The command line: what goes where, every exit code, help that holds, and nothing heavy loaded for it."""

from __future__ import annotations

import errno
import importlib
import io
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
import typer
from commands import Call, Said
from fakes import fake_run

import rnnlab
from rnnlab.catalog import KINDS
from rnnlab.config import Config, known_keys, load_config
from rnnlab.errors import (
    DataMissingError,
    DeviceMissingError,
    RunExistsError,
    RunFailedError,
    RunFolderError,
    UsageError,
)
from rnnlab.runs.run import Run

COMMANDS = ("train", "sweep", "report", "ls", "show", "validate", "new", "list", "schema")


@dataclass
class FakeTraining:
    """In the place of training: hears what it is asked for, and does what it is told."""

    end: BaseException | str = "completed"
    config: Config | None = None
    asked: dict[str, Any] | None = None
    act: Callable[..., Run] | None = None

    def __call__(self, config: Config, *, observe: Any, notify: Any, **asked: Any) -> Run:
        self.config, self.asked = config, asked
        if self.act is not None:
            return self.act(config, **asked)
        notify("compiling, once")
        if isinstance(self.end, BaseException):
            raise self.end
        run = fake_run(Path(asked["out"]), config.name or "one")
        run.dir.finish(self.end, "all updates made" if self.end == "completed" else "loss was not finite")
        return Run(run.path)


@pytest.fixture
def training(monkeypatch: pytest.MonkeyPatch) -> FakeTraining:
    fake = FakeTraining()
    monkeypatch.setattr(importlib.import_module("rnnlab.training.loop"), "train", fake)
    return fake


def written(text: str = "task: addition\n", name: str = "c.yaml") -> str:
    Path(name).write_text(text)
    return name


def process(*arguments: str, **more: Any) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "rnnlab", *arguments]
    return subprocess.run(command, capture_output=True, text=True, encoding="utf-8", check=False, timeout=120, **more)


# Help.


def options(command: str) -> list[str]:
    from rnnlab.cli.app import app

    group: Any = typer.main.get_command(app)
    found = group.commands[command] if command else group
    return [option for parameter in found.params for option in parameter.opts if option.startswith("-")]


@pytest.mark.parametrize("command", ["", *COMMANDS])
def test_help_names_every_option_and_gives_examples(command: str, rnn: Call) -> None:
    said = rnn(*([command] if command else []), "--help")
    assert (said.code, said.err) == (0, "")
    assert re.search(rf"Examples?:\n +rnnlab {command}", said.out)
    assert [option for option in options(command) if not re.search(rf"(?<![\w-]){option}(?![\w-])", said.out)] == []
    assert max(map(len, said.out.splitlines())) <= 80
    assert "..." not in said.out.split("Commands:")[-1].replace("tasks, ...", "").replace("{FILE}...", "").replace(
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
    said = rnn()
    assert (said.code, said.out) == (2, "")
    assert "Commands:" in said.err


def test_the_version(rnn: Call) -> None:
    assert rnn("--version") == Said(0, f"rnnlab {rnnlab.__version__}\n", "")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["trian"], "No such command 'trian'. Did you mean 'train'?"),
        (["train", "--confg", "x"], "No such option: --confg; did you mean --config"),
        (["train"], "Missing option '--config'"),
        (["validate"], "Missing argument 'FILE'"),
        (["train", "-c"], "requires an argument"),
    ],
)
def test_a_misspelt_command_line_is_answered(arguments: list[str], said: str, rnn: Call) -> None:
    answer = rnn(*arguments)
    assert (answer.code, answer.out) == (2, "")
    assert said in answer.err


# validate, new, schema, list.


def test_validate_tells_every_problem_of_every_file(rnn: Call) -> None:
    written("task: additon\n", "a.yaml")
    written("task: addition\nseed: x\nhiden: 3\n", "b.yaml")
    said = rnn("validate", "a.yaml", written(), "b.yaml", "none.yaml")
    assert said.code == 2
    assert re.findall(r"(?m)^([\w.]+(?::\d+:\d+)?): (\w*)", said.out) == [
        ("a.yaml:1:7", "task"),
        ("b.yaml:2:7", "seed"),
        ("b.yaml:3:1", "hiden"),
        ("none.yaml", "cannot"),
    ]
    assert said.err == "4 files, 3 with problems\n"


def test_validate_is_content(rnn: Call) -> None:
    assert rnn("validate", written()) == Said(0, "", "1 file, nothing wrong\n")


def test_new_writes_a_config_that_is_right_and_replaces_none(rnn: Call) -> None:
    assert rnn("new") == Said(0, "", "experiment.yaml is written; run it with: rnnlab train --config experiment.yaml\n")
    assert load_config("experiment.yaml") == load_config({"task": "addition"})
    Path("experiment.yaml").write_text("mine")
    said = rnn("new")
    assert (said.code, said.out) == (2, "")
    assert "experiment.yaml is there already" in said.err
    assert Path("experiment.yaml").read_text() == "mine"
    assert rnn("new", "--force").code == 0
    assert "rnnlab train --config experiment.yaml" in Path("experiment.yaml").read_text()
    assert "cannot be written" in rnn("new", "no/such/folder.yaml").err


def test_new_to_stdout(rnn: Call, tmp_path: Path) -> None:
    said = rnn("new", "-")
    assert (said.code, said.err) == (0, "")
    assert load_config(written(said.out)) == load_config({"task": "addition"})
    assert [path.name for path in tmp_path.iterdir()] == ["c.yaml"]


def test_schema_is_one_json_object(rnn: Call) -> None:
    said = rnn("schema")
    assert (said.code, said.err) == (0, "")
    assert json.loads(said.out)["$schema"].endswith("2020-12/schema")


@pytest.mark.parametrize("kind", KINDS)
def test_list_gives_meaning_options_and_source(kind: str, rnn: Call) -> None:
    text, data = rnn("list", kind), rnn("list", kind, "--json")
    assert (text.code, text.err, data.code, data.err) == (0, "", 0, "")
    assert max(map(len, text.out.splitlines())) <= 80
    flat = " ".join(text.out.split())
    for part in json.loads(data.out)[kind]:
        assert {"name", "meaning", "options", "source"} <= set(part)
        assert part["source"] in flat
        for option in part["options"]:
            default = option.get("default")
            said = (
                "needed"
                if option["required"]
                else f"default {default if isinstance(default, str) else json.dumps(default)}"
            )
            assert f"{option['name']} ({option['type']}; {said})" in flat


def test_list_without_a_kind_gives_all(rnn: Call) -> None:
    assert set(json.loads(rnn("list", "--json").out)) == set(KINDS)
    assert [line for line in rnn("list").out.splitlines() if line in KINDS] == list(KINDS)
    assert "there is no list of 'clps'; did you mean 'clips'?" in rnn("list", "clps").err


# train.


def test_train_hands_over_what_was_asked_for(rnn: Call, training: FakeTraining) -> None:
    options = ["--set", "model.hidden=7", "--set", "seed=1", "--seed", "3", "--device", "cpu", "--name", "5"]
    said = rnn("train", "-c", written(), *options, "--out", "there", "--force")
    assert said.code == 0
    assert training.config == load_config(
        {"task": "addition", "model": {"hidden": 7}, "seed": 3, "device": "cpu", "name": "5"}
    )
    assert training.asked is not None
    assert training.asked.pop("command")[0] == "rnnlab"
    assert training.asked == {"out": "there", "force": True, "resume": False}


def test_the_result_goes_to_stdout_and_the_rest_to_stderr(rnn: Call, training: FakeTraining) -> None:
    said = rnn("train", "-c", written())
    assert said.code == 0
    assert "one: completed, all updates made" in said.out
    assert said.err == "compiling, once\n"
    assert "\x1b" not in said.out + said.err
    said = rnn("train", "-c", written(), "--json", "--force", "--name", "two")
    result = json.loads(said.out)
    assert (result["status"], result["path"], result["result"]["eval_error"]) == ("completed", "runs/two", "nan")
    assert rnn("train", "-c", written(), "-q", "--name", "three") == Said(0, "", "")


@pytest.mark.parametrize(("option", "code"), [([], 0), (["--fail-on-diverged"], 3)])
def test_a_diverged_run_is_a_result(option: list[str], code: int, rnn: Call, training: FakeTraining) -> None:
    training.end = "diverged"
    said = rnn("train", "-c", written(), *option, "--json")
    assert said.code == code
    assert json.loads(said.out)["status"] == "diverged"
    assert ("one diverged: loss was not finite" in said.err) == bool(code)


@pytest.mark.parametrize(
    ("error", "code", "words"),
    [
        (UsageError("not so"), 2, "rnnlab: not so"),
        (RunExistsError("there already"), 2, "rnnlab: there already"),
        (RunFolderError("cannot be written"), 2, "rnnlab: cannot be written"),
        (RunFailedError("disk full"), 3, "rnnlab: disk full"),
        (DataMissingError("no file"), 5, "rnnlab: no file"),
        (DeviceMissingError("no CUDA"), 5, "rnnlab: no CUDA"),
        (KeyError("x"), 1, "this is a bug in rnnlab; the same command with -v shows where"),
        (MemoryError(), 3, "rnnlab: there is not enough memory; make model.hidden"),
        (
            RuntimeError("[enforce fail at alloc_cpu.cpp] . DefaultCPUAllocator: can't allocate memory: you tried to"),
            3,
            "rnnlab: there is not enough memory; make model.hidden",
        ),
        (torch.OutOfMemoryError("CUDA out of memory. Tried to"), 3, "rnnlab: there is not enough memory; make model"),
        (RuntimeError("no such memory"), 1, "this is a bug in rnnlab"),
        (OSError(errno.ENOSPC, "No space left on device"), 3, "rnnlab: the output cannot be written: No space left"),
        (KeyboardInterrupt(), 130, "interrupted; nothing was written"),
    ],
)
def test_every_end_has_its_code(error: BaseException, code: int, words: str, rnn: Call, training: FakeTraining) -> None:
    training.end = error
    said = rnn("train", "-c", written())
    assert (said.code, said.out) == (code, "")
    assert words in said.err
    assert "Traceback" not in said.err


def test_with_v_a_bug_shows_where(rnn: Call, training: FakeTraining) -> None:
    training.end = ZeroDivisionError("by zero")
    said = rnn("train", "-c", written(), "-v")
    assert said.code == 1
    assert "Traceback" in said.err
    assert "this is a bug in rnnlab; please report it" in said.err


def test_an_interruption_says_what_is_kept(rnn: Call, training: FakeTraining) -> None:
    training.end = KeyboardInterrupt()
    training.end.add_note("rows are kept in runs/x")
    assert rnn("train", "-c", written()).err.endswith("interrupted; rows are kept in runs/x\n")


def test_a_wrong_config_is_told_on_stderr_and_nothing_runs(rnn: Call, training: FakeTraining) -> None:
    said = rnn("train", "-c", written("task: additon\n"), "--seed", "x", "--set", "model.hiden=3")
    assert (said.code, said.out, training.config) == (2, "", None)
    places = [line.split(": ")[0] for line in said.err.splitlines()]
    assert places[0] == "c.yaml:1:7"
    assert sorted(places[1:]) == ["--seed x", "--set model.hiden=3"]


def test_a_config_from_stdin(rnn: Call, training: FakeTraining, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"task: copy\n")))
    assert rnn("train", "--config", "-").code == 0
    assert training.config == load_config({"task": "copy"})


def test_a_dry_run_shows_the_config_and_writes_nothing(rnn: Call, training: FakeTraining, tmp_path: Path) -> None:
    said = rnn("train", "-c", written(), "--dry-run", "--set", "model.hidden=7", "--device", "cpu")
    assert (said.code, said.err, training.config) == (0, "", None)
    assert "# parameters: " in said.out
    assert load_config(written(said.out, "again.yaml")).model.hidden == 7
    data = json.loads(rnn("train", "-c", written(), "--dry-run", "--json", "--device", "cpu").out)
    assert data["config"]["train"]["updates"] == data["plan"]["updates"] == 1000
    assert {path.name for path in tmp_path.iterdir()} == {"c.yaml", "again.yaml"}


def test_keys_are_completed() -> None:
    from rnnlab.cli.completion import complete_keys

    assert complete_keys("model.hid") == ["model.hidden="]
    assert len(complete_keys("")) == len(known_keys())


# As a process.


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


def test_as_a_module_it_goes_by_the_same_name(tmp_path: Path) -> None:
    done = process("--help", cwd=tmp_path)
    assert done.stdout.startswith("Usage: rnnlab [OPTIONS]")
    done = process("validate", "none.yaml", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (2, "1 file, 1 with problems\n")
    assert done.stdout.startswith("none.yaml: cannot be read")


def test_an_ascii_terminal_gets_escapes(tmp_path: Path) -> None:
    (tmp_path / "c.yaml").write_text("task: addition\nnötes: 1\n", encoding="utf-8")
    done = process("validate", "c.yaml", cwd=tmp_path, env={**os.environ, "PYTHONIOENCODING": "ascii"})
    assert done.returncode == 2
    assert "c.yaml:2:1: n\\xf6tes: there is no such key" in done.stdout


def test_a_reader_that_goes_away_is_no_error(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "rnnlab", "list"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=tmp_path) as running:
        assert running.stdout is not None
        assert running.stderr is not None
        running.stdout.close()
        assert running.stderr.read() == b""
        assert running.wait(60) == 141


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no full device here")
def test_a_full_disk_under_stdout_is_no_bug() -> None:
    with open("/dev/full", "w") as full:
        command = [sys.executable, "-m", "rnnlab", "list"]
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert (done.returncode, done.stderr) == (3, "rnnlab: the output cannot be written: No space left on device\n")


LONG = (
    "task: {name: addition, length: 10}\nmodel: {hidden: 3}\ntrain: {updates: 100000000, scan: general}\ndevice: cpu\n"
)


@pytest.mark.skipif(os.name != "posix", reason="signals are POSIX's")
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_an_interrupted_run_keeps_its_rows_and_says_where(number: signal.Signals, code: int, tmp_path: Path) -> None:
    (tmp_path / "c.yaml").write_text(LONG + "name: long\n")
    command = [sys.executable, "-m", "rnnlab", "train", "-c", "c.yaml", "--set", "probe.schedule=1"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=tmp_path, text=True) as running:
        metrics = tmp_path / "runs" / "long" / "metrics.csv"
        while running.poll() is None and not (metrics.exists() and metrics.stat().st_size > 1000):
            time.sleep(0.02)
        running.send_signal(number)
        out, err = running.communicate(timeout=60)
    assert (running.returncode, out) == (code, "")
    assert re.search(r"interrupted; .*kept in runs/long", err)
    assert Run(tmp_path / "runs" / "long").status == "interrupted"
    assert len(Run(tmp_path / "runs" / "long").metrics) > 0


SHORT = LONG.replace("100000000", "3")


@pytest.mark.skipif(os.name != "posix", reason="file descriptors are POSIX's")
@pytest.mark.parametrize("how", ["2>&-", "2>&1 >out | true"])
def test_a_training_needs_no_reader_of_stderr(how: str, tmp_path: Path) -> None:
    (tmp_path / "c.yaml").write_text(SHORT + "name: short\n")
    # The reader is gone before the first word is written.
    script = f"set -o pipefail; {{ sleep 1; {sys.executable} -m rnnlab train -c c.yaml; }} {how}"
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, cwd=tmp_path, check=False)
    assert done.returncode == 0
    assert "short: completed" in done.stdout + "".join(path.read_text() for path in tmp_path.glob("out"))
    assert Run(tmp_path / "runs" / "short").status == "completed"


def test_only_the_first_of_several_interruptions_counts(rnn: Call, training: FakeTraining) -> None:
    def both(config: Config, **asked: Any) -> Run:
        try:
            signal.raise_signal(signal.SIGTERM)
        except KeyboardInterrupt as error:
            signal.raise_signal(signal.SIGINT)
            signal.raise_signal(signal.SIGTERM)
            error.add_note("all is kept in runs/x")
            raise
        raise AssertionError("not interrupted")

    training.act = both
    said = rnn("train", "-c", written())
    assert (said.code, said.out, said.err) == (143, "", "interrupted; all is kept in runs/x\n")


def test_later_an_interruption_counts_again(monkeypatch: pytest.MonkeyPatch) -> None:
    from rnnlab.cli import signals

    now = [5.0]
    monkeypatch.setattr("time.monotonic", lambda: now[0])
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        signals.install_handlers()
        for later in (0, 11):
            now[0] += later
            with pytest.raises(KeyboardInterrupt, match=r"^$"):
                signal.raise_signal(signal.SIGINT)
            signal.raise_signal(signal.SIGINT)
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_that_the_caller_ignores_stays_ignored(number: signal.Signals) -> None:
    from rnnlab.cli.signals import install_handlers

    handlers = {one: signal.getsignal(one) for one in (signal.SIGINT, signal.SIGTERM)}
    try:
        signal.signal(number, signal.SIG_IGN)
        install_handlers()
        signal.raise_signal(number)
    finally:
        for one, handler in handlers.items():
            signal.signal(one, handler)


def test_a_run_by_its_public_face(tmp_path: Path) -> None:
    small = {
        "task": {"name": "addition", "length": 10},
        "model": {"hidden": 3},
        "train": {"updates": 3},
        "device": "cpu",
    }
    first = rnnlab.train(small, sets=["train.scan=general"], out=tmp_path)
    again = rnnlab.train(first.path / "config.yaml", out=tmp_path)
    assert (first.status, again.status) == ("completed", "completed")
    assert [run.name for run in rnnlab.load_runs(tmp_path)] == [first.name, again.name]
    assert first.gradients.equals(again.gradients)
