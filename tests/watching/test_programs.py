"""Random programs, each with and without a watch: the same training, and no wrong number."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, Phase, given, settings
from watching.program_loop import UPDATES, carry_out
from watching.programs import PROGRAMS, Program

QUIET: dict[str, Any] = {
    "derandomize": True,
    "phases": [Phase.generate],
    "suppress_health_check": list(HealthCheck),
    "database": None,
}


def check(program: Program) -> None:
    """A program's laws: see the assertions."""
    alone = carry_out(program, None)
    with tempfile.TemporaryDirectory() as folder:
        watched = carry_out(program, Path(folder) / "run")
        run = watched.run
        assert run is not None
        assert watched.losses == alone.losses
        assert all(torch.equal(p, q) for p, q in zip(watched.weights, alone.weights, strict=True))
        assert watched.random == alone.random
        np.testing.assert_array_equal(watched.norms, alone.norms)
        metrics, gradients = run.metrics, run.gradients
        if run.status == "failed":
            assert len(run.info["reason"].split()) > 5
            assert ":" in run.info["reason"]
            pytest.fail(run.info["reason"])
        assert run.status == "completed"
        assert metrics["update"].tolist() == [update for update in (0, 2) if update < UPDATES]
        assert metrics["verified"].dropna().eq(1).all(), metrics[["deviation", "verified"]]
        assert not gradients.duplicated(["update", "layer", "state", "t"]).any()
        assert gradients["log10_norm"].notna().all()
        passes = program.accumulated
        assert metrics["loss"].tolist() == [watched.losses[(update + 1) * passes - 1] for update in (0, 2)]
        if watched.norms:
            names = {of["layer"]: of for of in run.info["layers"]}
            of_cell = [
                n for n, of in names.items() if of["module"] == "cell" and (of["call"], of["backward"]) == (0, 0)
            ]
            rows = gradients.query("update == 0 and state == 'h'")
            rows = rows[rows["layer"].isin(of_cell)]
            reached = np.flatnonzero(np.isfinite(watched.norms))
            assert rows["t"].tolist() == reached.tolist()
            np.testing.assert_allclose(rows["norm"], np.array(watched.norms)[reached], rtol=1e-5, atol=1e-30)


@settings(max_examples=25, **QUIET)
@given(PROGRAMS)
def test_programs_train_as_without_a_watch_and_no_number_is_wrong(program: Program) -> None:
    check(program)


@pytest.mark.slow
@settings(max_examples=500, **QUIET)
@given(PROGRAMS)
def test_many_programs(program: Program) -> None:
    check(program)
