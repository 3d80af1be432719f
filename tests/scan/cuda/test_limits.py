"""How a layer is cut for Triton, and when it cannot run there."""

from __future__ import annotations

import pytest
import torch
from triton_devices import HAS_TRITON

from rnnlab.cells import Gru, Lstm, Rnn
from rnnlab.scan.cuda.limits import LARGEST, LEAST, RESIDENT, blocks_of, reason_against, triton_version

CUDA = torch.device("cuda")
F32 = torch.float32


@pytest.mark.parametrize("gates", RESIDENT)
@pytest.mark.parametrize("hidden", [1, 15, 16, 17, 50, 64, 65, 128, 129, 1000, LARGEST])
def test_a_layer_is_padded_to_sides_that_a_device_takes(gates: int, hidden: int) -> None:
    """A product with a side under 16 is refused by a device, and taken by the interpreter."""
    blocks = blocks_of(gates, hidden)
    assert blocks.padded & (blocks.padded - 1) == 0
    assert hidden <= blocks.padded < max(2 * hidden, LEAST + 1)
    assert blocks.resident == (blocks.padded <= RESIDENT[gates])
    assert not blocks.resident or blocks.rows >= LEAST


@pytest.fixture
def _a_device(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rnnlab.scan.cuda.limits.triton_version", lambda: (3, 7))
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: (9, 0))


@pytest.mark.usefixtures("_a_device")
def test_each_thing_that_is_missing_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    rule = Lstm().rule()
    assert rule is not None
    assert reason_against(rule, 50, F32, CUDA) is None
    assert reason_against(rule, LARGEST, F32, CUDA) is None
    assert "at most 2048 units" in str(reason_against(rule, LARGEST + 1, F32, CUDA))
    assert "float32 alone" in str(reason_against(rule, 50, torch.float64, CUDA))
    assert reason_against(None, 50, F32, CUDA) == "this cell has no rule"
    assert reason_against(rule._replace(name=""), 50, F32, CUDA) == "this cell has no rule in Triton"
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: (7, 5))
    assert "compute capability 8.0, and cuda has 7.5" in str(reason_against(rule, 50, F32, CUDA))
    monkeypatch.setattr("rnnlab.scan.cuda.limits.triton_version", lambda: None)
    assert "3.7, which is not installed" in str(reason_against(rule, 50, F32, CUDA))
    monkeypatch.setattr("rnnlab.scan.cuda.limits.triton_version", lambda: (3, 0))
    assert "3.7, which is 3.0 here (python -m pip install 'rnnlab[cuda]')" in str(reason_against(rule, 50, F32, CUDA))


def test_no_cell_with_a_rule_is_without_a_limit() -> None:
    for cell in (Rnn(), Lstm(), Gru()):
        rule = cell.rule()
        assert rule is not None
        assert rule.gates in RESIDENT


def test_that_triton_is_there_is_known_without_importing_it() -> None:
    assert (triton_version() is not None) == HAS_TRITON
