"""`rnnlab probe`: what it measures is what a training would write, nothing is written, and mistakes are answered."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from commands import Call
from trainings import config

from rnnlab.config import Config
from rnnlab.probes import PROBES, Theory
from rnnlab.training.loop import train


def small_config(updates: int = 20, **changes: Any) -> Config:
    return config(model={"hidden": 4}, train={"batch": 3, "scan": "general", "updates": updates}, **changes)


@pytest.fixture
def small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "small.yaml").write_text(small_config().to_yaml())
    return tmp_path


def test_a_config_is_measured_as_the_first_update_of_a_training_measures_it(small: Path, rnn: Call) -> None:
    result = rnn("probe", "-c", "small.yaml", "--json")
    assert (result.code, result.err) == (0, "")
    assert [path.name for path in small.iterdir()] == ["small.yaml"]
    (draw,) = json.loads(result.out)
    assert draw["seed"] == draw["update"] == 0
    run = train(small_config(1, probe={"which": list(PROBES), "schedule": [0]}), out=small)
    for name, figures in draw["figures"].items():
        assert figures == {key: _as_json(run.metrics[key].iloc[0]) for key in figures}, name
    for name in set(draw["tables"]) - {"adjoint"}:
        rows = run.table(name, update=0)
        for part in draw["tables"][name]:
            own = rows[(rows["layer"] == part["layer"]) & (rows["part"] == part["part"])].set_index("at")
            for quantity in set(part) - {"layer", "part", "at"}:
                assert part[quantity] == [_as_json(value) for value in own[quantity].loc[part["at"]]]
    (curve,) = [part for part in draw["tables"]["adjoint"] if part["part"] == "h"]
    np.testing.assert_allclose(curve["log10_norm"], run.gradients.query("state == 'h'")["log10_norm"], atol=1e-8)


def _as_json(value: float) -> float | str:
    return float(value) if np.isfinite(value) else str(float(value))


def test_draws_are_seeds_and_each_is_that_seed_alone(small: Path, rnn: Call) -> None:
    together = rows_of(rnn("probe", "-c", "small.yaml", "--seed", "5", "--draws", "3", "--csv", "-").out)
    alone = rows_of(rnn("probe", "-c", "small.yaml", "--seed", "6", "--csv", "-").out)
    assert {row["seed"] for row in together} == {"5", "6", "7"}
    same = [row for row in together if row["seed"] == "6"]
    assert [row["quantity"] for row in same] == [row["quantity"] for row in alone]
    values, expected = ([float(row["value"]) for row in rows] for rows in (same, alone))
    np.testing.assert_allclose(values, expected, rtol=1e-5, atol=1e-5)


def rows_of(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


def test_a_run_is_measured_as_its_checkpoint_has_it(small: Path, rnn: Call) -> None:
    train(small_config(4, probe={"which": []}, name="short"), out=small / "runs")
    longer = {"probe": {"which": list(PROBES), "schedule": [4]}, "name": "longer"}
    run = train(small_config(5, **longer), out=small / "runs")
    (draw,) = json.loads(rnn("probe", "--run", "short", "--which", "jacobian,lyapunov,spectrum", "--json").out)
    assert draw["update"] == 4
    row = run.metrics[run.metrics["update"] == 4].iloc[0]
    assert draw["figures"]["lyapunov"] == {key: row[key] for key in draw["figures"]["lyapunov"]}
    assert draw["tables"]["jacobian"][0]["log10_sigma_min"] == run.table("jacobian")["log10_sigma_min"].tolist()


def test_a_run_is_measured_on_longer_sequences(small: Path, rnn: Call) -> None:
    train(small_config(2, name="short"), out=small / "runs")
    (draw,) = json.loads(rnn("probe", "--run", "short", "--set", "task.length=40", "--which", "jacobian", "--json").out)
    assert draw["tables"]["jacobian"][0]["at"][-1] == 39


def test_the_terminal_shows_each_probe_with_its_figures(small: Path, rnn: Call) -> None:
    result = rnn("probe", "-c", "small.yaml", "--draws", "2")
    assert result.code == 0
    for part in PROBES.values():
        if part is Theory:  # which knows nothing of an lstm
            assert "theory" not in result.out
        elif not part.needs_update:
            assert f"\n{part.key()}\n" in f"\n{result.out}"
            assert all(column.name in result.out for column in part.columns)
    assert "2 draws, seed 0 on" in result.out


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ([], "give either --config FILE or --run RUN"),
        (["-c", "small.yaml", "--run", "x"], "give either --config FILE or --run RUN"),
        (["-c", "small.yaml", "--json", "--csv", "-"], "one thing at a time can go to stdout"),
        (["-c", "small.yaml", "--csv", ""], "--csv is empty"),
        (["-c", "small.yaml", "--which", "weights"], "weights measures what an update changes"),
        (["-c", "small.yaml", "--which", ","], "--which is empty; choose from adjoint, "),
        (["-c", "small.yaml", "--which", "jacobain"], "did you mean 'jacobian'?"),
        (["--run", "short", "--draws", "2"], "--draws is for --config: a run has one network"),
        (["--run", "short", "--set", "model.hidden=5"], "model: a run is measured with its own"),
        (["--run", "short", "--set", "task=copy"], "task: the run's network reads addition"),
        (["-c", "small.yaml", "--csv", "missing/x.csv"], "there is no folder missing"),
    ],
)
def test_mistakes_are_answered(options: list[str], message: str, small: Path, rnn: Call) -> None:
    if "short" in options:
        train(small_config(1, name="short"), out=small / "runs")
    result = rnn("probe", *options)
    assert result.code == 2
    assert message in result.err
    assert result.out == ""


def test_what_is_one_number_a_gate_has_a_column_for_each_quantity(rnn: Call, small: Path) -> None:
    lines = rnn("probe", "-c", "small.yaml", "--which", "recurrent").out.splitlines()
    (heading,) = (number for number, line in enumerate(lines) if line.split()[:2] == ["radius", "sigma_max"])
    assert [line.split()[:3] for line in lines[heading + 1 : heading + 5]] == [["layer", "0", gate] for gate in "ifgo"]


def test_a_probe_of_timesteps_and_of_parameters_has_a_table_for_each(rnn: Call, small: Path) -> None:
    lines = [line.split() for line in rnn("probe", "-c", "small.yaml", "--which", "directions").out.splitlines()]
    by_parameter = lines.index(["log10_gradient", "noise_scale", "cosine_halves"])
    assert ["layer", "0", "h", "batch_share"] in [line[:4] for line in lines[:by_parameter]]
    assert [line[2] for line in lines[by_parameter + 1 : by_parameter + 4]] == ["W_ih", "W_hh", "b"]
