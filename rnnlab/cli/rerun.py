"""`rnnlab rerun`."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from rnnlab.cli.plugin_options import AllowPlugins, PluginNames, load_plugins
from rnnlab.cli.streams import print_error
from rnnlab.errors import NotReproducedError, UsageError
from rnnlab.wording import shortened

if TYPE_CHECKING:
    from rnnlab.runs.run import Run

_LONGEST = 200

EXAMPLES = """\b
Examples:
  rnnlab rerun demo
  rnnlab rerun runs/demo --check

\b
docs/REPRODUCIBILITY.md says which bytes are equal when. Exit code 3 if
--check finds a difference.
"""


def rerun(
    run: Annotated[str, typer.Argument(metavar="RUN", help="A run's folder, or its name in runs/.")],
    check: Annotated[
        bool, typer.Option("--check", help="Compare with the run and keep nothing: rows, weights, results.")
    ] = False,
    name: Annotated[
        str | None, typer.Option(metavar="NAME", help="Name of the new run; default: the run's, and -again.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace a run of that name.")] = False,
    plugins: PluginNames = None,
    allow_plugins: AllowPlugins = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as one JSON object.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress, no summary.")] = False,
) -> None:
    """Train a run again; --check compares it with the first."""
    from rnnlab.cli.show import chosen_run
    from rnnlab.cli.train import check_written, report_interruption, show_run, train_shown
    from rnnlab.config import load_config
    from rnnlab.plugins import changes, used_by

    if check and (name or force):
        raise UsageError("--check keeps nothing: it takes no --name and no --force")
    load_plugins(plugins)
    chosen = chosen_run(run, trust=False)
    if "watch" not in chosen.info:
        check_written(str(chosen.dir.config))
        # Loads the plugins that it names, where that is allowed.
        config = load_config(chosen.dir.config, [f"name={name or chosen.name + '-again'}"], allow_plugins=allow_plugins)
    if check:
        with report_interruption():
            _check(chosen, as_json, quiet)
        return
    for change in changes(chosen.info.get("plugins"), used_by(config.parts())):
        print_error(change)
    show_run(train_shown(config, str(chosen.path.parent), force, False, quiet), as_json, quiet)


def _check(run: Run, as_json: bool, quiet: bool) -> None:
    from rnnlab.cli.progress import ProgressDisplay, TrainingView
    from rnnlab.cli.signals import install_handlers
    from rnnlab.report.formatting import printable
    from rnnlab.training.rerun import differences, rerun

    install_handlers()
    with ProgressDisplay(sys.stderr, quiet=quiet) as display:
        compared = rerun(
            run,
            observe=lambda progress: display.show(TrainingView(progress), last=progress.fraction == 1),
            notify=display.message,
        )
    same, elsewhere = all(each.equal for each in compared), differences(run)
    if as_json:
        facts = {"path": str(run.path), "equal": same, "compared": [asdict(each) for each in compared]}
        print(json.dumps({**facts, "differences": elsewhere}, indent=2))
    elif not quiet:
        for each in compared:
            print(f"{'equal ' if each.equal else 'DIFFERS'}  {each.subject}: {each.text}")
        for line in elsewhere:
            print(f"         {printable(shortened(line, _LONGEST))}")
    if not same:
        raise NotReproducedError(
            f"{run.path} is not reproduced here; docs/REPRODUCIBILITY.md says what can be the reason"
        )
