"""Figures by lag from each sample's own read-out equal a slow, explicit loop under autograd in float64."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from adjoint_loop import adjoints, log10, percentiles
from hypothesis import given
from hypothesis import strategies as st
from oracles import make_batch, make_network
from scans import both_scans, cells_and_their_scans, run
from torch import Tensor

from rnnlab.cells import CELLS, Cell
from rnnlab.gradients.own_lag import RowNorms, last_nonzero, own_columns
from rnnlab.gradients.readings import Curve, curves
from rnnlab.network.objective import Objective


def ends_of(objective: Objective, lengths: list[int]) -> list[int]:
    """The last timestep of each sequence at which the loss reads."""
    if objective.placement in ("last", "all"):
        return [length - 1 for length in lengths]
    at = int(objective.placement)
    return [at if at >= 0 else length + at for length in lengths]


def expected(total: Tensor, direct: Tensor, ends: list[int]) -> list[dict[str, Any]]:
    """By own lag k the columns, from adjoints [T, B, ...]; samples are compared with themselves one lag before."""
    norms, of_direct = (part.flatten(2).norm(dim=-1).numpy() for part in (total, direct))
    rows = []
    for k in range(max(ends) + 1):
        have = [b for b, end in enumerate(ends) if end >= k]
        sizes, before = ([norms[ends[b] - k + i, b] for b in have] for i in (0, 1 if k else 0))
        if k == 0:
            size = np.linalg.norm(sizes)
        elif np.linalg.norm(before) > 0:
            size = size * np.linalg.norm(sizes) / np.linalg.norm(before)
        low, median, high = percentiles(len(ends) * np.array(sizes))
        direct_norm = np.linalg.norm([of_direct[ends[b] - k, b] for b in have])
        logs = {"norm": log10(size), "p05": low, "median": median, "p95": high, "direct": log10(direct_norm)}
        rows.append({"own_samples": len(have), **{f"own_log10_{name}": value for name, value in logs.items()}})
    return rows


def check(curve: Curve, rows: list[dict[str, Any]]) -> None:
    lags = curve.columns["own_lag"].tolist()
    assert lags == [len(rows) - 1 - t for t in curve.t]
    for at, lag in enumerate(lags):
        found = {name: values[at] for name, values in curve.columns.items() if name.startswith("own_")}
        if lag < 0:
            assert found["own_samples"] == 0
            continue
        for name, value in rows[lag].items():
            np.testing.assert_allclose(found[name], value, atol=1e-9, err_msg=f"{name} at lag {lag}")


@pytest.mark.parametrize("placement", ["last", "all", -2])
@cells_and_their_scans
def test_figures_by_own_lag_equal_the_loop(cell: Cell, placement: Any, scan: str) -> None:
    objective = Objective("class", placement, per_timestep=False)
    network, batch = make_network(cell, layers=2), make_batch(objective, T=6, B=4, ragged=True)
    found = run(scan, network, batch, objective)
    for r, rows in enumerate(curves(network, found, batch.lengths)):
        total, direct = (adjoints(network, batch, objective, r, recurrent) for recurrent in (True, False))
        ends = ends_of(objective, batch.lengths[r].tolist())
        for curve in rows:
            key = curve.layer, curve.state
            check(curve, expected(total[key], direct[key], ends))


@both_scans
def test_where_all_samples_end_alike_the_figures_are_those_by_timestep(scan: str) -> None:
    objective = Objective("class", 3, per_timestep=False)
    network, batch = make_network(CELLS["lstm"](), layers=2), make_batch(objective, T=9)
    for curve in curves(network, run(scan, network, batch, objective), batch.lengths)[0]:
        assert curve.columns["own_lag"].tolist() == [3 - t for t in range(9)]
        for name in ("log10_norm", "log10_p05", "log10_median", "log10_p95", "log10_direct"):
            assert curve.columns[f"own_{name}"] is curve.columns[name]


@given(rho=st.floats(0.1, 3), seed=st.integers(0, 1000))
def test_an_exponential_stays_one_whichever_samples_have_a_lag(rho: float, seed: int) -> None:
    """Samples of very different sizes and lengths, each exactly rho^k: the norm by own lag is rho^k as well."""
    rng = np.random.default_rng(seed)
    T, B = 30, 6
    ends, sizes = rng.integers(0, T, (1, B)), rng.normal(0, 5, B)
    lag = ends[:, None] - np.arange(T)[None, :, None]
    logs = np.where(lag >= 0, sizes + lag * np.log10(rho), -np.inf)
    squares, exponents = torch.from_numpy(10.0 ** (2 * logs)), torch.zeros(1, T, B, dtype=torch.int64)
    np.testing.assert_array_equal(last_nonzero(logs), ends)
    at_timestep = dict.fromkeys(("log10_norm", "log10_p05", "log10_median", "log10_p95", "log10_direct"), lag[..., 0])
    columns = own_columns(at_timestep, ends, lambda: RowNorms(squares, exponents), same_lengths=False)
    here = columns["own_lag"][0] >= 0
    found, lags = columns["own_log10_norm"][0, here], columns["own_lag"][0, here]
    np.testing.assert_allclose(found - found[lags == 0], lags * np.log10(rho), atol=1e-9)
