"""The page is one file that asks nobody for anything, lets no name act, and keeps what it thins out in sight."""

from __future__ import annotations

import base64
import hashlib
import html
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fakes import fake_group, fake_run
from hypothesis import given
from hypothesis import strategies as st
from reports import FORMULA, NASTY, findings, unpacked

from rnnlab.errors import UsageError
from rnnlab.report import page as page_module
from rnnlab.report.page import check_ready, page
from rnnlab.report.page.encoding import NOT_FINITE, NOT_RECORDED, UNDERFLOW, ZERO, envelope, evenly, pack_decades
from rnnlab.report.page.run import Size

EVIL = "<img src=x onerror=alert(2)>"
decades = st.lists(st.sampled_from([-np.inf, np.nan, np.inf]) | st.floats(-1e4, 1e4), min_size=1, max_size=60)


@pytest.fixture
def made(tmp_path: Path) -> str:
    fake_group(tmp_path, {0: -10, 1: -12, 2: -14}, model__cell="rnn", notes=FORMULA)
    made, *_ = fake_group(tmp_path, {0: -1, 1: -2, 2: -3}, model__cell="lstm", model__label=NASTY)
    made.path.rename(tmp_path / EVIL)
    return page(findings(tmp_path, "model.cell"))


def test_every_script_is_allowed_by_its_hash_and_no_other(made: str) -> None:
    scripts = re.findall(r"<script>(.*?)</script>", made, re.DOTALL)
    digests = [base64.b64encode(hashlib.sha256(one.encode()).digest()).decode() for one in scripts]
    (policy,) = re.findall(r'http-equiv="Content-Security-Policy" content="([^"]*)"', made)
    policy = html.unescape(policy)
    assert policy.startswith("default-src 'none'; script-src ")
    assert re.findall(r"'sha256-([^']+)'", policy) == digests
    assert "unsafe-eval" not in policy
    assert re.search(r"script-src[^;]*unsafe", policy) is None
    assert re.search(r'<[^>]*\son\w+="', re.sub(r"<script>.*?</script>", "", made, flags=re.DOTALL)) is None


def test_no_name_is_html(made: str) -> None:
    outside = re.sub(r"<script>.*?</script>", "", made, flags=re.DOTALL)
    assert "alert(1)" in outside
    assert NASTY not in outside
    assert EVIL not in outside
    data = data_of(made)
    assert any(NASTY in value for run in data["runs"] for _, value in run["facts"])
    assert EVIL in {run["name"] for run in data["runs"]}
    assert any(FORMULA in value for run in data["runs"] for _, value in run["facts"])


def data_of(made: str) -> dict[str, Any]:
    (block,) = re.findall(r'<script type="application/json" id="data">(.*?)</script>', made, re.DOTALL)
    data: dict[str, Any] = json.loads(block)
    return data


def test_the_page_has_what_the_runs_have(made: str) -> None:
    data = data_of(made)
    assert data["positions"] == [0, 10]
    assert [group["rate"]["middle"] for group in data["groups"]] == pytest.approx([-2, -12])
    assert [group["success"]["k"] for group in data["groups"]] == [3, 3]
    for number, group in enumerate(data["groups"]):
        assert [data["runs"][at]["group"] for at in group["runs"]] == [number] * 3
        assert [data["runs"][at]["seed"] for at in group["runs"]] == [0, 1, 2]
        # Behind the last position stands each run's last reading.
        assert len(group["curves"]) == 3
    middle = unpacked(data["groups"][1]["curves"][2]["values"])[0]
    assert middle == pytest.approx(-0.12 * np.arange(40), abs=1e-3)
    heat = unpacked(data["runs"][-1]["heat"]["values"])
    assert heat == pytest.approx(np.tile(-0.14 * np.arange(40), (2, 1)), abs=1e-3)
    total, direct, low, high = unpacked(data["runs"][-1]["detail"][0]["values"])[:4]
    assert total - low == pytest.approx(np.ones(40), abs=1e-3)
    assert high - total == pytest.approx(np.ones(40), abs=1e-3)
    assert np.isfinite(direct).sum() == 1
    cells = [run["detail"][0]["values"]["shape"][0] for run in data["runs"]]
    assert cells == [5, 5, 5, 4, 4, 4]
    commands = [dict(run["facts"])["repeat"] for run in data["runs"]]
    assert all(command.startswith("rnnlab train --config ") for command in commands)


