"""`rnnlab probe`."""

from __future__ import annotations

import csv as csv_module
import io
import json
import sys
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from rnnlab.cli.arguments import Trust
from rnnlab.cli.completion import complete_keys
from rnnlab.cli.plugin_options import AllowPlugins, PluginNames, load_plugins
from rnnlab.errors import UsageError
from rnnlab.wording import encodable, shortened

if TYPE_CHECKING:
    from rnnlab.training.probing import Probed

_COLUMNS = ("seed", "update", "probe", "layer", "part", "at", "quantity", "value")

EXAMPLES = """\b
Examples:
  rnnlab probe --config configs/adding_lstm.yaml
  rnnlab probe -c experiment.yaml --which jacobian,lyapunov --draws 5
  rnnlab probe -c experiment.yaml --set task.length=500 --which lyapunov
  rnnlab probe --run demo --which gates --csv gates.csv
  rnnlab probe --run demo --set task.loss=last --json

\b
Nothing is trained and no run is written. A config is measured before its
first update, a run as its last checkpoint has it. docs/RECORDS.md says what
each probe measures; rnnlab list probes has their names.
"""


def probe(
    config: Annotated[
        str | None, typer.Option("--config", "-c", metavar="FILE", help="YAML file of a run; - for stdin.")
    ] = None,
    run: Annotated[str | None, typer.Option(metavar="RUN", help="A run's folder, or its name in runs/.")] = None,
    which: Annotated[
        str | None, typer.Option(metavar="NAME[,NAME]", help="Probes; default: all that need no update.")
    ] = None,
    draws: Annotated[
        int, typer.Option(metavar="N", min=1, max=10**4, help="Networks to draw, seeds counting up from the config's.")
    ] = 1,
    sets: Annotated[
        list[str] | None,
        typer.Option(
            "--set", metavar="KEY=VALUE", help="Change one key; may be repeated.", autocompletion=complete_keys
        ),
    ] = None,
    device: Annotated[str | None, typer.Option(metavar="auto|cpu|cuda|cuda:N", help="Where it runs.")] = None,
    seed: Annotated[str | None, typer.Option(metavar="N", help="Seed of initial weights and data.")] = None,
    plugins: PluginNames = None,
    allow_plugins: AllowPlugins = False,
    csv: Annotated[str | None, typer.Option(metavar="FILE", help="Write every value as CSV; - for stdout.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print every value as one JSON object.")] = False,
    trust: Trust = False,
    verbose: Annotated[
        bool, typer.Option("--verbose", "-v", help="Show where an unexpected error comes from.")
    ] = False,
) -> None:
    """Measure a network without training it: Jacobians, exponents.

    The result goes to stdout, messages to stderr.
    """
    from rnnlab.cli.train import check_written, options_as_settings
    from rnnlab.config import Setting, load_config

    if (config is None) == (run is None):
        raise UsageError("give either --config FILE or --run RUN")
    if as_json and csv == "-":
        raise UsageError("one thing at a time can go to stdout: give --csv a file")
    if csv == "":
        raise UsageError("--csv is empty; name the file to write")
    load_plugins(plugins)
    chosen = Setting.of_text(("probe", "which"), f"[{_names(which)}]", f"--which {shortened(which or '')}".rstrip())
    settings = [*(sets or ()), *options_as_settings(device=device, seed=seed), chosen]
    if config is not None:
        from rnnlab.training.probing import probe_config

        check_written(config)
        measured = probe_config(load_config(config, settings, allow_plugins=allow_plugins), draws, _message)
    else:
        assert run is not None
        measured = _of_run(run, draws, settings, trust, allow_plugins)
    _print(measured, csv, as_json)


def _of_run(run: str, draws: int, settings: Sequence[Any], trust: bool, allow_plugins: bool) -> list[Probed]:
    from rnnlab.cli.show import chosen_run
    from rnnlab.config import load_config
    from rnnlab.training.probing import probe_run

    if draws != 1:
        raise UsageError("--draws is for --config: a run has one network")
    chosen = chosen_run(run, trust=trust)
    # Loads the plugins that its config names, where that is allowed.
    if "watch" not in chosen.info:
        load_config(chosen.config, allow_plugins=allow_plugins)
    return probe_run(chosen, settings, _message)


def _names(which: str | None) -> str:
    """The names for the config: those given, or of all probes that measure a network as it stands."""
    from rnnlab.probes import PROBES

    if which is None:
        return ", ".join(name for name, part in PROBES.items() if not part.needs_update)
    names = [name.strip() for name in which.split(",") if name.strip()]
    for name in names:
        if name in PROBES and PROBES[name].needs_update:
            raise UsageError(f"--which: {name} measures what an update changes; name it in probe.which of a training")
    if not names:
        raise UsageError(f"--which is empty; choose from {', '.join(PROBES)}")
    return ", ".join(names)


def _message(text: str) -> None:
    from rnnlab.cli.streams import print_error

    print_error(text)


def _print(measured: Sequence[Probed], csv: str | None, as_json: bool) -> None:
    if csv is not None:
        _write_csv(measured, csv)
    if as_json:
        print(json.dumps([_as_data(draw) for draw in measured], indent=2))
    elif csv != "-":
        from rnnlab.cli.streams import stdout_console
        from rnnlab.report.terminal.probed import probed
        from rnnlab.report.terminal.summary import supports_unicode

        stdout_console().print(probed(measured, unicode=supports_unicode(sys.stdout.encoding)))


def _write_csv(measured: Sequence[Probed], csv: str) -> None:
    from pathlib import Path

    from rnnlab.cli.report_request import write_file

    text = io.StringIO()
    writer = csv_module.writer(text, lineterminator="\n")
    writer.writerow(_COLUMNS)
    writer.writerows(row for draw in measured for row in _rows(draw))
    if csv == "-":
        print(text.getvalue(), end="")
        return
    write_file(Path(csv), encodable(text.getvalue()).encode())
    _message(f"wrote {csv}")


def _rows(draw: Probed) -> Iterator[tuple[object, ...]]:
    """A row a value; a figure of metrics.csv has no layer, part and place."""
    for name, figures in draw.figures.items():
        for figure, value in figures.items():
            yield draw.seed, draw.update, name, "", "", "", figure, repr(value)
    for name, tables in draw.tables.items():
        for rows in tables:
            for quantity, values in rows.values.items():
                for at, value in zip(rows.at, values, strict=True):
                    yield draw.seed, draw.update, name, rows.layer, rows.part, at, quantity, repr(float(value))


def _as_data(draw: Probed) -> dict[str, Any]:
    tables = {
        name: [
            {
                "layer": rows.layer,
                "part": rows.part,
                "at": list(map(int, rows.at)),
                **{quantity: [_number(value) for value in values] for quantity, values in rows.values.items()},
            }
            for rows in tables
        ]
        for name, tables in draw.tables.items()
    }
    figures = {name: {key: _number(value) for key, value in each.items()} for name, each in draw.figures.items()}
    return {"seed": draw.seed, "update": draw.update, "figures": figures, "tables": tables}


def _number(value: float) -> float | str:
    """As run.json has it: what is not finite as a text, since JSON has no such numbers."""
    number = float(value)
    return number if number - number == 0 else str(number)
