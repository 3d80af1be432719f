"""What the shipped configs say, and papers before them, comes out again. Minutes, so behind `make reproduce`."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from rnnlab import Run, train

pytestmark = pytest.mark.slow
CONFIGS = Path(__file__).parent.parent / "configs"


def run(name: str, out: Path, *sets: str) -> Run:
    return train(CONFIGS / f"{name}.yaml", sets=["name=null", *sets], out=out)


def rate(one: Run, update: int = 0) -> float:
    """Decades per 100 timesteps of the top layer's h."""
    fit = one.verdict(update).fit
    assert fit is not None
    return fit.rate


def test_an_lstm_adds_over_100_timesteps_and_a_simple_rnn_does_not(tmp_path: Path) -> None:
    """Hochreiter and Schmidhuber (1997): the adding problem."""
    lstm, rnn = run("adding_lstm", tmp_path), run("adding_rnn", tmp_path)
    assert lstm.info["result"]["eval_error"] < 0.01
    assert rnn.info["result"]["test_error"] > 0.5
    assert rate(rnn) < -1


@pytest.mark.parametrize("seed", range(3))
def test_clipping_the_norm_saves_a_network_that_explodes(seed: int, tmp_path: Path) -> None:
    """Pascanu, Mikolov and Bengio (2013)."""
    clipped = run("clipping", tmp_path, f"seed={seed}")
    bare = run("clipping", tmp_path, f"seed={seed}", "clip=none")
    assert clipped.status == "completed"
    assert clipped.info["result"]["test_error"] < 0.2
    assert bare.status == "diverged"


def test_initializers_set_the_rate_of_a_relu_network(tmp_path: Path) -> None:
    """He et al. (2015): relu halves the square of the norm a timestep unless the weights double it."""
    halved = 50 * math.log10(0.5)
    one = ["train.updates=1"]
    assert rate(run("init_xavier", tmp_path, *one)) == pytest.approx(halved, abs=3)
    assert abs(rate(run("init_he", tmp_path, *one))) < 5


def test_chrono_carries_the_gradient_through_784_pixels(tmp_path: Path) -> None:
    """Tallec and Ollivier (2018): with memories of up to T timesteps less than a decade is lost from lag 50 on."""
    chrono = run("mnist_pixels", tmp_path, "train.updates=1").curve(0).set_index("lag")["log10_norm"]
    plain = run("mnist_pixels", tmp_path, "train.updates=1", "model.init.bias=zeros").curve(0).set_index("lag")
    assert chrono[783] > chrono[50] - 1
    assert plain["log10_norm"][783] < -80


def test_spoken_vowels_are_told_apart(tmp_path: Path) -> None:
    assert run("vowels", tmp_path).info["result"]["test_error"] < 0.1


def test_the_keras_model_learns_digits(tmp_path: Path) -> None:
    assert run("keras_stacked_lstm", tmp_path).info["result"]["test_error"] < 0.1
