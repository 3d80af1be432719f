"""Zero, underflow and overflow are three things: both scans read on, and what one timestep loses is marked."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from oracles import F64, WITH_RULE, make_batch, make_network
from scans import both_scans, run

from rnnlab.cells import CELLS, Cell, Rnn
from rnnlab.gradients.norm_tables import underflowed
from rnnlab.gradients.passes import Pass, Scratch, Sequences, fast_pass, general_pass
from rnnlab.gradients.readings import curves
from rnnlab.inits import Inits
from rnnlab.network.network import Network, Shape, draw
from rnnlab.network.objective import Objective

F32 = torch.float32
INF, NAN = math.inf, math.nan
LAST = Objective("value", "last", per_timestep=False)
CLASS = Objective("class", "last", per_timestep=False)
LOG_COLUMNS = ("log10_norm", "log10_p05", "log10_median", "log10_p95")


def scaled_rotation(rho: float, T: int, dtype: torch.dtype, y: list[float]) -> tuple[Network, Sequences]:
    """A linear recurrence rho * Q on an input of zero: outputs are 0, and sample b starts with a gradient ~ y[b].

    Its closed form: ||dL/dh_t[b]|| = rho^lag ||dL/dh_{T-1}[b]||, whatever the states (which are zero).
    """
    shape, inits = Shape(2, 5, 1, 1, False), Inits.model_validate({"recurrent": {"name": "orthogonal", "gain": rho}})
    network = Network.stack(Rnn(nonlinearity="linear"), shape, [draw(Rnn(), shape, inits, 0)], dtype)
    x, lengths = torch.zeros(1, T, len(y), 2, dtype=dtype), torch.full((1, len(y)), T)
    return network, Sequences(x, torch.tensor(y, dtype=dtype).reshape(1, -1, 1), lengths)


def columns_of(network: Network, batch: Sequences, found: Pass) -> dict[str, np.ma.MaskedArray]:
    """The columns of the one curve, by lag."""
    (curve,) = curves(network, found, batch.lengths)[0]
    assert curve.lag.tolist() == list(range(len(curve.t) - 1, -1, -1))
    return {name: np.ma.asarray(values)[::-1] for name, values in curve.columns.items()}


# the rule, on curves made up


def flags(logs: list[float], dtype: type = np.float32) -> list[bool]:
    return underflowed(np.array([logs]), np.dtype(dtype))[0].tolist()


def test_zeros_after_the_loss_are_exact() -> None:
    """With a loss on one timestep nothing ever arrives at the later ones."""
    assert not any(flags([-9, -8, -7, -INF, -INF]))


def test_a_dead_unit_passes_exactly_nothing_on() -> None:
    assert not any(flags([-INF, -INF, -3, -2, -1]))


def test_zeros_before_a_lost_norm_are_lost() -> None:
    assert flags([-INF, -INF, -44, -36, -20]) == [True, True, True, False, False]


def test_a_zero_before_a_norm_whose_square_vanishes_is_lost() -> None:
    assert flags([-INF, -INF, -25, -15, -5]) == [True, True, False, False, False]


def test_what_comes_back_from_a_zero_is_a_reading() -> None:
    """A loss on every timestep: a later zero says nothing of the timesteps before it that are read out."""
    assert flags([-1, -INF, -44, -2]) == [False, True, True, False]


def test_the_not_finite_is_no_underflow() -> None:
    assert not any(flags([NAN, INF, INF, 30, -2]))
    assert not any(flags([-INF, INF]))
    assert not any(flags([-INF, NAN]))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_border_is_eight_times_the_smallest_normal_number(dtype: type) -> None:
    border = float(np.log10(8 * float(np.finfo(dtype).tiny)))
    assert flags([border - 1e-6, border + 1e-6, -1], dtype) == [True, False, False]


def test_each_replica_and_sample_stands_for_itself() -> None:
    logs = np.array([[[-INF, -2.0], [-44.0, -1.0]], [[-INF, -INF], [-3.0, -INF]]])
    found = underflowed(logs, np.dtype(np.float32))
    assert found.tolist() == [[[True, False], [True, False]], [[False, False], [False, False]]]


# the general scan, which a number format limits within one timestep


def switched_off(B: int) -> tuple[Network, Sequences]:
    """Sigmoid units whose slope is 1e-26 in the first sample and 1/4 in all others, and recurrent weights of 1e-20."""
    network, batch = scaled_rotation(1e-20, 6, F32, [1.0] * B)
    network = Network(Rnn(nonlinearity="sigmoid"), network.shape, network.parameters)
    network.parameters["layer0.W_ih"][0, 0] = 1.0
    batch.x[:, :, 0, 0] = -60.0
    return network, batch


@pytest.mark.parametrize(("dtype", "rho"), [(F32, 1e-40), (F64, 1e-310)])
def test_what_one_timestep_loses_is_marked_and_never_a_floor(dtype: torch.dtype, rho: float) -> None:
    network, batch = scaled_rotation(rho, 5, dtype, [1.0, 1.0, 1.0])
    columns = columns_of(network, batch, general_pass(network, batch, LAST))
    for name in LOG_COLUMNS:
        assert np.ma.getmaskarray(columns[name]).tolist() == [False, True, True, True, True]
    assert np.isfinite(columns["norm"]).all()
    assert np.isneginf(columns["log10_direct"][1:]).all()


def test_a_product_of_two_small_factors_is_lost_and_no_zero() -> None:
    network, batch = switched_off(1)
    columns = columns_of(network, batch, general_pass(network, batch, LAST))
    assert (columns["norm"][1:] == 0).all()
    for name in LOG_COLUMNS:
        assert np.ma.getmaskarray(columns[name]).tolist() == [False, True, True, True, True, True]


def test_percentiles_beside_a_lost_sample_are_lost() -> None:
    """One of 20 samples is lost: the 5th percentile lies between it and the next, and is no number."""
    network, batch = switched_off(20)
    columns = columns_of(network, batch, general_pass(network, batch, LAST))
    for name in LOG_COLUMNS:
        assert np.ma.getmaskarray(columns[name]).tolist() == [False] + [name == "log10_p05"] * 5
    np.testing.assert_allclose(np.diff(columns["log10_median"]), -20 + math.log10(0.25), atol=0.3)


def test_percentiles_beside_an_exact_zero_are_zero() -> None:
    """One of 20 samples hits its target: its gradient is nothing at all, at every timestep."""
    network, batch = scaled_rotation(0.5, 60, F32, [0.0] + [1.0] * 19)
    for found in (general_pass(network, batch, LAST), fast_pass(network, batch, LAST, Scratch(1))):
        columns = columns_of(network, batch, found)
        assert not any(np.ma.getmaskarray(values).any() for values in columns.values())
        assert np.isneginf(columns["log10_p05"]).all()
        assert np.isfinite(columns["log10_median"]).all()


def test_a_loss_of_zero_is_a_gradient_of_zero() -> None:
    network, batch = scaled_rotation(0.9, 20, F32, [0.0, 0.0])
    for found in (general_pass(network, batch, LAST), fast_pass(network, batch, LAST, Scratch(1))):
        columns = columns_of(network, batch, found)
        assert (columns.pop("norm") == 0).all()
        for values in (values for name, values in columns.items() if "log10" in name):
            assert not np.ma.getmaskarray(values).any()
            assert np.isneginf(values).all()


def test_an_overflow_within_one_timestep_is_written_as_such() -> None:
    network, batch = scaled_rotation(1.0, 4, F32, [1.0, 1.0])
    network.parameters["layer0.W_hh"][:], network.parameters["readout.W"][:] = 3e38, 1.0
    values = columns_of(network, batch, general_pass(network, batch, LAST))["log10_norm"]
    assert not np.ma.getmaskarray(values).any()
    assert np.isfinite(values.data).tolist() == [True, False, False, False]


# both scans, over the whole range


def has_recurrent_matrix(cell: Cell) -> bool:
    """Whether what it multiplies its state by is a parameter of its own, which can be made small."""
    rule = cell.rule()
    return rule is not None and rule.product and not cell.parametrised


@both_scans
@pytest.mark.parametrize("rho", [0.5, 2.0])
def test_a_scan_reads_on_where_float32_ends(rho: float, scan: str) -> None:
    T = 2000
    network, batch = scaled_rotation(rho, T, F32, [1.0, 1e-3, 1.0, 2.0])
    columns = columns_of(network, batch, run(scan, network, batch, LAST))
    for name in LOG_COLUMNS:
        assert not np.ma.getmaskarray(columns[name]).any()
        assert np.abs(columns[name] - columns[name][0] - np.arange(T) * math.log10(rho)).max() < 0.01
    assert columns["norm"][-1] == (0 if rho < 1 else INF)
    np.testing.assert_allclose(columns["norm"][:100], 10 ** columns["log10_norm"][:100], rtol=1e-12)


@pytest.mark.parametrize("name", [name for name in WITH_RULE if has_recurrent_matrix(CELLS[name]())])
def test_both_scans_agree_beyond_float32(name: str) -> None:
    network = make_network(CELLS[name](), layers=2, hidden=6, dtype=F32)
    for index in range(2):
        network.parameters[f"layer{index}.W_hh"] *= 0.1
    batch = make_batch(CLASS, T=250, B=4, dtype=F32)
    fast = curves(network, fast_pass(network, batch, CLASS, Scratch(2)), batch.lengths)[0]
    general = curves(network, general_pass(network, batch, CLASS), batch.lengths)[0]
    assert fast[0].columns["log10_norm"].min() < -40
    for ours, theirs in zip(fast, general, strict=True):
        for column in LOG_COLUMNS:
            assert not np.ma.getmaskarray(theirs.columns[column]).any()
            assert np.abs(ours.columns[column] - theirs.columns[column]).max() < 0.01


def test_a_network_of_nan_gives_rows_of_nan() -> None:
    network, batch = make_network(CELLS["lstm"](), layers=2), make_batch(CLASS)
    network.parameters["layer0.W_hh"][0, 1, 2] = NAN
    for found in (fast_pass(network, batch, CLASS, Scratch(2)), general_pass(network, batch, CLASS)):
        for curve in curves(network, found, batch.lengths)[0]:
            assert np.isnan(curve.columns["norm"]).all()
            assert not np.ma.getmaskarray(curve.columns["log10_norm"]).any()
            assert np.isnan(curve.columns["log10_norm"].data).all()
