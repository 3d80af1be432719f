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
from rnnlab.compare.probe_series import WHOLE
from rnnlab.errors import UsageError
from rnnlab.report.findings import Findings
from rnnlab.report.headings import HEADINGS, numbers
from rnnlab.wording import escaped

if TYPE_CHECKING:
    import pandas as pd

_RUN_FIGURES = ("update", "rate", "horizon", "effective_lag", "error", "clip_rate")
# The packages that pandas needs for these tables.
_PACKAGES = {"markdown": "tabulate", "latex": "jinja2"}
_LATEX = {
    "\\": r"\textbackslash{}",
    "^": r"\textasciicircum{}",
    "~": r"\textasciitilde{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    **{sign: f"\\{sign}" for sign in "&%$#_{}"},
}
# Some spreadsheets take the full-width forms as well.
_FORMULA_SIGNS = "=+-@\uff1d\uff0b\uff0d\uff20"


def check_ready(kinds: Iterable[str]) -> None:
    """Raise UsageError with the command that installs it, where a package for such a table is missing."""
    for kind in kinds:
        if (package := _PACKAGES.get(kind)) and importlib.util.find_spec(package) is None:
            raise UsageError(f"--{kind} is made with {package}: pip install 'rnnlab[report]'")


def as_csv(findings: Findings) -> str:
    """A row a group, every figure as a number; a text that a spreadsheet would run gets an apostrophe before it."""
    frame = findings.frame()
    for name in frame.columns:
        frame[name] = frame[name].map(spreadsheet_cell, na_action="ignore")
    frame.columns = frame.columns.map(spreadsheet_cell)
    text: str = frame.to_csv(index=False, lineterminator="\n")
    return text


def spreadsheet_cell(value: Any) -> Any:
    """The value; a text without characters that a terminal obeys, and with `escape_formula`."""
    return escape_formula(escaped(value)) if isinstance(value, str) else value


def escape_formula(value: Any) -> Any:
    """The value; with an apostrophe before it where it is a text that a spreadsheet takes for a formula."""
    return f"'{value}" if isinstance(value, str) and _is_formula(value) else value


def _is_formula(text: str) -> bool:
    # A spreadsheet skips blanks, and characters without a form.
    first = next((character for character in text if character.isprintable() and not character.isspace()), "")
    return text[:1] in ("\t", "\r") or (first != "" and first in _FORMULA_SIGNS)


def as_markdown(findings: Findings) -> str:
    """A table a comparison, and the notes."""
    return "\n".join(_markdown(findings))


def _markdown(findings: Findings) -> Iterator[str]:
    for fixed, titles, rows in _tables(findings):
        if fixed:
            yield f"**{_escape_markdown(fixed)}**\n"
        align = ["left"] * len(findings.groups.axes) + ["right"] * len(HEADINGS)
        # The cells stay as they are: -2.00 must not become -2.
        yield _frame(titles, rows, _escape_markdown).to_markdown(index=False, colalign=align, disable_numparse=True)
        yield ""
    yield _escape_markdown(f"Read {findings.update_text()}; rates in decades per 100 timesteps.")
    yield ""
    yield from (f"- {_escape_markdown(note)}" for note in findings.notes())
    yield ""


def _escape_markdown(text: str) -> str:
    return re.sub(r"([\\`*_|<>\[\]~])", r"\\\1", _one_line(text))


def as_latex(findings: Findings) -> str:
    """A tabular (booktabs) a comparison, with the notes above it as comments."""
    return "\n".join(_latex(findings))


def _latex(findings: Findings) -> Iterator[str]:
    yield r"% \usepackage{booktabs}"
    yield f"% {_one_line(findings.update_text())}; rates in decades per 100 timesteps"
    yield from (f"% {_one_line(note)}" for note in findings.notes())
    for fixed, titles, rows in _tables(findings):
        yield f"% {_one_line(fixed)}" if fixed else "%"
        columns = "l" * len(findings.groups.axes) + "r" * len(HEADINGS)
        style = _frame(titles, rows, _escape_latex).style.hide(axis="index")
        # Escaped here: pandas leaves < and >, which LaTeX's default font shows as other characters.
        yield style.to_latex(column_format=columns, hrules=True).rstrip()
    yield ""


