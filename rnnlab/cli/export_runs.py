"""`rnnlab export`."""

from __future__ import annotations

from typing import Annotated

import typer

from rnnlab.cli.arguments import Chosen, Trust
from rnnlab.cli.choices import complete_names, with_names

EXAMPLES = """\b
Examples:
  rnnlab export runs/ --to tensorboard exported
  rnnlab export runs/ 'lstm-*' --to mlflow exported
  rnnlab export runs/ --where model.cell=lstm --to parquet exported --force

\b
The last argument is the folder that is made; it is made whole or not at all.
docs/EXPORT.md says what is in it. tensorboard and mlflow need extras:
  pip install 'rnnlab[tensorboard]'
"""


def _names() -> list[str]:
    from rnnlab.report.exporters import EXPORTERS

    return list(EXPORTERS)


COMMAND = with_names(to=_names)


def export(
    runs: Chosen = None,
    *,
    folder: Annotated[str, typer.Argument(metavar="DIR", help="The folder to make.")],
    to: Annotated[str, typer.Option(autocompletion=complete_names(_names), help="The tool that is to read them.")],
    where: Annotated[
        list[str] | None, typer.Option(metavar="CONDITION", help="Such as status=completed; may be repeated.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace an earlier export in DIR.")] = False,
    trust: Trust = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print nothing.")] = False,
    verbose: Annotated[
        bool, typer.Option("--verbose", "-v", help="Show where an unexpected error comes from.")
    ] = False,
) -> None:
    """Write runs for TensorBoard, MLflow, or as Parquet.

    Scalars by update, curves as figures, the config as hyperparameters. Runs that cannot be read are left out and
    named.
    """
    from pathlib import Path

    from rnnlab.cli.signals import install_handlers
    from rnnlab.cli.streams import print_error
    from rnnlab.compare.select import choose
    from rnnlab.report.exporters import check_free, export_runs, exporter_of
    from rnnlab.report.formatting import format_count

    install_handlers()
    place, exporter = Path(folder), exporter_of(to)
    check_free(place, force=force)
    exported = export_runs(choose(runs or (), where or (), trust=trust), exporter, place, force=force)
    if quiet:
        return
    for note in exported.notes:
        print_error(note)
    print_error(f"wrote {format_count(exported.runs, 'run')} to {place}")
    if exporter.command:
        print_error(f"to look at them: {exporter.command.format(folder=place)}")
