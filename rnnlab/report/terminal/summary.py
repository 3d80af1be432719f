"""The report at the end of a training, for a terminal."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

from rich.console import Group, RenderableType
from rich.table import Column, Table
from rich.text import Text

from rnnlab.clips import CLIPS
from rnnlab.errors import RnnlabError, RunFolderError
from rnnlab.report.formatting import format_duration, format_number, printable
from rnnlab.report.rounding import rounding_notes
from rnnlab.report.terminal.probe_lines import probe_lines
from rnnlab.report.terminal.strip import span, strip
from rnnlab.runs.run_json import NO_CHECKSUM, has_checksum

if TYPE_CHECKING:
    import pandas as pd

    from rnnlab.analysis.verdict import Verdict
    from rnnlab.clips import Clip
    from rnnlab.runs.run import Run

COLOURS = {
    "completed": "green",
    "stable": "green",
    "vanishing": "yellow",
    "dead": "yellow",
    "mixed": "cyan",
    "not told apart": "",
    "interrupted": "yellow",
    "exploding": "red",
    "diverged": "red",
    "failed": "red",
}
_TO_ASCII = str.maketrans({"±": "+-", "²": "2"})
# From this width on the first and the last update are drawn side by side.
_TWO_PANELS = 110
_STRIP_HEIGHT = 8


def supports_unicode(encoding: str | None) -> bool:
    """Whether a stream of this encoding can show the characters of a strip."""
    try:
        "⠿│┤└─±²".encode(encoding or "ascii")
    except (LookupError, UnicodeEncodeError):
        return False
    return True


def summary(run: Run, width: int = 80, *, unicode: bool = True) -> RenderableType:
    """The report at the end of a training: figures, gradient against lag, verdict, probes, where the files are."""
    head, files = _headline(run, unicode), _files(run, unicode)
    parts = [
        head,
        _scores(run.info),
        _facts(run),
        *_gradients(run, width, unicode),
        *_measured(run, unicode),
        *_faults(run, unicode),
        files,
    ]
    return Group(*[line for part in parts for line in (part, "")][:-1])


def _headline(run: Run, unicode: bool) -> Text:
    line = Text.assemble((printable(run.name, unicode), "bold"), ": ", (run.status, COLOURS.get(run.status, "")))
    if reason := run.info.get("reason"):
        line.append(f", {printable(str(reason), unicode)}")
    return line


def _scores(info: Mapping[str, Any]) -> Table:
    result, chance = info.get("result") or {}, info.get("chance") or {}
    table = Table(box=None, pad_edge=False, padding=(0, 3, 0, 0))
    table.add_column("", overflow="fold")
    for heading in ("training", "validation", "test", "chance"):
        style = "dim" if heading == "chance" else ""
        table.add_column(heading, justify="right", overflow="fold", style=style)
    for name in ("loss", "error"):
        values = [result.get(name), result.get(f"eval_{name}"), result.get(f"test_{name}"), chance.get(name)]
        table.add_row(name, *(format_number(value) for value in values))
    return table


def _facts(run: Run) -> Table:
    table = _grid(4)
    facts = list(_other_figures(run))
    for left, right in zip(facts[::2], [*facts[1::2], ("", "")], strict=False):
        table.add_row(left[0], printable(left[1]), right[0], printable(right[1]))
    return table


def _other_figures(run: Run) -> Iterable[tuple[str, str]]:
    """The figures besides loss and error, as (name, value)."""
    info, metrics = run.info, _metrics(run)
    result = info.get("result") or {}
    if metrics is not None:
        norms = metrics["grad_norm"]
        yield "gradient norm", f"{format_number(norms.iloc[-1])} (median {format_number(norms.median())})"
    if (rate := result.get("clip_rate")) is not None and (clip := _clip(run)) and clip.counts:
        yield "clipped", f"{float(rate):.1%} of {clip.counts}"
    if (updates := info.get("updates")) is not None:
        yield "updates", f"{updates:,} ({format_number(info.get('updates_per_second'))}/s)"
    if metrics is not None:
        yield "time", format_duration(float(metrics["seconds"].iloc[-1]))
    if (parameters := info.get("parameters")) is not None:
        yield "parameters", f"{parameters:,}"
    if where := ", ".join(str(info[key]) for key in ("device", "dtype") if info.get(key)):
        yield "on", f"{where}, {info['scan']} scan" if info.get("scan") else where
    if (records := (watch := info.get("watch") or {}).get("records")) is not None:
        yield "verified", f"{records - (watch.get('not_verified') or 0):,} of {records:,} records"
    if nonfinite := result.get("nonfinite_updates"):
        yield "not finite", f"the gradient of {nonfinite:,} updates"


def _clip(run: Run) -> type[Clip] | None:
    """The kind of clip; None where it is unknown, or the run failed before its config was written."""
    try:
        return CLIPS.get(str(run.settings.get("clip.name")))
    except RnnlabError:
        return None


def _metrics(run: Run) -> pd.DataFrame | None:
    """The metrics; None where the run failed before its first row."""
    try:
        return run.metrics if len(run.metrics) else None
    except RnnlabError:
        return None


def damaged_files(run: Run) -> dict[str, str]:
    """The files of a run that cannot be read, each with the reason; not those that it had not come to write."""
    readers: dict[str, Callable[[], object]] = {
        "config.yaml": lambda: run.config,
        "gradients.csv": lambda: run.gradients,
        "metrics.csv": lambda: run.metrics,
        **({"probes.csv": lambda: run.tables} if run.dir.tables.exists() else {}),
    }
    faults = dict[str, str]()
    for name, read in readers.items():
        try:
            read()
        except RunFolderError as error:
            if not run.dir.why_unwritten(run.path / name):
                faults[name] = str(error)
    return faults


def _faults(run: Run, unicode: bool) -> list[RenderableType]:
    """Why settings and the figures of metrics.csv are missing, and what cannot be verified.

    Why there is no gradient stands in the place of the gradient.
    """
    words = {"config.yaml": "settings", "metrics.csv": "metrics"}
    faults = damaged_files(run)
    texts = [f"without its {words[name]}: {faults[name]}" for name in words if name in faults]
    if not has_checksum(run.dir.run):
        texts.append(f"not verified: {NO_CHECKSUM}")
    return [Text(printable(text, unicode)) for text in texts]


def _gradients(run: Run, width: int, unicode: bool) -> list[RenderableType]:
    """Strips and verdicts of the top layer, at the first and the last finite update that were recorded."""
    try:
        updates = run.updates()
    except RnnlabError as error:
        return [Text(printable(str(error), unicode))]
    # The update that a run diverges at has no finite curve; the one before it shows the explosion.
    shown = list(dict.fromkeys([updates[0], run.last_finite_update()]))
    return [_strips(run, shown, width, unicode), _verdicts(run, shown, unicode)]


def _measured(run: Run, unicode: bool) -> list[RenderableType]:
    table = probe_lines(run, unicode)
    return [] if table is None else [table]


def _strips(run: Run, shown: list[int], width: int, unicode: bool) -> RenderableType:
    curves = {update: run.own_curve(update) for update in shown}
    limits = span(*(curve["log10_norm"] for curve in curves.values()))
    beside = len(shown) > 1 and width >= _TWO_PANELS
    panel = (width - 2) // 2 if beside else width
    drawn = [
        Text(
            f"log10 |dL/dh_t| of layer {curve['layer'].iloc[0]} at update {update}\n"
            + strip(curve["lag"], curve["log10_norm"], panel, _STRIP_HEIGHT, unicode=unicode, limits=limits),
            no_wrap=True,
            overflow="crop",
        )
        for update, curve in curves.items()
    ]
    if not beside:
        return Group(*drawn)
    grid = Table.grid(padding=(0, 2, 0, 0))
    grid.add_row(*drawn)
    return grid


def _verdicts(run: Run, shown: list[int], unicode: bool) -> Table:
    table = _grid(2)
    for state in (state for state in run.states() if state not in ("a", "a_clipped")):
        # A disk that is full may take one state's rows of the last update and not the other's.
        for update in sorted({*shown} & {*run.updates(state=state)}):
            verdict = run.verdict(update, state=state)
            table.add_row(f"{state}, update {update}", _verdict_text(verdict, unicode))
            for note in rounding_notes(run, verdict, update):
                table.add_row("", Text(f"Note: {note}." if unicode else f"Note: {note}.".translate(_TO_ASCII)))
    return table


def _grid(columns: int) -> Table:
    # Folded, because not every encoding has the ellipsis that rich would add.
    return Table(
        *[Column(overflow="fold") for _ in range(columns)],
        box=None,
        show_header=False,
        padding=(0, 3, 0, 0),
        pad_edge=False,
    )


def _verdict_text(verdict: Verdict, unicode: bool) -> Text:
    text = Text(verdict.text if unicode else verdict.text.translate(_TO_ASCII))
    if verdict.word != "none":
        text.stylize(COLOURS[verdict.word], 0, len(verdict.word))
    return text


def _files(run: Run, unicode: bool) -> Text:
    names = [path.name for path in run.dir.files if path.exists()]
    return Text(f"{printable(str(run.path), unicode)}/ holds {', '.join(names)}")
