"""`rnnlab sweep`."""

from __future__ import annotations

import contextlib
import json
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from rnnlab.cli.choices import complete, with_choices
from rnnlab.cli.completion import complete_keys
from rnnlab.cli.plugin_options import AllowPlugins, PluginNames, load_plugins
from rnnlab.cli.signals import exit_code, install_handlers
from rnnlab.cli.streams import print_error
from rnnlab.errors import DivergedError, SomeFailedError, UsageError

if TYPE_CHECKING:
    from rnnlab.sweeps.engines import Engine
    from rnnlab.sweeps.file import Sweep
    from rnnlab.sweeps.forecast import Forecast
    from rnnlab.sweeps.results import SweepOptions, SweepResult

EXAMPLES = """\b
Examples:
  rnnlab sweep --config configs/sweep_vanishing.yaml --dry-run
  rnnlab sweep --config configs/sweep_vanishing.yaml
  rnnlab sweep -c sweep.yaml --set seeds=10 --set train.updates=500 -j 4
  rnnlab sweep -c sweep.yaml --retry-failed
  rnnlab sweep -c sweep.yaml --engine ray --address auto
  rnnlab sweep -c sweep.yaml --engine slurm --engine-option partition=gpu

\b
A sweep is a set: the same command again trains what is missing, and nothing
else. --set changes a key of the base, or the seeds.
"""


COMMAND = with_choices(engine="engines")


def sweep(
    config: Annotated[
        str, typer.Option("--config", "-c", metavar="FILE", help="YAML file that describes the sweep; - for stdin.")
    ],
    sets: Annotated[
        list[str] | None,
        typer.Option(
            "--set", metavar="KEY=VALUE", help="Change one key of the base, or seeds.", autocompletion=complete_keys
        ),
    ] = None,
    out: Annotated[str, typer.Option(metavar="DIR", help="Folder that the runs' folders are made in.")] = "runs",
    engine: Annotated[
        str | None,
        typer.Option(
            help="Where fleets train (see `rnnlab list engines`). Default: local for several fleets, else inline.",
            autocompletion=complete("engines"),
        ),
    ] = None,
    workers: Annotated[
        int | None, typer.Option("--workers", "-j", metavar="N", min=1, help="Fleets that train at once.")
    ] = None,
    address: Annotated[
        str | None, typer.Option(metavar="auto|HOST:PORT|ray://HOST:PORT", help="The Ray cluster.")
    ] = None,
    engine_options: Annotated[
        list[str] | None,
        typer.Option("--engine-option", metavar="NAME=VALUE", help="For slurm: an option of sbatch, such as time."),
    ] = None,
    only: Annotated[
        list[str] | None,
        typer.Option(metavar="CONDITION", help="Only these of its runs, such as model.cell=lstm; may be repeated."),
    ] = None,
    no_fleet: Annotated[bool, typer.Option("--no-fleet", help="Train each run alone.")] = False,
    retry_failed: Annotated[bool, typer.Option("--retry-failed", help="Train failed runs once more.")] = False,
    max_runs: Annotated[int | None, typer.Option(metavar="N", min=0, help="Train at most N runs now.")] = None,
    force_memory: Annotated[
        bool, typer.Option("--force-memory", help="Train even if there seems to be too little memory.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print the runs, what is done, and what the rest takes; then stop.")
    ] = False,
    plugins: PluginNames = None,
    allow_plugins: AllowPlugins = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as one JSON object.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress, no summary.")] = False,
    verbose: Annotated[
        bool, typer.Option("--verbose", "-v", help="Show where an unexpected error comes from.")
    ] = False,
    fail_on_diverged: Annotated[
        bool, typer.Option("--fail-on-diverged", help="Exit with 3 if a run diverges.")
    ] = False,
) -> None:
    """Train a set of runs: a base config and the axes that vary.

    Runs of one shape train together. What is trained already, by whatever command, is not trained again.
    """
    from rnnlab.sweeps.engines import engine_of
    from rnnlab.sweeps.file import load_sweep, narrowed
    from rnnlab.sweeps.results import SweepOptions

    load_plugins(plugins)
    described = narrowed(load_sweep(config, sets or (), allow_plugins=allow_plugins), only or ())
    chosen = engine_of(engine, workers=workers, address=address, options=named(engine_options or ()))
    command = ["rnnlab", *sys.argv[1:]]
    options = SweepOptions(out, not no_fleet, retry_failed, max_runs, command, force_memory)
    if dry_run:
        _show_plan(described, options, workers, as_json)
        return
    began = time.monotonic()
    result = _train(described, chosen, options, workers, quiet)
    if as_json:
        print(json.dumps({"sweep": described.name, "out": out, **asdict(result)}, indent=2))
    elif not quiet:
        _show_result(described, result, time.monotonic() - began)
    if result.failures:
        count = len(result.failures)
        raise SomeFailedError(f"{count} of {result.runs:,} run{'s' if result.runs > 1 else ''} failed")
    if fail_on_diverged and result.diverged:
        raise DivergedError(f"{result.diverged:,} of {result.runs:,} runs diverged")


