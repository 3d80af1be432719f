"""One class and one line: a made-up part of each kind is trained, resumed, swept, listed, planned, shown and reported.

The parts are in outside_parts.py; the line is its insertion into a table.
"""

from __future__ import annotations

import copy
import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from commands import Call
from jsonschema import Draft202012Validator
from outside_parts import OUTSIDE

import rnnlab
from rnnlab.catalog import KINDS, table_of, tables
from rnnlab.config import json_schema, known_keys, load_config
from rnnlab.errors import ConfigError, UsageError
from rnnlab.report.findings import Findings
from rnnlab.report.page.payload import payload
from rnnlab.runs.columns import METRICS
from rnnlab.runs.run import Run
from rnnlab.sweeps.engines import engine_of
from rnnlab.sweeps.file import load_sweep, sweep_schema
from rnnlab.training.checkpoints import read_checkpoint
from rnnlab.training.fleet import Fleet
from rnnlab.training.loop import train
from rnnlab.training.plan import plan

CONFIG: dict[str, Any] = {
    "task": {"name": "parity", "bits": 6},
    "model": {"cell": "leaky", "hidden": 4, "layers": 2, "init": {"recurrent": {"name": "striped", "height": 0.2}}},
    "clip": {"name": "softly", "threshold": 0.5, "power": 2},
    "penalty": {"name": "ridge", "strength": 0.2, "every": 2},
    "optimizer": {"name": "rprop", "growth": 1.1},
    "train": {"updates": 12, "batch": 4, "evaluate_every": 5, "evaluate_size": 8, "log_every": 3},
    "probe": {
        "which": ["adjoint", "spectrum", "saturation", "weights", "sparsity"],
        "schedule": {"name": "squares", "origin": 1},
    },
}
SWEEP: dict[str, Any] = {
    "base": CONFIG,
    "axes": {
        "grid": {
            "clip.power": [1, 3],
            "model.init.recurrent.height": [0.1, 0.3],
            "task.bits": [4, 5],
            "probe.schedule.origin": [0, 2],
            "optimizer.growth": [1.1, 1.3],
        }
    },
}
BEFORE = json_schema(), sweep_schema(), dict(known_keys()), {kind: dict(parts) for kind, parts in tables().items()}


def now() -> Any:
    return json_schema(), sweep_schema(), dict(known_keys()), {kind: dict(parts) for kind, parts in tables().items()}


@pytest.fixture(scope="module")
def outside() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        for kind, part in OUTSIDE.items():
            patch.setitem(table_of(kind), part.key(), part)
        yield
    assert now() == BEFORE, "other tests would see it"


@pytest.fixture(scope="module")
def run(outside: None, tmp_path_factory: pytest.TempPathFactory) -> Run:
    return train(load_config({**CONFIG, "name": "whole"}), out=tmp_path_factory.mktemp("runs"))


def test_there_is_one_of_each_kind(outside: None) -> None:
    assert set(OUTSIDE) == set(KINDS)


def test_it_trains_and_writes_what_it_was_asked_for(run: Run) -> None:
    assert (run.status, run.info["scan"]) == ("completed", "general")
    assert load_config(run.path / "config.yaml") == load_config({**CONFIG, "name": "whole"})
    due = {1, 2, 5, 10}
    assert set(run.gradients["update"]) == due
    metrics = run.metrics.set_index("update")
    assert [*metrics.columns] == [*(column.name for column in METRICS[1:]), "penalty", "sparsity"]
    assert set(metrics.index[metrics["sparsity"].notna()]) == due
    assert {*metrics.index[metrics["penalty"].notna()]} == {update for update in metrics.index if update % 2 == 0}
    # softsign is no nonlinearity that `saturation` has a rule for.
    assert metrics["saturation"].isna().all()
    assert run.info["result"]["clip_rate"] == 1


def test_before_the_first_update_half_of_striped_is_zero(outside: None, tmp_path: Path) -> None:
    run = train(load_config(CONFIG, ["probe.schedule=[0]", "train.updates=1"]), out=tmp_path)
    assert run.metrics["sparsity"][0] == 0.5
    weights = rnnlab.train(CONFIG, sets=["train.updates=2", "optimizer.lr=1e-30", "name=still"], out=tmp_path)
    drawn = read_checkpoint(weights.dir.checkpoint)["parameters"]["layer0.W_hh"].numpy()
    np.testing.assert_allclose(drawn, np.repeat([[0.2], [0.0], [0.2], [0.0]], 4, 1), atol=1e-5)


