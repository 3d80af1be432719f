"""Readings where they are easily wrong: through a whole run, on many threads, confident, clipped, or in part broken."""

from __future__ import annotations

import multiprocessing
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from oracles import F64, make_batch, make_network
from scans import LAST, both_scans, cells_and_scans, run
from trainings import EXPLODING, config, weights

from rnnlab.cells import CELLS
from rnnlab.gradients.passes import Sequences
from rnnlab.gradients.readings import curves
from rnnlab.network.network import Network
from rnnlab.training.fleet import Fleet
from rnnlab.training.loop import train


@cells_and_scans
@pytest.mark.parametrize("clip", [{"name": "none"}, {"name": "adjoint", "threshold": 1e-3}])
def test_at_the_only_timestep_read_direct_is_total(cell: str, clip: dict[str, Any], scan: str, tmp_path: Path) -> None:
    """Through a whole run with weights that move far at every update, in every layer and state."""
    settings = config(
        model={"cell": cell, "layers": 2},
        clip=clip,
        optimizer={"name": "sgd", "lr": 1.0},
        train={"updates": 3, "scan": scan},
        probe={"schedule": 1},
        dtype="float64",
    )
    rows = train(settings, out=tmp_path).gradients
    here = rows[rows["lag"] == 0]
    assert len(here) >= 6
    np.testing.assert_allclose(here["log10_direct"], here["log10_norm"], atol=1e-8)
    assert np.isneginf(rows[rows["lag"] > 0]["log10_direct"]).all()


def test_many_threads_give_one_result(tmp_path: Path) -> None:
    """Blocks finish in any order, and are summed in one."""
    settings = config(model={"hidden": 32}, train={"updates": 30, "batch": 20})
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(5)
        runs = [weights(train(settings, out=tmp_path)) for _ in range(3)]
    finally:
        torch.set_num_threads(before)
    assert runs[0] == runs[1] == runs[2]


@pytest.mark.parametrize("lead", [20.0, 95.0, 300.0])
def test_a_confident_network_in_float32_reads_as_in_float64(lead: float) -> None:
    """The gradient of a class that leads by 300 nats is 1e-130, and float32 carries it through the scan."""
    wide = make_network(CELLS["lstm"](), outputs=2)
    batch = make_batch(LAST, T=20)
    batch = Sequences(batch.x, torch.zeros_like(batch.y), batch.lengths)
    wide.parameters["readout.b"] = torch.tensor([[lead, 0.0]], dtype=F64)
    narrow = Network(wide.cell, wide.shape, {name: w.float() for name, w in wide.parameters.items()})
    short = Sequences(batch.x.float(), batch.y, batch.lengths)
    ours, exact = (curves(n, run("fast", n, b, LAST), b.lengths)[0] for n, b in ((narrow, short), (wide, batch)))
    for one, other in zip(ours, exact, strict=True):
        for column in ("log10_norm", "log10_median", "log10_direct"):
            np.testing.assert_allclose(one.columns[column], other.columns[column], atol=0.01)
    assert exact[0].columns["log10_norm"][-1] < -lead / 2.4


def test_what_is_below_float32_between_the_read_out_and_the_state_is_read_on_both_scans() -> None:
    network = make_network(CELLS["lstm"](), outputs=2, dtype=torch.float32)
    network.parameters["readout.b"] = torch.tensor([[200.0, 0.0]])
    batch = make_batch(LAST, T=5, dtype=torch.float32)
    batch = Sequences(batch.x, torch.zeros_like(batch.y), batch.lengths)
    fast, general = (
        curves(network, run(scan, network, batch, LAST), batch.lengths)[0][0].columns["log10_norm"]
        for scan in ("fast", "general")
    )
    assert not np.ma.getmaskarray(general).any()
    assert fast.max() < -80
    np.testing.assert_allclose(general, fast, atol=1e-4)


@both_scans
@pytest.mark.parametrize("size", [1e-170, 1e-200])
def test_float64_rows_far_from_one_keep_their_size(size: float, scan: str) -> None:
    network = make_network(CELLS["rnn"]())
    batch = make_batch(LAST, T=4)
    plain = curves(network, run(scan, network, batch, LAST), batch.lengths)[0][0].columns
    network.parameters["readout.W"] *= size
    network.parameters["readout.b"] *= 0
    result = curves(network, run(scan, network, batch, LAST), batch.lengths)[0][0].columns
    rise = result["log10_norm"] - np.log10(size)
    assert np.abs(rise - plain["log10_norm"]).max() < 2
    np.testing.assert_allclose(result["log10_direct"][-1], result["log10_norm"][-1], atol=1e-9)


def test_a_broken_replica_stands_still_and_the_others_go_on() -> None:
    """With momentum, where a zero gradient would still move it."""
    settings = config(optimizer={"name": "sgd", "lr": 0.1, "momentum": 0.9}, dtype="float64")
    fleet, alone = Fleet(settings.seeded(0, 1, 2)), Fleet(settings.seeded(0))
    fleet.update()
    alone.update()
    before = {name: tensor.clone() for name, tensor in fleet.network.parameters.items()}
    taken, single = fleet.compute_gradients(), alone.compute_gradients()
    taken.finite[1] = False
    taken.gradients[1, 0] = torch.nan
    fleet.apply_gradients(taken)
    alone.apply_gradients(single)
    for name, tensor in fleet.network.parameters.items():
        assert torch.equal(tensor[1], before[name][1])
        assert not torch.equal(tensor[2], before[name][2])
        torch.testing.assert_close(tensor[0], alone.network.parameters[name][0], rtol=0, atol=1e-12)


@pytest.mark.parametrize(
    "changes", [{"probe": {"schedule": [15]}, "train": {"stop": "loss < 1000"}}, {"probe": {"which": []}}]
)
def test_a_run_that_recorded_nothing_completes(changes: dict[str, Any], tmp_path: Path) -> None:
    done = train(config(**changes), out=tmp_path)
    assert done.status == "completed"
    assert "verdict" not in done.info


def test_log_every_0_logs_what_is_measured_and_evaluated(tmp_path: Path) -> None:
    done = train(config(probe={"schedule": [3]}, train={"log_every": 0}), out=tmp_path)
    assert list(done.metrics["update"]) == [3, 9, 19]


def test_a_streak_of_skipped_updates_is_recorded_once(tmp_path: Path) -> None:
    changes = {**EXPLODING, "train": {"updates": 30, "nonfinite": "skip", "evaluate_every": 0, "log_every": 0}}
    done = train(config(**changes, probe={"schedule": [9]}), out=tmp_path)
    assert sorted(set(done.gradients["update"])) == [0, 9]
    assert done.info["result"]["nonfinite_updates"] == 30


def test_weights_that_break_at_the_last_update_are_a_divergence(tmp_path: Path) -> None:
    settings = config(
        model={"cell": "rnn", "nonlinearity": "linear"}, optimizer={"name": "sgd", "lr": 1e9}, train={"updates": 1}
    )
    done = train(settings, out=tmp_path)
    assert done.status == "diverged"


def _child(out: Path) -> None:
    train(config(), out=out)


@pytest.mark.skipif("fork" not in multiprocessing.get_all_start_methods(), reason="this system has no fork")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_forked_process_trains_too(tmp_path: Path) -> None:
    train(config(), out=tmp_path / "here")
    child = multiprocessing.get_context("fork").Process(target=_child, args=(tmp_path / "there",))
    child.start()
    child.join(60)
    alive = child.is_alive()
    child.kill()
    assert not alive
    assert child.exitcode == 0
