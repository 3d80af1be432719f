"""`rnnlab report`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rnnlab.cli.streams import print_error, stdout_console
from rnnlab.errors import RunFailedError, UsageError
from rnnlab.wording import encodable, shortened

if TYPE_CHECKING:
    from rnnlab.compare.collection import Runs
    from rnnlab.report.findings import Findings
    from rnnlab.report.page.run import Thinned

EXAMPLES = """\b
Examples:
  rnnlab report runs/
  rnnlab report runs/ --by model.cell,task.length --where clip=none
  rnnlab report runs/ 'lstm-*' --at 0 --html report.html --open
  rnnlab report runs/ --where 'task.length>=50' --figures figures --format pdf
  rnnlab report runs/ --csv - | column -s, -t

\b
A group is runs of equal settings but for the seed. Without --by the keys that
tell the groups apart are found; runs that differ in other settings are never
pooled. docs/REPORTS.md says what is computed, and how.
"""
_WRITERS = {"csv": "as_csv", "markdown": "as_markdown", "latex": "as_latex"}


def report(
    runs: Annotated[
        list[str] | None,
        typer.Argument(metavar="FOLDER|RUN|GLOB", help="A folder of runs (runs/), and which of them."),
    ] = None,
    by: Annotated[
        list[str] | None, typer.Option(metavar="KEY[,KEY]", help="Settings to compare; found where few differ.")
    ] = None,
    where: Annotated[
        list[str] | None, typer.Option(metavar="CONDITION", help="Such as task.length>=100; may be repeated.")
    ] = None,
    at: Annotated[
        int | None,
        typer.Option(metavar="UPDATE", min=0, help="Read the gradients nearest to this update; default: the last."),
    ] = None,
    success: Annotated[
        str | None, typer.Option(metavar="RULE", help="Such as 'error < 0.05'; default: each run's own train.stop.")
    ] = None,
    html: Annotated[str | None, typer.Option(metavar="FILE", help="Write a page that opens offline.")] = None,
    open_: Annotated[bool, typer.Option("--open", help="Open the page in the browser.")] = False,
    figures: Annotated[
        str | None, typer.Option(metavar="DIR", help="Write figures for a paper, each with its data as CSV.")
    ] = None,
    formats: Annotated[str, typer.Option("--format", metavar="svg,pdf,png", help="Formats of the figures.")] = "pdf",
    csv: Annotated[str | None, typer.Option(metavar="FILE", help="Write the groups as CSV; - for stdout.")] = None,
    markdown: Annotated[
        str | None, typer.Option(metavar="FILE", help="Write the tables as Markdown; - for stdout.")
    ] = None,
    latex: Annotated[str | None, typer.Option(metavar="FILE", help="Write the tables as LaTeX; - for stdout.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print everything as one JSON object.")] = False,
    trust: Annotated[bool, typer.Option("--trust", help="Read files that were changed since their run ended.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Write files, print nothing.")] = False,
    verbose: Annotated[
        bool, typer.Option("--verbose", "-v", help="Show where an unexpected error comes from.")
    ] = False,
) -> None:
    """Compare runs: decay rates, success, clipping, intervals.

    The report goes to stdout, messages to stderr. Runs that cannot be read are left out and named.
    """
    from rnnlab.cli.signals import install_handlers
    from rnnlab.compare.select import choose
    from rnnlab.report.findings import Findings

    install_handlers()
    tables = {"csv": csv, "markdown": markdown, "latex": latex}
    _check(tables, figures, formats, html, open_, as_json)
    chosen = choose(runs or (), where or (), trust=trust)
    keys = [key.strip() for given in by or () for key in given.split(",") if key.strip()]
    _check_runs(chosen, success)
    groups = chosen.group_by(*keys)
    thinned = None
    if html is not None or open_:
        from rnnlab.report.page.run import Thinned

        thinned = Thinned(groups)
    findings = Findings(groups, at, success, thinned.add if thinned else None)
    say = _say_nothing if quiet else _print_written
    for kind, target in tables.items():
        if target is not None:
            say(_write_table(kind, findings, target))
    if figures is not None:
        from rnnlab.report.figures import write_figures

        say(write_figures(findings, Path(figures), formats.split(",")))
    if thinned is not None:
        say(_write_page(findings, thinned, Path(html or "report.html"), open_))
    if as_json:
        from rnnlab.report.export import as_json as to_json

        print(to_json(findings))
    elif not quiet and "-" not in tables.values():
        _show(findings)


def _check(
    tables: dict[str, str | None], figures: str | None, formats: str, html: str | None, open_: bool, as_json: bool
) -> None:
    """Check the options before anything is read."""
    targets = {**{f"--{kind}": target for kind, target in tables.items()}, "--html": html, "--figures": figures}
    if empty := [option for option, target in targets.items() if target == ""]:
        raise UsageError(f"{empty[0]} is empty; name the file or folder to write")
    if [*tables.values()].count("-") + as_json > 1:
        raise UsageError("one thing at a time can go to stdout: give the others a file")
    if kinds := [kind for kind, target in tables.items() if target is not None]:
        from rnnlab.report.export import check_ready as check_tables

        check_tables(kinds)
    if figures is not None:
        from rnnlab.report.figures import check_formats

        check_formats(formats.split(","))
    if html is not None or open_:
        from rnnlab.report.page import check_ready

        check_ready()


def _check_runs(runs: Runs, success: str | None) -> None:
    """Check the rule and the runs before the gradients are read."""
    from rnnlab.config.stop import stop_rule

    if success is not None:
        try:
            stop_rule(success)
        except ValueError as error:
            raise UsageError(f"--success: {error}") from error
    if not len(runs):
        left = "".join(f"; left out: {name}: {reason}" for name, reason in list(runs.left_out.items())[:3])
        hint = f": {runs.unmet}" if runs.unmet else "; `rnnlab ls` lists what there is"
        raise UsageError(f"there is no run to report on{left or hint}")


def _write_table(kind: str, findings: Findings, target: str) -> list[Path]:
    from rnnlab.report import export

    text: str = getattr(export, _WRITERS[kind])(findings)
    if target == "-":
        print(text, end="")
        return []
    write_file(Path(target), encodable(text).encode())
    return [Path(target)]


def write_file(path: Path, data: bytes) -> None:
    """Write a file whole or not at all. Raises UsageError."""
    from rnnlab.atomic import atomic, clear_drafts

    if not path.parent.is_dir():
        raise UsageError(f"{path} cannot be written: there is no folder {path.parent}")
    clear_drafts(path.parent, path.name)
    try:
        with atomic(path) as file:
            file.write(data)
    except RunFailedError as error:
        raise UsageError(str(error)) from error
    except OSError as error:  # a name that no file can have
        raise UsageError(f"{shortened(str(path))} cannot be written: {error.strerror}") from error


def _write_page(findings: Findings, thinned: Thinned, path: Path, open_: bool) -> list[Path]:
    from rnnlab.report.page import page

    write_file(path, encodable(page(findings, thinned)).encode())
    if open_:
        import webbrowser

        if not webbrowser.open(path.absolute().as_uri()):
            print_error(f"no browser could be opened; {path} is the page")
    return [path]


def _print_written(paths: list[Path]) -> None:
    for path in paths:
        print_error(f"wrote {path}")


def _say_nothing(paths: list[Path]) -> None:
    """For --quiet."""


def _show(findings: Findings) -> None:
    from rnnlab.report.terminal.comparison import report as render
    from rnnlab.report.terminal.summary import supports_unicode

    console = stdout_console()
    console.print(render(findings, console.width, unicode=supports_unicode(sys.stdout.encoding)))
