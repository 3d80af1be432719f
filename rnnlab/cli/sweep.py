"""`rnnlab sweep`."""

from __future__ import annotations

import contextlib
import json
import sys
import time
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from rnnlab.cli.keys import complete_keys
from rnnlab.cli.signals import code_of, listen
from rnnlab.cli.streams import tell
from rnnlab.errors import DivergedError, SomeFailedError

if TYPE_CHECKING:
    from rnnlab.engines import Engine
    from rnnlab.sweeping import Order, Outcome
    from rnnlab.sweeps import Sweep

EXAMPLES = """\b
Examples:
  rnnlab sweep --config configs/sweep_vanishing.yaml --dry-run
  rnnlab sweep --config configs/sweep_vanishing.yaml
  rnnlab sweep -c sweep.yaml --set seeds=10 --set train.updates=500 -j 4
  rnnlab sweep -c sweep.yaml --retry-failed
  rnnlab sweep -c sweep.yaml --engine ray --address auto

\b
A sweep is a set: the same command again trains what is missing, and nothing
else. --set changes a key of the base, or the seeds.
"""


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
            metavar="inline|local|ray",
            help="Where fleets train: in this process, in one each, or on Ray. Default: local for several fleets.",
        ),
    ] = None,
    workers: Annotated[
        int | None, typer.Option("--workers", "-j", metavar="N", min=1, help="Fleets that train at once.")
    ] = None,
    address: Annotated[
        str | None, typer.Option(metavar="auto|HOST:PORT|ray://HOST:PORT", help="The Ray cluster.")
    ] = None,
    no_fleet: Annotated[bool, typer.Option("--no-fleet", help="Train each run alone.")] = False,
    retry_failed: Annotated[bool, typer.Option("--retry-failed", help="Train failed runs once more.")] = False,
    max_runs: Annotated[int | None, typer.Option(metavar="N", min=0, help="Train at most N runs now.")] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print the runs, what is done, and what the rest takes; then stop.")
    ] = False,
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
    from rnnlab.engines import engine_of
    from rnnlab.sweeping import Order
    from rnnlab.sweeps import load_sweep

    chosen = engine_of(engine, workers=workers, address=address)
    described = load_sweep(config, sets or ())
    command = ["rnnlab", *sys.argv[1:]]
    order = Order(out, not no_fleet, retry_failed, max_runs, command)
    if dry_run:
        _show_plan(described, order, workers, as_json)
        return
    began = time.monotonic()
    outcome = _train(described, chosen, order, workers, quiet)
    if as_json:
        print(json.dumps({"sweep": described.name, "out": out, **asdict(outcome)}, indent=2))
    elif not quiet:
        _show_outcome(described, outcome, time.monotonic() - began)
    if outcome.failures:
        count = len(outcome.failures)
        raise SomeFailedError(f"{count} of {outcome.runs:,} run{'s' if outcome.runs > 1 else ''} failed")
    if fail_on_diverged and outcome.diverged:
        raise DivergedError(f"{outcome.diverged:,} of {outcome.runs:,} runs diverged")


def _train(sweep: Sweep, engine: Engine | None, order: Order, workers: int | None, quiet: bool) -> Outcome:
    from rnnlab.cli.board import LiveBoard
    from rnnlab.engines.base import cores
    from rnnlab.report.board import Board
    from rnnlab.sweeping import train_sweep

    listen()
    board = Board(sweep.name, workers=engine.at_once() if engine else workers or cores())
    try:
        # Stdout is for the result; Ray, for one, would write there of workers that died.
        with LiveBoard(board, sys.stderr, quiet=quiet) as live, contextlib.redirect_stdout(sys.stderr):
            return train_sweep(sweep, engine, order, live.hear)
    except KeyboardInterrupt as interrupt:
        done = board.count["completed"] + board.count["diverged"]
        where = f"{done:,} of {len(sweep.members):,} runs are done" if board.runs else "nothing had begun"
        tell(f"interrupted; {where}, what the others have is kept, and the same command goes on")
        raise typer.Exit(code_of(interrupt)) from interrupt


def _show_outcome(sweep: Sweep, outcome: Outcome, seconds: float) -> None:
    from rnnlab.report.board import counted
    from rnnlab.report.terminal import duration

    now = f"{outcome.trained:,} trained now, in {duration(seconds)}" if outcome.trained else "none to train"
    kinds = {"completed": outcome.completed, "diverged": outcome.diverged, "failed": len(outcome.failures)}
    kinds |= {"being trained by another process": outcome.elsewhere, "left for later": outcome.left}
    print(f"{sweep.name or 'sweep'}: {outcome.runs:,} runs: {counted(kinds) or 'none'}; {now}")
    if outcome.dropped:
        print(f"{outcome.dropped:,} runs of an earlier {sweep.name} are not of it any more, and left as they are")
    for failure in outcome.failures:
        print(f"\n{failure.name} failed: {failure.why}")
        if failure.command:
            print(f"  {failure.command}")


def _show_plan(sweep: Sweep, order: Order, workers: int | None, as_json: bool) -> None:
    from rnnlab.forecast import forecast

    found = forecast(sweep, order, workers)
    if as_json:
        print(json.dumps(asdict(found), indent=2))
        return
    for run in found.runs:
        print(f"{run.status:<12} {run.name}")
    for key, value in _in_words(sweep, found).items():
        print(f"# {key}: {value}")


def _in_words(sweep: Sweep, found: Any) -> dict[str, str]:
    from rich.filesize import decimal

    from rnnlab.report.board import counted
    from rnnlab.report.terminal import duration

    words = {"runs": f"{len(found.runs):,}: {counted(found.count)}"}
    if sweep.repeated:
        words["combinations that are a run already"] = f"{sweep.repeated:,}"
    if found.dropped:
        words["left as they are"] = f"{found.dropped:,} runs of an earlier {sweep.name}"
    words["to train"] = f"{found.to_train:,} runs in {found.fleets:,} fleet{'s' if found.fleets != 1 else ''}"
    if found.to_train:
        words["time"] = f"about {duration(found.seconds)} on {found.cores} cores; a stop rule may end runs sooner"
        words["disk"] = f"about {decimal(found.bytes)}"
    return words
