"""A signal acts between two updates; a second one at once; none while the run's last word is written."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

import pytest
import torch
from trainings import config

from rnnlab.interruptions import Interruptions
from rnnlab.runs.run import Run
from rnnlab.training.checkpoints import read_checkpoint
from rnnlab.training.fleet import Fleet
from rnnlab.training.loop import train


class Term(KeyboardInterrupt):
    """What the handler of SIGTERM raises here."""


@pytest.fixture(autouse=True)
def handlers() -> None:
    """Python's own for SIGINT, and one that raises for SIGTERM."""

    def raise_term(*_: object) -> None:
        raise Term

    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, raise_term)


def send(number: int) -> None:
    os.kill(os.getpid(), number)


@pytest.mark.parametrize(("number", "error"), [(signal.SIGINT, KeyboardInterrupt), (signal.SIGTERM, Term)])
def test_a_signal_waits_until_it_is_delivered(number: int, error: type[BaseException]) -> None:
    reached = False
    with pytest.raises(error), Interruptions() as interruptions:  # noqa: PT012
        send(number)
        reached = True
        interruptions.deliver()
    assert reached


def test_a_second_signal_acts_at_once() -> None:
    with pytest.raises(KeyboardInterrupt), Interruptions():  # noqa: PT012
        send(signal.SIGINT)
        send(signal.SIGINT)
        pytest.fail("the second signal was kept too")


def test_a_signal_that_is_not_delivered_before_is_delivered_at_the_end() -> None:
    with pytest.raises(KeyboardInterrupt), Interruptions():
        send(signal.SIGINT)


def test_none_acts_while_blocked_and_the_handlers_come_back() -> None:
    before = signal.getsignal(signal.SIGINT)
    with Interruptions() as interruptions:
        interruptions.block()
        send(signal.SIGINT)
        send(signal.SIGTERM)
    assert signal.getsignal(signal.SIGINT) is before


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_run_goes_on_from_a_whole_update(
    number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A signal inside the optimizer: the checkpoint is that of a run of so many updates, and both end alike."""
    made, real = [], Fleet.apply_gradients

    def apply(fleet: Fleet, taken: Any) -> None:
        made.append(1)
        if len(made) == 4:
            send(number)
        real(fleet, taken)

    monkeypatch.setattr(Fleet, "apply_gradients", apply)
    with pytest.raises(KeyboardInterrupt) as caught:
        train(config(name="cut", probe={"schedule": 1}), out=tmp_path)
    monkeypatch.undo()
    run = Run(tmp_path / "cut")
    assert run.status == "interrupted"
    assert run.info["updates"] == 4
    assert sorted(set(run.gradients["update"])) == [0, 1, 2, 3]
    assert "4 updates" in caught.value.__notes__[0]
    assert "checkpoint" in caught.value.__notes__[0]
    whole, rest = Fleet(config().seeded(0)), Fleet(config().seeded(0), [read_checkpoint(run.dir.checkpoint)])
    for _ in range(7):
        whole.update()
    for _ in range(3):
        rest.update()
    for name, tensor in whole.network.parameters.items():
        assert torch.equal(tensor, rest.network.parameters[name])
