"""What a summary says of probes is what they recorded last, also of a probe that says nothing of itself."""

from __future__ import annotations

import math
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any, ClassVar, Literal

import pandas as pd
import pytest
from rich.console import Console

from rnnlab.column import Column
from rnnlab.probes import PROBES, Probe, Series, SummaryLine
from rnnlab.report.terminal.probe_lines import probe_lines


class Outside(Probe):
    """Made up.

    It gives no summary.
    """

    columns: ClassVar[tuple[Column, ...]] = (Column("outer", "number", "nats", "", "made up"),)
    table: ClassVar[tuple[Column, ...]] = (Column("size", "number", "1", "", "made up"),)
    at: ClassVar[str] = "lag"
    name: Literal["outside"] = "outside"


@pytest.fixture
def outside() -> Iterator[None]:
    PROBES["outside"] = Outside
    yield
    del PROBES["outside"]


def shown(which: list[str], metrics: dict[str, Any], rows: list[tuple[Any, ...]]) -> str:
    names = ["update", "probe", "layer", "part", "at", "quantity", "value"]
    run: Any = SimpleNamespace(
        settings={"probe.which": which},
        metrics=pd.DataFrame(metrics),
        tables=pd.DataFrame(rows, columns=names),
        dir=SimpleNamespace(tables=SimpleNamespace(exists=lambda: True)),
    )
    console = Console(width=80)
    with console.capture() as captured:
        console.print(probe_lines(run))
    return " ".join(captured.get().split())


def test_a_line_is_of_the_last_measured_update_in_the_order_of_places() -> None:
    rows = [
        (update, "jacobian", 0, "", lag, "log10_sigma_max", value)
        for update, lag, value in [(0, 1, -1.0), (0, 9, -9.0), (5, 9, -20.0), (5, 1, -2.0)]
    ]
    text = shown(["jacobian"], {"update": [0, 5, 6]}, rows)
    assert text == "jacobian, update 5 largest singular value 10^-2 at lag 1, 10^-20 at lag 9"


@pytest.mark.usefixtures("outside")
def test_a_probe_without_a_summary_has_its_columns_and_quantities() -> None:
    rows = [(3, "outside", layer, "W", lag, "size", layer + lag) for layer in (0, 1) for lag in (1, 9)]
    text = shown(["outside"], {"update": [0, 3], "outer": [math.nan, 0.25]}, rows)
    assert text == (
        "outside, update 3 outer 0.25 nats size, layer 0 W 1 at lag 1, 9 at lag 9 "
        "size, layer 1 W 2 at lag 1, 10 at lag 9"
    )


def test_a_probe_that_is_not_known_here_is_left_out() -> None:
    assert shown(["nobodys"], {"update": [0]}, []) == "None"


def test_a_value_stands_at_its_own_place_also_where_it_is_nan() -> None:
    line = SummaryLine("x", "{x.first:.0f} at {at.first:.0f}, mean {x.mean:.0f}")
    assert line.filled({"x": Series([math.nan, 4.0]), "at": Series([1, 2])}) == "nan at 1, mean 4"
    assert line.filled({"x": Series([math.nan]), "at": Series([1])}) is None


@pytest.mark.parametrize("name", PROBES)
def test_a_line_names_only_what_its_probe_measures(name: str) -> None:
    probe = PROBES[name]
    known = {"at", *(column.name for column in (*probe.columns, *probe.table))}
    for line in probe.summary_lines():
        assert line.fields
        assert line.fields <= known
