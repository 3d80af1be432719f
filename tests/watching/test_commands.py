"""The commands on a watched run: shown, listed, reported, verified as any other; not trained again."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import torch
from commands import Call
from torch import nn

import rnnlab
from rnnlab.runs.seals import fields_of, seal_of_file


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A watched run of three updates."""
    model = nn.LSTM(2, 3)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    settings = {"lr": 0.01, "seed": 3}
    with rnnlab.watch(model, tmp_path / "runs" / "mine", optimizer=optimizer, every=1, settings=settings) as watch:
        for _ in range(3):
            model(torch.randn(20, 4, 2))[0][-1].sum().backward()
            optimizer.step()
            watch.log(loss=1.0, accuracy=0.5)
    return watch.run.path


@pytest.mark.usefixtures("run")
def test_it_is_a_run_like_any_other(rnn: Call) -> None:
    assert "mine" in rnn("ls", "runs").out
    shown = rnn("show", "runs/mine")
    assert (shown.code, "3 of 3 records" in shown.out, "vanishing" in shown.out) == (0, True, True)
    assert "1 run in 1 group" in rnn("report", "runs", "--html", "page.html").out
    assert Path("page.html").stat().st_size > 0
    assert rnn("verify", "runs").code == 0
    assert {"accuracy", "verified"} <= set(rnnlab.Run("runs/mine").metrics)


def test_a_changed_file_is_named(rnn: Call, run: Path) -> None:
    text = (run / "gradients.csv").read_text()
    (run / "gradients.csv").write_text(text[:-100])
    result = rnn("verify", "runs")
    assert (result.code, "gradients.csv is cut" in result.out) == (3, True)


@pytest.mark.usefixtures("run")
def test_it_is_not_trained_again(rnn: Call) -> None:
    result = rnn("rerun", "runs/mine", "--check")
    assert (result.code, "run that program again" in result.err) == (2, True)


def test_a_report_says_what_is_not_verified(rnn: Call, run: Path) -> None:
    """With its folder where two runs have one name, and of the first ten."""
    rnnlab.Run(run).dir.update(watch={"records": 3, "not_verified": 2})
    for seed in range(100, 111):
        # In a folder of its own each, under the name that all have.
        copy = shutil.copytree(run, run.parent / str(seed) / run.name)
        config = copy / "config.yaml"
        config.write_text(config.read_text().replace("seed: 3", f"seed: {seed}"))
        files = {**rnnlab.Run(copy).info["files"], **fields_of({config.name: seal_of_file(config)})}
        rnnlab.Run(copy).dir.update(files=files)
    folders = [f"runs/{seed}" for seed in range(100, 111)]
    told = " ".join(rnn("report", "runs", *folders).out.split())
    assert told.count("2 of 3 records of the watched model differ from autograd") == 10
    assert "not verified: 100/mine: 2 of 3" in told
    assert "not verified: 2 more" in told