def named(options: Sequence[str]) -> dict[str, str]:
    """NAME=VALUE by name. Raises UsageError."""
    pairs = [option.partition("=") for option in options]
    for name, equals, value in pairs:
        if not (name and equals and value):
            raise UsageError(f"--engine-option {name}{equals}{value}: write NAME=VALUE, such as partition=gpu")
    return {name: value for name, _, value in pairs}


def _train(sweep: Sweep, engine: Engine | None, options: SweepOptions, workers: int | None, quiet: bool) -> SweepResult:
    from rnnlab.cli.progress import ProgressDisplay
    from rnnlab.cli.sweep_view import SweepView, display_events
    from rnnlab.machine import cores
    from rnnlab.sweeps.driver import train_sweep

    install_handlers()
    view = SweepView(sweep.name, workers=engine.at_once() if engine else workers or cores())
    try:
        # Stdout is for the result; Ray, for one, would write there of workers that died. The display may replace
        # stdout as well while it draws, so it ends first.
        with contextlib.redirect_stdout(sys.stderr), ProgressDisplay(sys.stderr, quiet=quiet) as display:
            return train_sweep(sweep, engine, options, display_events(display, view))
    except KeyboardInterrupt as interrupt:
        done = view.progress().done
        where = f"{done:,} of {len(sweep.members):,} runs are done" if view.runs else "nothing had begun"
        print_error(f"interrupted; {where}, what the others have is kept, and the same command goes on")
        raise typer.Exit(exit_code(interrupt)) from interrupt


def _show_result(sweep: Sweep, result: SweepResult, seconds: float) -> None:
    from rnnlab.cli.sweep_view import format_counts
    from rnnlab.report.formatting import format_count, format_duration

    trained = f"{result.trained:,} trained now, in {format_duration(seconds)}" if result.trained else "none to train"
    kinds = {"completed": result.completed, "diverged": result.diverged, "failed": len(result.failures)}
    kinds |= {"being trained by another process": result.elsewhere, "left for later": result.left}
    print(f"{sweep.name or 'sweep'}: {result.runs:,} runs: {format_counts(kinds) or 'none'}; {trained}")
    if result.dropped:
        dropped = format_count(result.dropped, "run")
        print(f"of an earlier {sweep.name}, not of it any more, and left as they are: {dropped}")
    for failure in result.failures:
        print(f"\n{failure.name} failed: {failure.why}")
        if failure.command:
            print(f"  {failure.command}")


def _show_plan(sweep: Sweep, options: SweepOptions, workers: int | None, as_json: bool) -> None:
    from rnnlab.sweeps.forecast import forecast

    planned = forecast(sweep, options, workers)
    if as_json:
        print(json.dumps(asdict(planned), indent=2))
        return
    for run in planned.runs:
        print(f"{run.status:<12} {run.name}")
    for key, value in _plan_lines(sweep, planned).items():
        print(f"# {key}: {value}")


def _plan_lines(sweep: Sweep, planned: Forecast) -> dict[str, str]:
    from rich.filesize import decimal

    from rnnlab.cli.sweep_view import format_counts
    from rnnlab.machine import in_bytes
    from rnnlab.report.formatting import format_count, format_duration

    lines = {"runs": f"{len(planned.runs):,}: {format_counts(planned.count)}"}
    if sweep.repeated:
        lines["combinations that are a run already"] = f"{sweep.repeated:,}"
    if planned.dropped:
        lines["left as they are"] = f"{format_count(planned.dropped, 'run')} of an earlier {sweep.name}"
    lines["to train"] = f"{planned.to_train:,} runs in {planned.fleets:,} fleet{'s' if planned.fleets != 1 else ''}"
    if planned.to_train:
        lines["time"] = (
            f"about {format_duration(planned.seconds)} on {planned.cores} cores; a stop rule may end runs sooner"
        )
        lines["disk"] = f"about {decimal(planned.bytes)}"
        lines["memory"] = planned.refusal or (
            f"about {in_bytes(planned.memory)} at the peak; {in_bytes(planned.free)} are free here"
        )
    return lines
