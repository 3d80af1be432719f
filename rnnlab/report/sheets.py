"""A report as tables for other programs: CSV, Markdown, LaTeX and JSON."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from rnnlab.group import MeasuredGroup
from rnnlab.groups import Groups
from rnnlab.report.findings import Findings, numbers, value_text

_OF_A_RUN = ("update", "rate", "horizon", "effective_lag", "error", "clip_rate")
_LATEX = {
    "\\": r"\textbackslash{}",
    "^": r"\textasciicircum{}",
    "~": r"\textasciitilde{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    **{sign: f"\\{sign}" for sign in "&%$#_{}"},
}


def as_csv(found: Findings) -> str:
    """A row a group, every figure as a number; a text that a spreadsheet would run is quoted with an apostrophe."""
    frame = found.frame()
    for name in frame.columns:
        frame[name] = frame[name].map(harmless, na_action="ignore")
    text: str = frame.to_csv(index=False, lineterminator="\n")
    return text


def harmless(value: Any) -> Any:
    """The value; with an apostrophe before it where it is a text that a spreadsheet would take for a formula."""
    return f"'{value}" if isinstance(value, str) and value[:1] in ("=", "+", "-", "@", "\t", "\r") else value


def as_markdown(found: Findings) -> str:
    """A table a comparison, and the notes."""
    return "\n".join(_markdown(found))


def _markdown(found: Findings) -> Iterator[str]:
    for fixed, titles, rows in _tables(found):
        if fixed:
            yield f"**{_in_markdown(fixed)}**\n"
        yield _row(titles)
        # Keys to the left, figures to the right.
        yield _row(["---" if title in found.key_names.values() else "---:" for title in titles])
        yield from (_row(map(_in_markdown, row)) for row in rows)
        yield ""
    yield _in_markdown(f"Read {found.at_what()}; rates in decades per 100 timesteps.")
    yield ""
    yield from (f"- {_in_markdown(note)}" for note in found.notes())
    yield ""


def _row(cells: Any) -> str:
    return f"| {' | '.join(cells)} |"


def _in_markdown(text: str) -> str:
    return re.sub(r"([\\`*_|<>\[\]~])", r"\\\1", " ".join(text.split()))


def as_latex(found: Findings) -> str:
    """A tabular (booktabs) a comparison; the notes stand above it as comments."""
    return "\n".join(_latex(found))


def _latex(found: Findings) -> Iterator[str]:
    yield r"% \usepackage{booktabs}"
    yield f"% {_one_line(found.at_what())}; rates in decades per 100 timesteps"
    yield from (f"% {_one_line(note)}" for note in found.notes())
    for fixed, titles, rows in _tables(found):
        keys = len(found.groups.by)
        yield f"% {_one_line(fixed)}" if fixed else "%"
        yield rf"\begin{{tabular}}{{{'l' * keys}{'r' * (len(titles) - keys)}}}"
        yield r"\toprule"
        yield " & ".join(map(_in_latex, titles)) + r" \\"
        yield r"\midrule"
        yield from (" & ".join(map(_figure_in_latex, row)) + r" \\" for row in rows)
        yield r"\bottomrule"
        yield r"\end{tabular}"
    yield ""


def _one_line(text: str) -> str:
    return " ".join(text.split())


def _in_latex(text: str) -> str:
    return "".join(_LATEX.get(sign, sign) for sign in _one_line(text))


def _figure_in_latex(text: str) -> str:
    """Signed figures in mathematics, where a minus is a minus."""
    signed = r"[+-]\d[\d.]*"
    if re.fullmatch(rf"{signed}(,? {signed})*", text):
        return re.sub(signed, lambda match: f"${match[0]}$", text.replace(" ", "~"))
    return _in_latex(text)


def _tables(found: Findings) -> Iterator[tuple[str, list[str], list[list[str]]]]:
    """Of each comparison: what is the same in all of it, the titles, and the cells."""
    names, headings = found.key_names, found.headings()
    titles = [*(names[key] for key in found.groups.by), *(heading.name for heading in headings)]
    for fixed, groups in found.comparisons:
        rows = [
            [*(value_text(group.values[key]) for key in found.groups.by), *(one.cell(group) for one in headings)]
            for group in groups
        ]
        yield ", ".join(f"{key} = {value_text(value)}" for key, value in fixed.items()), titles, rows


def as_json(found: Findings) -> str:
    """Everything: groups, their runs, pairs and notes. A number that is not finite is a text, as in run.json."""
    groups = found.groups
    about = {
        "by": groups.by,
        "also": groups.also,
        "at": found.measured.at,
        "read": found.at_what(),
        "notes": found.notes(),
    }
    rows = [numbers(group) | {"runs_by_name": [*_runs(groups, group)]} for group in found.measured]
    compared = [
        {
            "key": pair.key,
            "first": pair.first,
            "second": pair.second,
            "rest": dict(pair.rest),
            "seeds": list(pair.found.seeds),
            "difference": pair.found.difference.middle,
            "low": pair.found.difference.low,
            "high": pair.found.difference.high,
            "effect_dz": pair.found.effect,
            "word": pair.found.word,
        }
        for pair in found.pairs
    ]
    whole = about | {"groups": rows, "pairs": compared, "left_out": found.measured.left_out}
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
        return {str(key): strict(one) for key, one in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [strict(one) for one in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None if math.isnan(value) else str(value)
    return value
