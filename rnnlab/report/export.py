"""A report as tables for other programs: CSV, Markdown, LaTeX and JSON."""

from __future__ import annotations

import importlib.util
import json
import math
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from rnnlab.compare.group import MeasuredGroup
from rnnlab.compare.groups import Groups
from rnnlab.errors import UsageError
from rnnlab.report.findings import Findings, numbers
from rnnlab.report.formatting import format_setting

if TYPE_CHECKING:
    import pandas as pd

_OF_A_RUN = ("update", "rate", "horizon", "effective_lag", "error", "clip_rate")
# The packages that pandas writes these tables with.
_NEEDED = {"markdown": "tabulate", "latex": "jinja2"}
_LATEX = {
    "\\": r"\textbackslash{}",
    "^": r"\textasciicircum{}",
    "~": r"\textasciitilde{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    **{sign: f"\\{sign}" for sign in "&%$#_{}"},
}


def check_ready(kinds: Iterable[str]) -> None:
    """Raise UsageError, naming the cure, where a package that such a table is written with is not installed."""
    for kind in kinds:
        if (package := _NEEDED.get(kind)) and importlib.util.find_spec(package) is None:
            raise UsageError(f"--{kind} is made with {package}: pip install 'rnnlab[report]'")


def as_csv(findings: Findings) -> str:
    """A row a group, every figure as a number; a text that a spreadsheet would run is quoted with an apostrophe."""
    frame = findings.frame()
    for name in frame.columns:
        frame[name] = frame[name].map(harmless, na_action="ignore")
    text: str = frame.to_csv(index=False, lineterminator="\n")
    return text


def harmless(value: Any) -> Any:
    """The value; with an apostrophe before it where it is a text that a spreadsheet would take for a formula."""
    return f"'{value}" if isinstance(value, str) and value[:1] in ("=", "+", "-", "@", "\t", "\r") else value


def as_markdown(findings: Findings) -> str:
    """A table a comparison, and the notes."""
    return "\n".join(_markdown(findings))


def _markdown(findings: Findings) -> Iterator[str]:
    for fixed, titles, rows in _tables(findings):
        if fixed:
            yield f"**{_in_markdown(fixed)}**\n"
        align = ["left"] * len(findings.groups.by) + ["right"] * len(findings.headings())
        # Cells stand as they are: -2.00 is not to become -2.
        yield _frame(titles, rows, _in_markdown).to_markdown(index=False, colalign=align, disable_numparse=True)
        yield ""
    yield _in_markdown(f"Read {findings.update_text()}; rates in decades per 100 timesteps.")
    yield ""
    yield from (f"- {_in_markdown(note)}" for note in findings.notes())
    yield ""


def _in_markdown(text: str) -> str:
    return re.sub(r"([\\`*_|<>\[\]~])", r"\\\1", " ".join(text.split()))


def as_latex(findings: Findings) -> str:
    """A tabular (booktabs) a comparison; the notes stand above it as comments."""
    return "\n".join(_latex(findings))


def _latex(findings: Findings) -> Iterator[str]:
    yield r"% \usepackage{booktabs}"
    yield f"% {_one_line(findings.update_text())}; rates in decades per 100 timesteps"
    yield from (f"% {_one_line(note)}" for note in findings.notes())
    for fixed, titles, rows in _tables(findings):
        yield f"% {_one_line(fixed)}" if fixed else "%"
        columns = "l" * len(findings.groups.by) + "r" * len(findings.headings())
        style = _frame(titles, rows, _in_latex).style.hide(axis="index")
        # Escaped here: its own escape leaves < and >, which LaTeX's first font shows as other signs.
        yield style.to_latex(column_format=columns, hrules=True).rstrip()
    yield ""


def _one_line(text: str) -> str:
    return " ".join(text.split())


def _in_latex(text: str) -> str:
    """The text escaped; signed figures in mathematics, where a minus is a minus."""
    signed = r"[+-]\d[\d.]*"
    if re.fullmatch(rf"{signed}(,? {signed})*", text):
        return re.sub(signed, lambda match: f"${match[0]}$", text.replace(" ", "~"))
    escaped = "".join(_LATEX.get(sign, sign) for sign in _one_line(text))
    # After the end of a row, LaTeX reads these signs as an option of it.
    return f"{{}}{escaped}" if escaped[:1] in ("[", "*") else escaped


def _frame(titles: Sequence[str], rows: Sequence[Sequence[str]], escape: Callable[[str], str]) -> pd.DataFrame:
    """Titles and cells, escaped for the language that they are written in."""
    import pandas as pd

    return pd.DataFrame([[escape(cell) for cell in row] for row in rows], columns=[*map(escape, titles)])


def _tables(findings: Findings) -> Iterator[tuple[str, list[str], list[list[str]]]]:
    """Of each comparison: what is the same in all of it, the titles, and the cells."""
    for fixed, groups in findings.comparisons:
        same = ", ".join(f"{key} = {format_setting(value)}" for key, value in fixed.items())
        yield same, findings.titles(), [findings.cells(group) for group in groups]


def as_json(findings: Findings) -> str:
    """Everything: groups, their runs, pairs and notes. A number that is not finite is a text, as in run.json."""
    groups = findings.groups
    about = {
        "by": groups.by,
        "also": groups.also,
        "at": findings.measured.at,
        "read": findings.update_text(),
        "notes": findings.notes(),
    }
    rows = [numbers(group) | {"runs_by_name": [*_runs(groups, group)]} for group in findings.measured]
    compared = [
        {
            "key": pair.key,
            "first": pair.first,
            "second": pair.second,
            "rest": dict(pair.rest),
            "seeds": list(pair.comparison.seeds),
            "difference": pair.comparison.difference.middle,
            "low": pair.comparison.difference.low,
            "high": pair.comparison.difference.high,
            "effect_dz": pair.comparison.effect,
            "word": pair.comparison.word,
        }
        for pair in findings.pairs
    ]
    whole = about | {"groups": rows, "pairs": compared, "left_out": findings.measured.left_out}
    return json.dumps(strict(whole), indent=2, default=str)


def _runs(groups: Groups, group: MeasuredGroup) -> Iterator[dict[str, Any]]:
    """A group's runs, those that recorded a gradient with what it says."""
    measured = {reading.run.path: reading for reading in group.measured}
    for run in group.runs:
        about: dict[str, Any] = {"name": groups.name_of(run), "path": str(run.path), "status": run.status}
        about |= {"seed": run.settings["seed"], "success": run in group.solved}
        reading = measured.get(run.path)
        figures = {name: getattr(reading, name) for name in _OF_A_RUN} if reading else {}
        yield about | figures | ({"verdict": reading.verdict.word} if reading else {})


def strict(value: Any) -> Any:
    """The value as strict JSON has it: inf, -inf and nan as texts."""
    if isinstance(value, Mapping):
        return {str(key): strict(item) for key, item in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [strict(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None if math.isnan(value) else str(value)
    return value
