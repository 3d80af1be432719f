"""`rnnlab report`."""

from __future__ import annotations

from typing import Annotated

import typer

from rnnlab.cli.arguments import Chosen, Trust

EXAMPLES = """\b
Examples:
  rnnlab report runs/
  rnnlab report runs/ --sweep sweep_demo
  rnnlab report runs/ --by model.cell,task.length --where clip=none
  rnnlab report runs/ 'lstm-*' --at 0 --html report.html --open
  rnnlab report runs/ --where 'task.length>=50' --figures figures --format pdf
  rnnlab report runs/ --figures figures --width page --facet task.length
  rnnlab report runs/ --sweep sweep_demo --html report.html --follow
  rnnlab report runs/ --csv - | column -s, -t

\b
A group is runs of equal settings but for the seed. Without --by the keys that
tell the groups apart are found; runs that differ in other settings are never
pooled. docs/REPORTS.md says what is computed, and how.
"""


def report(
    runs: Chosen = None,
    by: Annotated[
        list[str] | None, typer.Option(metavar="KEY[,KEY]", help="Settings to compare; found where few differ.")
    ] = None,
    where: Annotated[
        list[str] | None, typer.Option(metavar="CONDITION", help="Such as task.length>=100; may be repeated.")
    ] = None,
    sweep: Annotated[str | None, typer.Option(metavar="NAME", help="Only the runs of this sweep.")] = None,
    at: Annotated[
        int | None,
        typer.Option(metavar="UPDATE", min=0, help="Read the gradients nearest to this update; default: the last."),
    ] = None,
    success: Annotated[
        str | None, typer.Option(metavar="RULE", help="Such as 'error < 0.05'; default: each run's own train.stop.")
    ] = None,
    html: Annotated[str | None, typer.Option(metavar="FILE", help="Write a page that opens offline.")] = None,
    open_: Annotated[bool, typer.Option("--open", help="Open the page in the browser.")] = False,
    follow: Annotated[
        bool, typer.Option("--follow", help="Write the page anew as runs end, until Ctrl-C; it reloads itself.")
    ] = False,
    figures: Annotated[
        str | None, typer.Option(metavar="DIR", help="Write figures for a paper, each with its data as CSV.")
    ] = None,
    facet: Annotated[
        str | None, typer.Option(metavar="KEY[,KEY]", help="Settings that get a panel for each value.")
    ] = None,
    color: Annotated[
        str | None, typer.Option(metavar="KEY[,KEY]", help="Settings that colours show; default: chosen for you.")
    ] = None,
    style: Annotated[str | None, typer.Option(metavar="KEY[,KEY]", help="Settings that dashes show.")] = None,
    x: Annotated[
        str | None, typer.Option("--x", metavar="KEY", help="The setting on the x axis of rates and of success.")
    ] = None,
    label: Annotated[
        list[str] | None, typer.Option(metavar="KEY=NAME", help="The name of a setting; may be repeated.")
    ] = None,
    title: Annotated[str | None, typer.Option(metavar="TEXT", help="Above the figures and the page.")] = None,
    width: Annotated[str, typer.Option(metavar="column|page", help="Of the figures: 3.3 or 6.9 inches.")] = "column",
    formats: Annotated[str, typer.Option("--format", metavar="svg,pdf,png", help="Formats of the figures.")] = "pdf",
    csv: Annotated[str | None, typer.Option(metavar="FILE", help="Write the groups as CSV; - for stdout.")] = None,
    markdown: Annotated[
        str | None, typer.Option(metavar="FILE", help="Write the tables as Markdown; - for stdout.")
    ] = None,
    latex: Annotated[str | None, typer.Option(metavar="FILE", help="Write the tables as LaTeX; - for stdout.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print everything as one JSON object.")] = False,
    trust: Trust = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Write files, print nothing.")] = False,
    verbose: Annotated[
        bool, typer.Option("--verbose", "-v", help="Show where an unexpected error comes from.")
    ] = False,
) -> None:
    """Compare runs: rates, success, clipping, probes, intervals.

    The report goes to stdout, messages to stderr. Runs that cannot be read are left out and named.
    """
    from rnnlab.cli.report_request import ReportRequest, split
    from rnnlab.cli.signals import install_handlers

    install_handlers()
    request = ReportRequest(
        runs=tuple(runs or ()),
        by=tuple(key for given in by or () for key in split(given)),
        sweep=sweep,
        where=tuple(where or ()),
        at=at,
        success=success,
        html="report.html" if html is None and open_ else html,
        figures=figures,
        tables={"csv": csv, "markdown": markdown, "latex": latex},
        facet=facet,
        color=color,
        style=style,
        x=x,
        labels=tuple(label or ()),
        title=title,
        width=width,
        formats=tuple(formats.split(",")),
        as_json=as_json,
        trust=trust,
        quiet=quiet,
        follow=follow,
    )
    request.check()
    if follow:
        from rnnlab.cli.follow import follow as follow_runs

        follow_runs(request, request.open_page if open_ else lambda: None)
    request.write()
    if open_:
        request.open_page()
