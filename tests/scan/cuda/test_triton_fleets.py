"""Whole updates of a fleet on the scan in Triton, and the check that a training makes before the first."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from trainings import config
from triton_devices import on_devices

pytest.importorskip("triton", reason="the scan in Triton needs it: the extra cuda")

from rnnlab.cells import CELLS
from rnnlab.errors import UsageError
from rnnlab.gradients.readings import curves
from rnnlab.gradients.triton_check import check_triton
from rnnlab.scan.cuda.rules import TRITON_RULES, TritonRule
from rnnlab.training.fleet import Fleet


@on_devices
@pytest.mark.parametrize("clip", ["norm", "adjoint"])
def test_updates_of_a_fleet_are_those_of_the_compiled_scan(clip: str, device: str) -> None:
    """Losses, norms, readings and an evaluation, after updates of a fleet that one replica then leaves."""
    given = {"model": {"cell": "lstm", "hidden": 5}, "clip": {"name": clip, "threshold": 0.01}, "device": device}
    on_cpu, ours = (
        Fleet(config(**{**given, "device": where}).seeded(0, 1, 2), scan=scan)
        for where, scan in (("cpu", "fast"), (device, "triton"))
    )
    for update in range(3):
        if update == 2:
            on_cpu, ours = on_cpu.pick([0, 2]), ours.pick([0, 2])
            assert ours.scan == "triton"
        expected, found = on_cpu.compute_gradients(), ours.compute_gradients()
        for name in ("losses", "grad_norms", "clipped_norms", "clipped"):
            np.testing.assert_allclose(getattr(found, name), getattr(expected, name), rtol=1e-4, err_msg=name)
        theirs = curves(on_cpu.network, expected.result, expected.sequences.lengths)
        for mine, exact in zip(curves(ours.network, found.result, found.sequences.lengths)[0], theirs[0], strict=True):
            np.testing.assert_allclose(mine.columns["log10_norm"], exact.columns["log10_norm"], rtol=0, atol=1e-3)
        on_cpu.apply_gradients(expected)
        ours.apply_gradients(found)
    np.testing.assert_allclose(ours.evaluate("validation"), on_cpu.evaluate("validation"), rtol=1e-3)


@on_devices
@pytest.mark.parametrize("cell", ["rnn", "lstm", "gru"])
def test_the_check_before_a_training_finds_it_right(cell: str, device: str) -> None:
    check_triton(CELLS[cell](), 5, torch.device(device))


@on_devices
def test_the_check_finds_a_kernel_that_is_wrong(device: str, monkeypatch: pytest.MonkeyPatch) -> None:
    relu = TRITON_RULES["rnn-relu"]
    wrong = TritonRule(TRITON_RULES["rnn-tanh"].forward, relu.backward)
    monkeypatch.setitem(TRITON_RULES, "rnn-tanh", wrong)
    with pytest.raises(UsageError, match=r"off the cell's definition on .*; train.scan: general does without it"):
        check_triton(CELLS["rnn"](), 5, torch.device(device))


def test_the_check_says_when_a_kernel_does_not_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(TRITON_RULES, "rnn-tanh")
    with pytest.raises(UsageError, match=r"does not run on cpu \(KeyError: 'rnn-tanh'\); train.scan: general"):
        check_triton(CELLS["rnn"](), 5, torch.device("cpu"))
