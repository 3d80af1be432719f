"""The commands of `rnnlab`, put together."""

from __future__ import annotations

from typing import Annotated

import typer

from rnnlab.cli import (
    configs,
    export_runs,
    list_parts,
    ls,
    new,
    probe,
    report,
    rerun,
    schema,
    show,
    sweep,
    train,
    validate,
    verify,
)

app = typer.Typer(
    name="rnnlab",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(requested: bool) -> None:
    if requested:
        from rnnlab import __version__

        print(f"rnnlab {__version__}")
        raise typer.Exit()


EXAMPLES = """\b
Examples:
  rnnlab new experiment.yaml
  rnnlab train --config experiment.yaml
  rnnlab train --config experiment.yaml --set model.cell=gru --seed 3
  rnnlab configs
  rnnlab probe --config experiment.yaml --draws 5
  rnnlab report runs/ --by model.cell,task.length
  rnnlab list tasks

\b
Exit codes: 0 fine (a diverged run is a result), 1 a bug in rnnlab, 2 usage or
config, 3 some run failed, 5 device or data missing, 130 Ctrl-C, 143 SIGTERM.
"""


@app.callback(epilog=EXAMPLES)
def rnnlab(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and exit.")
    ] = False,
    verbose: Annotated[
        bool, typer.Option("--verbose", "-v", help="Show where an unexpected error comes from.")
    ] = False,
) -> None:
    """An instrument for recurrent networks: train one, and measure the gradient at every timestep."""


for command, epilog in (
    (train.train, train.EXAMPLES),
    (sweep.sweep, sweep.EXAMPLES),
    (probe.probe, probe.EXAMPLES),
    (report.report, report.EXAMPLES),
    (export_runs.export, export_runs.EXAMPLES),
    (ls.ls, ls.EXAMPLES),
    (show.show, show.EXAMPLES),
    (verify.verify, verify.EXAMPLES),
    (rerun.rerun, rerun.EXAMPLES),
    (validate.validate, validate.EXAMPLES),
    (new.new, new.EXAMPLES),
    (configs.configs, configs.EXAMPLES),
    (list_parts.list_parts, list_parts.EXAMPLES),
    (schema.schema, schema.EXAMPLES),
):
    kind = {sweep.sweep: sweep.COMMAND, export_runs.export: export_runs.COMMAND}.get(command)
    app.command("list" if command is list_parts.list_parts else None, cls=kind, epilog=epilog)(command)