@pytest.mark.parametrize(
    ("states", "drawn"),
    [
        (("h",), []),
        (("h", "c"), ["c"]),
        (("h", "z"), ["z"]),
        (("h", "u", "v"), ["u", "v"]),
        (("h", "c", "a", "a_clipped", "h_unclipped", "c_unclipped"), ["c"]),
    ],
    ids=["rnn", "lstm", "cornn", "three", "adjoint clip"],
)
def test_the_states_besides_h_are_those_that_the_cell_has(
    states: tuple[str, ...], drawn: list[str], tmp_path: Path
) -> None:
    fake_run(tmp_path, states=states, timesteps=30)
    (run,) = data_of(page(findings(tmp_path)))["runs"]
    for detail, decades in zip(run["detail"], (-0.1, -0.05), strict=True):
        assert detail["states"] == drawn
        rows = unpacked(detail["values"])
        assert len(rows) == 4 + len(drawn)
        for row in rows[4:]:
            assert row == pytest.approx(decades * np.array(detail["lags"]), abs=1e-3)


@given(decades)
def test_packing_keeps_sentinels_and_numbers(given_values: list[float]) -> None:
    x = np.array(given_values)
    restored = unpacked(pack_decades(x))
    finite = x[np.isfinite(x)]
    assert np.array_equal(np.isfinite(restored), np.isfinite(x))
    assert np.array_equal(restored[~np.isfinite(x)], x[~np.isfinite(x)], equal_nan=True)
    if finite.size:
        assert np.abs(restored[np.isfinite(x)] - finite).max() <= np.ptp(finite) / 64000 + 1e-9


def test_the_script_reads_the_same_codes() -> None:
    script = (Path(page_module.__file__).parent / "unpack.js").read_text()
    codes = dict(re.findall(r"(\w+) = (-?\d+)", script.split("\nconst SENTINELS")[0]))
    ours = {
        "NOT_RECORDED": NOT_RECORDED,
        "ZERO": ZERO,
        "UNDERFLOW": UNDERFLOW,
        "NOT_FINITE": NOT_FINITE,
        "REACH": 32000,
    }
    assert {name: int(value) for name, value in codes.items()} == ours


@given(decades, st.integers(4, 30))
def test_the_envelope_loses_no_extreme(given_values: list[float], most: int) -> None:
    y = np.array(given_values)
    kept = envelope(y, most)
    assert len(kept) <= max(most, 4)
    assert (kept[0], kept[-1]) == (0, len(y) - 1)
    assert (np.diff(kept) > 0).all()
    if np.isfinite(y).any():
        assert y[kept][np.isfinite(y[kept])].max() == y[np.isfinite(y)].max()
        assert y[kept][np.isfinite(y[kept])].min() == y[np.isfinite(y)].min()


@given(st.integers(1, 5000), st.integers(2, 100))
def test_even_places_have_both_ends(count: int, most: int) -> None:
    places = evenly(count, most)
    assert len(places) == min(count, most)
    assert (places[0], places[-1]) == (0, count - 1)


@pytest.mark.parametrize("runs", [1, 20, 500, 5_000, 20_000])
def test_data_fit_whatever_the_number_of_runs(runs: int) -> None:
    size = Size.of(runs, runs // 3 + 1)
    heats = sum(size.has_heat(number) for number in range(runs))
    assert heats >= 1
    assert heats * (size.updates + 1) * size.lags * 2 * 4 / 3 < 6e6
    if runs <= 500:
        assert heats == runs
        assert runs * size.details * size.detail_lags * 5 * 2 * 4 / 3 < 6e6
    notes = " ".join(size.notes())
    assert "smallest and the largest value" in notes
    assert ("this page has heat maps of" in notes) == (heats < runs)


def test_a_missing_package_is_named_with_the_cure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(page_module, "_PACKAGES", ("jinja2", "no_such_package"))
    with pytest.raises(UsageError, match=r"made with no_such_package: pip install 'rnnlab\[report\]'"):
        check_ready()


def test_a_page_of_runs_that_recorded_nothing(tmp_path: Path) -> None:
    for run in fake_group(tmp_path, {0: -1, 1: -1}):
        for path in (run.dir.gradients, run.dir.metrics):
            path.write_text(path.read_text().splitlines(keepends=True)[0])
    data = data_of(page(findings(tmp_path)))
    assert data["positions"] == []
    assert all("recorded no gradient" in run["reason"] for run in data["runs"])