def test_the_plan_is_what_comes(run: Run) -> None:
    planned = plan(load_config(CONFIG))
    assert planned.gradient_rows == len(run.gradients) == 4 * (6 * 2 + 2)
    assert planned.metrics_rows == len(run.metrics)


def test_an_interrupted_run_goes_on_to_the_same_end(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config, count, apply = load_config({**CONFIG, "name": "whole"}), [0], Fleet.apply_gradients

    def interrupted(fleet: Fleet, taken: Any) -> None:
        count[0] += 1
        if count[0] == 7:
            signal.raise_signal(signal.SIGINT)
        apply(fleet, taken)

    with monkeypatch.context() as patch:
        patch.setattr(Fleet, "apply_gradients", interrupted)
        with pytest.raises(KeyboardInterrupt):
            train(config, out=tmp_path)
    assert count[0] == 7
    resumed = train(config, out=tmp_path, resume=True)
    assert (resumed.path / "gradients.csv").read_bytes() == (run.path / "gradients.csv").read_bytes()
    assert resumed.metrics.drop(columns="seconds").equals(run.metrics.drop(columns="seconds"))


def test_a_sweep_over_their_options_trains(outside: None, tmp_path: Path, rnn: Call) -> None:
    members = load_sweep(SWEEP).members
    assert len({member.identity for member in members}) == len({member.name for member in members}) == 32
    assert {name.split("-T")[0] for name in (member.name for member in members)} == {
        "leaky-softly0.5-1",
        "leaky-softly0.5-3",
    }
    small = copy.deepcopy(SWEEP)
    small["axes"]["grid"] = {"clip": ["none", "softly", {"name": "softly", "power": 3}], "model.cell": ["leaky", "rnn"]}
    (tmp_path / "sweep.yaml").write_text(json.dumps(small))
    result = rnn("sweep", "-c", "sweep.yaml", "--dry-run")
    assert (result.code, result.err) == (0, "")
    assert "leaky-softly1-3-T6-s0" in result.out
    result = rnn("sweep", "-c", "sweep.yaml", "--engine", "backwards", "--json")
    assert (result.code, json.loads(result.out)["completed"]) == (0, 6)
    # Clips of any classes train in one fleet, as each would alone.
    alone = train(load_config(load_sweep(small).members[0].config), out=tmp_path / "alone")
    together = Run(tmp_path / "runs" / alone.name)
    assert (alone.path / "gradients.csv").read_bytes() == (together.path / "gradients.csv").read_bytes()


def test_it_is_listed(outside: None, rnn: Call) -> None:
    listed = json.loads(rnn("list", "--json").out)
    for kind, part in OUTSIDE.items():
        name = part.key()
        assert name in [one["name"] for one in listed[kind]]
        assert f"  {name}: " in rnn("list", kind).out
    assert "|backwards" in rnn("sweep", "--help").out


def test_it_is_planned_shown_and_reported(run: Run, rnn: Call) -> None:
    folder = str(run.path.parent)
    dry = rnn("train", "--config", str(run.path / "config.yaml"), "--dry-run")
    assert dry.code == 0
    assert all(
        text in dry.out for text in ("parity", "leaky", "striped", "softly", "ridge", "rprop", "squares", "sparsity")
    )
    for command in (
        ["ls", folder, "--where", "clip=softly"],
        ["show", str(run.path)],
        ["report", folder, "--by", "model.cell"],
    ):
        result = rnn(*command)
        assert (result.code, result.err) == (0, ""), result.err
        assert "leaky" in result.out or "whole" in result.out
    assert rnn("report", folder, "--quiet", "--html", "page.html", "--csv", "groups.csv").code == 0
    assert "100.0% of entries" in " ".join(rnn("show", str(run.path)).out.split())


def test_what_it_wrote_is_read_where_nobody_knows_it(
    run: Run,
    rnn: Call,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for kind, part in OUTSIDE.items():
        monkeypatch.delitem(table_of(kind), part.key())
    with pytest.raises(ConfigError, match="'parity' is not known"):
        load_config(run.path / "config.yaml")
    run_on_disk = Run(run.path)
    assert run_on_disk.metrics.equals(run.metrics)
    assert run_on_disk.gradients.equals(run.gradients)
    result = rnn("show", str(run.path))
    assert (result.code, result.err) == (0, "")


def test_the_schemas_have_it(outside: None) -> None:
    for schema, given in ((json_schema(), CONFIG), (sweep_schema(), SWEEP)):
        Draft202012Validator.check_schema(schema)
        assert Draft202012Validator(schema).is_valid(given)
    assert not Draft202012Validator(BEFORE[0]).is_valid(CONFIG)
    assert "clip.power" in known_keys()


@pytest.mark.parametrize(
    ("key", "typo", "meant"),
    [
        ("task.name", "parety", "parity"),
        ("model.cell", "leeky", "leaky"),
        ("model.init.recurrent.name", "stripped", "striped"),
        ("clip.name", "softy", "softly"),
        ("penalty.name", "rigde", "ridge"),
        ("optimizer.name", "rpropp", "rprop"),
        ("probe.schedule.name", "sqares", "squares"),
        ("probe.which", "sparsety", "sparsity"),
        ("model.nonlinearity", "softsine", "softsign"),
        ("clip.powr", "3", "power"),
    ],
)
def test_a_typo_of_its_name_is_answered(key: str, typo: str, meant: str, outside: None) -> None:
    with pytest.raises(ConfigError, match=f"did you mean '{meant}'"):
        load_config(CONFIG, [f"{key}={typo}"])


def test_a_typo_of_an_engine_is_answered(outside: None) -> None:
    with pytest.raises(UsageError, match="did you mean 'backwards'"):
        engine_of("backward")


def test_its_options_are_checked(outside: None) -> None:
    with pytest.raises(ConfigError, match=r"clip.power: must be 1 or more, not 0"):
        load_config(CONFIG, ["clip.power=0"])
    with pytest.raises(ConfigError, match=r"'striped' cannot draw bias; it is for recurrent"):
        load_config(CONFIG, ["model.init.bias=striped"])
    with pytest.raises(ConfigError, match="rnn has no softsign; it has tanh, relu, sigmoid, linear"):
        load_config(CONFIG, ["model.cell=rnn", "model.nonlinearity=softsign"])
    with pytest.raises(ConfigError, match="measures nothing: updates are counted from 0"):
        load_config(CONFIG, ["probe.schedule.origin=12"])
    with pytest.raises(ConfigError, match="parity draws sequences without end"):
        load_config({**CONFIG, "train": {"epochs": 2}})


def test_a_config_without_it_is_what_it_was(outside: None) -> None:
    """The probes that are measured by default among them: a part that is installed changes no other run's identity."""
    config = load_config({"task": "addition"})
    with pytest.MonkeyPatch.context() as patch:
        for kind, part in OUTSIDE.items():
            patch.delitem(table_of(kind), part.key())
        assert load_config({"task": "addition"}).identity() == config.identity()
        assert now() == BEFORE


def test_a_probe_that_is_there_before_anything_else_changes_no_file_and_no_identity() -> None:
    """In a process that adds it before the config and the columns are imported."""
    code = """
from typing import Literal
from rnnlab.column import Column
from rnnlab.probes import PROBES, Probe

class Mine(Probe):
    "A probe."
    columns = (Column("mine", "number", "1", "", "what is mine"),)
    name: Literal["mine"] = "mine"

PROBES["mine"] = Mine
from rnnlab.config import load_config
from rnnlab.runs.columns import METRICS
print(load_config({"task": "addition"}).identity(), *(column.name for column in METRICS))
"""
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
    )
    names = (column.name for column in METRICS)
    assert done.stdout.split() == [load_config({"task": "addition"}).identity(), *names]


def test_the_page_has_the_metrics_of_a_run_with_an_outside_probe(run: Run) -> None:
    data, _ = payload(Findings(rnnlab.load_runs(run.path.parent).group_by()))
    assert "norms" in data["runs"][0]