def _one_line(text: str) -> str:
    return escaped(" ".join(text.split()))


def _escape_latex(text: str) -> str:
    """The text escaped; signed numbers in math mode, for a true minus sign."""
    signed = r"[+-]\d[\d.]*"
    if re.fullmatch(rf"{signed}(,? {signed})*", text):
        return re.sub(signed, lambda match: f"${match[0]}$", text.replace(" ", "~"))
    escaped = "".join(_LATEX.get(sign, sign) for sign in _one_line(text))
    # LaTeX reads these characters after the end of a row as an option of it.
    return f"{{}}{escaped}" if escaped[:1] in ("[", "*") else escaped


def _frame(titles: Sequence[str], rows: Sequence[Sequence[str]], escape: Callable[[str], str]) -> pd.DataFrame:
    """A frame of titles and cells, escaped for the target language."""
    import pandas as pd

    return pd.DataFrame([[escape(cell) for cell in row] for row in rows], columns=[*map(escape, titles)])


def _tables(findings: Findings) -> Iterator[tuple[str, list[str], list[list[str]]]]:
    """For each comparison: the settings that all its groups share, the titles, and the cells."""
    for _, groups in findings.comparisons:
        yield findings.shared_text(groups), findings.titles(), [findings.cells(group) for group in groups]


def as_json(findings: Findings) -> str:
    """Everything: groups, their runs, pairs and notes. Numbers that are not finite are text, as in run.json."""
    groups = findings.groups
    header = {
        "by": groups.by,
        "also": groups.also,
        "at": findings.measured.at,
        "read": findings.update_text(),
        "notes": findings.notes(),
    }
    rows = [
        numbers(group)
        | {"theory": {line.name: line.rate for line in group.theory}}
        | {"probes": _probes(findings, number), "runs_by_name": [*_runs(groups, group)]}
        for number, group in enumerate(findings.measured)
    ]
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
    whole = header | {"groups": rows, "pairs": compared, "left_out": findings.measured.left_out}
    return json.dumps(strict_json(whole), indent=2, default=str)


def _probes(findings: Findings, number: int) -> dict[str, list[dict[str, Any]]]:
    """By probe, what was measured in a group: of each quantity, layer and part the median over runs by place."""
    return {
        section.name: [
            {
                "quantity": one.quantity,
                "layer": None if one.layer == WHOLE else one.layer,
                "part": one.part,
                "update": one.update,
                "at": None if one.layer == WHOLE else one.reading.x.tolist(),
                "runs": one.reading.runs.tolist(),
                **{name: getattr(one.reading, name).tolist() for name in ("median", "low", "high")},
            }
            for one in section.series[number]
        ]
        for section in findings.probes.sections
        if section.series[number]
    }


def _runs(groups: Groups, group: MeasuredGroup) -> Iterator[dict[str, Any]]:
    """A group's runs; those that recorded a gradient with its figures."""
    measured = {reading.run.path: reading for reading in group.measured}
    for run in group.runs:
        row: dict[str, Any] = {"name": groups.name_of(run), "path": str(run.path), "status": run.status}
        row |= {"seed": run.settings["seed"], "success": run in group.solved}
        reading = measured.get(run.path)
        figures = {name: getattr(reading, name) for name in _RUN_FIGURES} if reading else {}
        yield row | figures | ({"verdict": reading.verdict.short} if reading else {})


def strict_json(value: Any) -> Any:
    """The value for strict JSON: inf and -inf as text, nan as null."""
    if isinstance(value, Mapping):
        return {str(key): strict_json(item) for key, item in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [strict_json(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None if math.isnan(value) else str(value)
    return value
