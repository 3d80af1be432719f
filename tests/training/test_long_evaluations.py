"""A signal in an evaluation acts before the next chunk of sequences, and the run goes on to the same bytes."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch
from trainings import fleet_config as config

from rnnlab import interruptions
from rnnlab.config import Config
from rnnlab.interruptions import Interruptions
from rnnlab.runs.run import Run
from rnnlab.training import fleet as fleet_module
from rnnlab.training.checkpoints import parameters_of
from rnnlab.training.fleet import Fleet
from rnnlab.training.loop import train, train_fleet
from rnnlab.training.start import Start

CHUNKS = 5
"""In an evaluation: 20 sequences, 4 at once. The runs evaluate after updates 10 and 20, and then on the test split."""


@pytest.fixture(autouse=True)
def small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fleet_module, "evaluation_chunk", lambda timesteps, numbers: 4)


def interrupt_at(chunk: int, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Send SIGINT in this chunk, counted over all evaluations; the list has an entry for each chunk."""
    chunks, predict = list[int](), Fleet.predict

    def predict_and_interrupt(self: Fleet, batch: Any) -> Any:
        chunks.append(len(chunks))
        if len(chunks) == chunk:
            os.kill(os.getpid(), signal.SIGINT)
        return predict(self, batch)

    monkeypatch.setattr(Fleet, "predict", predict_and_interrupt)
    return chunks


def assert_same(resumed: Run, whole: Run) -> None:
    assert resumed.dir.gradients.read_bytes() == whole.dir.gradients.read_bytes()
    pd.testing.assert_frame_equal(
        resumed.metrics.drop(columns="seconds"), whole.metrics.drop(columns="seconds"), check_exact=True
    )
    assert {name: array.tobytes() for name, array in parameters_of(resumed).items()} == {
        name: array.tobytes() for name, array in parameters_of(whole).items()
    }
    assert resumed.info["result"] == whole.info["result"]
    assert resumed.info["updates"] == whole.info["updates"]


@pytest.mark.parametrize(
    ("chunk", "updates"), [(1, 10), (3, 10), (CHUNKS + 2, 20), (2 * CHUNKS + 1, 20), (2 * CHUNKS + 3, 20)]
)
def test_an_evaluation_that_is_cut_short_is_made_up_for(
    chunk: int, updates: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    chunks = interrupt_at(chunk, monkeypatch)
    with pytest.raises(KeyboardInterrupt) as caught:
        train(config(name="cut"), out=tmp_path)
    assert len(chunks) == chunk
    assert "and a checkpoint is kept" in caught.value.__notes__[0]
    assert Run(tmp_path / "cut").info["updates"] == updates
    assert_same(train(config(name="cut"), out=tmp_path, resume=True), train(config(name="whole"), out=tmp_path))


@pytest.mark.parametrize("stop", [None, "loss < 1000"])
def test_what_the_evaluation_decides_is_decided_after_it(
    stop: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def described(name: str) -> Config:
        given = config(name=name)
        return given.model_copy(update={"train": given.train.model_copy(update={"stop": stop, "evaluate_every": 7})})

    interrupt_at(2, monkeypatch)
    with pytest.raises(KeyboardInterrupt):
        train(described("cut"), out=tmp_path)
    resumed = train(described("cut"), out=tmp_path, resume=True)
    assert resumed.info["updates"] == (7 if stop else 20)
    assert_same(resumed, train(described("whole"), out=tmp_path))


def test_runs_of_a_fleet_wait_for_their_evaluation_together(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    configs = config().seeded(0, 1)
    train_fleet([Start(one, f"whole-{one.seed}") for one in configs], out=tmp_path)
    interrupt_at(3, monkeypatch)
    with pytest.raises(KeyboardInterrupt):
        train_fleet([Start(one, f"cut-{one.seed}") for one in configs], out=tmp_path)
    train_fleet([Start(one, f"cut-{one.seed}", resume=True) for one in configs], out=tmp_path)
    for seed in (0, 1):
        assert_same(Run(tmp_path / f"cut-{seed}"), Run(tmp_path / f"whole-{seed}"))


def test_interrupted_again_and_again_it_comes_to_the_same_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole, resume = train(config(name="whole"), out=tmp_path), False
    for chunk in (2, 4, 1, 5):
        interrupt_at(chunk, monkeypatch)
        with pytest.raises(KeyboardInterrupt):
            train(config(name="cut"), out=tmp_path, resume=resume)
        monkeypatch.undo()
        monkeypatch.setattr(fleet_module, "evaluation_chunk", lambda timesteps, numbers: 4)
        resume = True
    assert_same(train(config(name="cut"), out=tmp_path, resume=True), whole)


def test_a_second_signal_in_a_chunk_keeps_the_state_as_well(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    predict = Fleet.predict

    def twice(self: Fleet, batch: Any) -> Any:
        os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGINT)
        return predict(self, batch)

    with monkeypatch.context() as patch:
        patch.setattr(Fleet, "predict", twice)
        with pytest.raises(KeyboardInterrupt):
            train(config(name="cut"), out=tmp_path)
    assert_same(train(config(name="cut"), out=tmp_path, resume=True), train(config(name="whole"), out=tmp_path))


def said_of(act: Callable[[Interruptions, threading.Event], None]) -> list[str]:
    """What Interruptions say while this happens; the event is set when they say something."""
    said, heard = list[str](), threading.Event()

    def notify(text: str) -> None:
        said.append(text)
        heard.set()

    with pytest.raises(KeyboardInterrupt), Interruptions(notify) as block:  # noqa: PT012
        act(block, heard)
        block.deliver()
    return said


def test_an_update_that_goes_on_after_a_signal_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(interruptions, "_MOMENT", 0.01)

    def long_update(block: Interruptions, heard: threading.Event) -> None:
        os.kill(os.getpid(), signal.SIGINT)
        assert heard.wait(60)

    assert said_of(long_update) == ["finishing this update; a second signal ends it at once"]


def test_an_update_that_ends_soon_is_not_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(interruptions, "_MOMENT", 3600.0)
    before = set(threading.enumerate())
    assert said_of(lambda block, heard: os.kill(os.getpid(), signal.SIGINT)) == []
    for thread in set(threading.enumerate()) - before:
        thread.join(60)
        assert not thread.is_alive()


def test_without_a_signal_nobody_waits_on(monkeypatch: pytest.MonkeyPatch) -> None:
    before = set(threading.enumerate())
    with Interruptions(print):
        pass
    for thread in set(threading.enumerate()) - before:
        thread.join(60)
        assert not thread.is_alive()


def test_evaluating_changes_nothing() -> None:
    fleet = Fleet(config().seeded(0, 1))
    before = [fleet.state(r) for r in range(2)]
    first = fleet.evaluate("validation")
    assert [loss.tolist() for loss in fleet.evaluate("validation")] == [loss.tolist() for loss in first]
    for r in range(2):
        for name, tensor in fleet.state(r)["parameters"].items():
            assert torch.equal(tensor, before[r]["parameters"][name])
        assert fleet.state(r)["source"] == before[r]["source"]
