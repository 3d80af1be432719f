"""`rnnlab train`."""

from __future__ import annotations

import contextlib
import json
import sys
from collections.abc import Iterator
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from rnnlab.cli.completion import complete_keys
from rnnlab.cli.plugin_options import AllowPlugins, PluginNames, load_plugins
from rnnlab.cli.signals import exit_code, install_handlers
from rnnlab.cli.streams import print_error, stdout_console
from rnnlab.errors import DivergedError, RunFolderError, UsageError
from rnnlab.wording import shortened

if TYPE_CHECKING:
    from rnnlab.config import Config, Setting
    from rnnlab.runs.run import Run
    from rnnlab.training.plan import Plan

EXAMPLES = """\b
Examples:
  rnnlab train --config configs/adding_lstm.yaml
  rnnlab train -c experiment.yaml --set model.cell=gru --set task.length=200
  rnnlab train -c experiment.yaml --set 'train.stop=error < 0.01' --seed 3
  rnnlab train -c runs/addition-lstm-T100-s0/config.yaml --name again
  rnnlab train -c runs/again/config.yaml --resume
  rnnlab new - | rnnlab train -c - --dry-run

\b
The value of --set is YAML, typed by the key it is for; rnnlab list shows the
choices. --set clip=norm replaces the whole part; --set clip.name=norm keeps
the options that norm has as well. --device, --seed and --name are short for
--set, and the later of two for one key wins.
"""


def train(
    config: Annotated[
        str, typer.Option("--config", "-c", metavar="FILE", help="YAML file that describes the run; - for stdin.")
    ],
    sets: Annotated[
        list[str] | None,
        typer.Option(
            "--set", metavar="KEY=VALUE", help="Change one key; may be repeated.", autocompletion=complete_keys
        ),
    ] = None,
    device: Annotated[str | None, typer.Option(metavar="auto|cpu|cuda|cuda:N", help="Where it runs.")] = None,
    seed: Annotated[str | None, typer.Option(metavar="N", help="Seed of initial weights and data.")] = None,
    out: Annotated[str, typer.Option(metavar="DIR", help="Folder that the run's folder is made in.")] = "runs",
    name: Annotated[str | None, typer.Option(metavar="NAME", help="Name of the run and its folder.")] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace a run of that name.")] = False,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with the unfinished run of that name, from its last checkpoint.")
    ] = False,
    force_memory: Annotated[
        bool, typer.Option("--force-memory", help="Train even if there seems to be too little memory.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print the resolved config and what would be written, then stop.")
    ] = False,
    plugins: PluginNames = None,
    allow_plugins: AllowPlugins = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as one JSON object.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress, no summary.")] = False,
    verbose: Annotated[
        bool, typer.Option("--verbose", "-v", help="Show where an unexpected error comes from.")
    ] = False,
    fail_on_diverged: Annotated[
        bool, typer.Option("--fail-on-diverged", help="Exit with 3 if the run diverges.")
    ] = False,
) -> None:
    """Train a network and write down its gradient at every timestep.

    The run's folder holds config.yaml, run.json, metrics.csv and gradients.csv. The result goes to stdout, progress
    and messages to stderr.
    """
    from rnnlab.config import load_config

    check_written(config)
    load_plugins(plugins)
    settings = [*(sets or ()), *options_as_settings(device=device, seed=seed, name=name)]
    described = load_config(config, settings, allow_plugins=allow_plugins)
    if resume and force:
        raise UsageError("--resume goes on with a run and --force replaces it: give one of them")
    if dry_run:
        if resume:
            _check_resumable(described, out)
        _show_plan(described, as_json)
        return
    run = train_shown(described, out, force, resume, quiet, force_memory)
    show_run(run, as_json, quiet)
    if fail_on_diverged and run.status == "diverged":
        raise DivergedError(f"{run.name} diverged: {run.info.get('reason', '')}".rstrip(": "))


def check_written(config: str) -> None:
    """Raise RunFolderError where a file is the config of a run that stopped before it wrote one."""
    from pathlib import Path

    from rnnlab.runs.folder import RunFolder

    folder = RunFolder(Path(config).parent)
    if Path(config) != folder.config or not folder.is_run or folder.config.exists():
        return
    if unwritten := folder.why_unwritten(folder.config):
        remedy = f"begin it again with the config that it was started with, and --name {folder.name} --resume"
        raise RunFolderError(f"{unwritten}; {remedy}")


def _check_resumable(config: Config, out: str) -> None:
    from pathlib import Path

    from rnnlab.runs.folder import RunFolder
    from rnnlab.training.start import check_resumable, name_of

    check_resumable(RunFolder(Path(out) / name_of(config)), config)


def options_as_settings(**given: str | None) -> list[Setting]:
    """The options that stand for a key, as settings."""
    from rnnlab.config import Setting

    return [
        Setting.of_text((key,), text, f"--{key} {shortened(text)}") for key, text in given.items() if text is not None
    ]


def show_run(run: Run, as_json: bool, quiet: bool) -> None:
    """Print the result of a training, unless it is to be quiet."""
    if as_json:
        print(json.dumps({"path": str(run.path), **run.info}, indent=2))
    elif not quiet:
        _show_summary(run)


def train_shown(config: Config, out: str, force: bool, resume: bool, quiet: bool, force_memory: bool = False) -> Run:
    """Train a run with its progress on stderr. A Ctrl-C ends the command, with what is kept."""
    from rnnlab.cli.progress import ProgressDisplay, TrainingView
    from rnnlab.training.loop import train

    install_handlers()
    command = ["rnnlab", *sys.argv[1:]]
    with report_interruption(), ProgressDisplay(sys.stderr, quiet=quiet) as display:
        return train(
            config,
            out=out,
            force=force,
            resume=resume,
            command=command,
            force_memory=force_memory,
            observe=lambda progress: display.show(TrainingView(progress), last=progress.fraction == 1),
            notify=display.message,
        )


@contextlib.contextmanager
def report_interruption() -> Iterator[None]:
    """Within the block a Ctrl-C or SIGTERM ends the command with its exit code, and says what is kept."""
    try:
        yield
    except KeyboardInterrupt as interrupt:
        # Whoever has written something notes on the exception what is kept, and where.
        print_error(f"interrupted; {'; '.join(getattr(interrupt, '__notes__', ['nothing was written']))}")
        raise typer.Exit(exit_code(interrupt)) from interrupt


def _show_plan(config: Config, as_json: bool) -> None:
    from rnnlab.training.plan import plan

    planned = plan(config)
    figures = asdict(planned)
    if as_json:
        print(json.dumps({"config": config.resolved(), "plan": figures}, indent=2))
        return
    print(config.to_yaml(), end="")
    for key, value in figures.items():
        shown = _memory(config, planned) if key == "memory" else f"{value:,}" if isinstance(value, int) else value
        print(f"# {key.replace('_', ' ')}: {shown}")


def _memory(config: Config, planned: Plan) -> str:
    """The forecast of memory, and whether this machine has it."""
    from rnnlab.machine import in_bytes
    from rnnlab.training.room import refusal, room_for

    room = room_for(config, fast=planned.scan != "general")
    if room.is_enough or planned.device != "cpu":
        return f"about {in_bytes(planned.memory)} at the peak; {in_bytes(room.free)} are free here"
    return f"too much: {refusal(config, room, fast=planned.scan != 'general')}"


def _show_summary(run: Run) -> None:
    from rnnlab.report.terminal.summary import summary, supports_unicode

    console = stdout_console()
    console.print(summary(run, console.width, unicode=supports_unicode(sys.stdout.encoding)))
