"""Every mistake in a config is answered at its place and in plain words, all of them at once."""

from __future__ import annotations

import contextlib
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from texts import refused

from rnnlab.cells import CELLS
from rnnlab.clips import CLIPS
from rnnlab.config import Config, known_keys, load_config
from rnnlab.errors import ConfigError
from rnnlab.inits import INITS
from rnnlab.tasks import TASKS

ADDITION = "task: addition\n"

MISTAKES = {
    "unknown key": ("hiden: 3", "2:1: hiden: there is no such key"),
    "near key": ("modle: {}", "2:1: modle: there is no such key; did you mean 'model'? (choices: task, model, clip,"),
    "key of a section": ("model: {hiden: 3}", "2:9: model.hiden: there is no such key; did you mean 'hidden'?"),
    "key of another section": ("hidden: 3", "2:1: hidden: there is no such key here; did you mean 'model.hidden'?"),
    "key of a part": ("optimizer: {lrr: 1}", "2:13: optimizer.lrr: there is no such key; did you mean 'lr'?"),
    "key of another part": (
        "clip: {name: none, threshold: 1}",
        "2:31: clip.threshold: is an option of norm, value, adjoint, not of none",
    ),
    "key of the default part": (
        "optimizer: {momentum: .5}",
        "2:23: optimizer.momentum: is an option of sgd, rmsprop, not of adam",
    ),
    "misspelt cell": ("model:\n  cell: lsmt", "3:9: model.cell: 'lsmt' is not known; did you mean 'lstm'?"),
    "misspelt part": (
        "clip: nrom",
        "2:7: clip: 'nrom' is not known; did you mean 'norm'? (choices: none, norm, value,",
    ),
    "misspelt name": ("clip: {name: nrom}", "2:14: clip.name: 'nrom' is not known; did you mean 'norm'?"),
    "name of a wrong type": ("clip: {name: 3}", "2:14: clip.name: must be a name, not 3 (choices: none, norm"),
    "part of a wrong type": ("clip: 3", "2:7: clip: must be a name or a mapping, not 3 (choices: none"),
    "null for a part": ("clip:", "2:6: clip: must be a name or a mapping, not null"),
    "list for a part": ("clip: [norm]", '2:7: clip: must be a name or a mapping, not ["norm"]'),
    "section of a wrong type": ("model: lstm", "2:8: model: must be a mapping of keys, not 'lstm'"),
    "text for a number": ("model: {hidden: abc}", "2:17: model.hidden: must be a whole number, not 'abc'"),
    "quoted number": ("model: {hidden: '3'}", "2:17: model.hidden: must be a whole number, not '3'"),
    "true for a number": ("model: {hidden: true}", "2:17: model.hidden: must be a whole number, not true"),
    "fraction": ("model: {hidden: 2.5}", "2:17: model.hidden: must be a whole number, not 2.5"),
    "null for a number": ("model: {hidden: ~}", "2:17: model.hidden: must be a whole number, not null"),
    "negative": ("model: {layers: -1}", "2:17: model.layers: must be above 0, not -1"),
    "beyond all measure": ("model: {hidden: 1e9}", "2:17: model.hidden: must be 1,000,000 or less, not 1000000000"),
    "negative seed": ("seed: -1", "2:7: seed: must be 0 or more, not -1"),
    "yes": ("optimizer: {name: sgd, nesterov: yes}", "2:34: optimizer.nesterov: must be true or false, not 'yes'"),
    "infinite": ("optimizer: {lr: .inf}", "2:17: optimizer.lr: must be a finite number, not Infinity"),
    "not a number": ("optimizer: {lr: .nan}", "2:17: optimizer.lr: must be a finite number, not NaN"),
    "a digit too many": (f"seed: {10**19}", f"2:7: seed: must be below 9,223,372,036,854,775,808, not {10**19}"),
    "clip of 0": (
        "clip: {name: norm, threshold: 0}",
        "2:31: clip.threshold: must be above 0, not 0; `clip: none` leaves the gradient as it is",
    ),
    "number for text": ("notes: 3", "2:8: notes: must be text (in quotes), not 3"),
    "choice": ("dtype: float16", "2:8: dtype: 'float16' is not known; did you mean 'float64'?"),
    "device": ("device: gpu", "2:9: device: must be auto, cpu, cuda or cuda:N"),
    "cuda without a number": ("device: 'cuda:'", "2:9: device: must be auto, cpu, cuda or cuda:N"),
    "name with a path": ("name: ../x", "2:7: name: '../x' holds /: a name is not a path"),
    "empty name": ("name: ''", "2:7: name: '' is empty"),
    "stop rule": ("train: {stop: error = 1}", "2:15: train.stop: 'error = 1' is no stop rule; write one as"),
    "stop never": ("train: {stop: loss < 0}", "2:15: train.stop: 'loss < 0' can never be met"),
    "probe": ("probe: {which: [adjoint, spectrm]}", "2:26: probe.which[1]: 'spectrm' is not known; did you mean"),
    "probes of a wrong type": ("probe: {which: 3}", "2:16: probe.which: must be a list, not 3"),
    "schedule of a list": ("probe: {schedule: [0, -5]}", "2:23: probe.schedule[1]: must be 0 or more, not -5"),
    "empty schedule": ("probe: {schedule: []}", "2:19: probe.schedule: must be a list that is not empty, not []"),
    "schedule of a number": ("probe: {schedule: 0}", "2:19: probe.schedule: must be above 0, not 0"),
    "timesteps": (
        "probe: {timesteps: al}",
        "2:20: probe.timesteps: must be a whole number or one of the choices, not 'al'",
    ),
    "missing option": ("model: {init: {bias: chrono}}", "2:16: model.init.bias.t_max: is needed: The longest"),
    "init in the wrong place": (
        "model: {init: {recurrent: chrono}}",
        "2:27: model.init.recurrent: 'chrono' cannot draw recurrent; it is for bias",
    ),
    "radius in the wrong place": (
        "model: {init: {input: {name: normal, spectral_radius: 1}}}",
        "2:23: model.init.input: spectral_radius is for the recurrent weight",
    ),
    "preset": ("model: {init: kears}", "2:15: model.init: 'kears' is not known; did you mean 'keras'?"),
    "union of a number and names": (
        "model: {init: {input: {name: uniform, bound: -1}}}",
        "2:46: model.init.input.bound: must be above 0 or one of the choices, not -1 (choices: fan_in, fan_out)",
    ),
    "part's own rule": ("optimizer: {name: sgd, nesterov: true}", "2:12: optimizer: nesterov needs a momentum above 0"),
    "nonlinearity": (
        "model: {nonlinearity: tanh}",
        "2:23: model.nonlinearity: lstm has its nonlinearities fixed; rnn can",
    ),
    "forget gate": ("model: {cell: gru, forget_bias: 1}", "2:33: model.forget_bias: gru has no forget gate; lstm has"),
    "recurrent bias": (
        "model: {cell: gru, recurrent_bias: no}",
        "2:36: model.recurrent_bias: must be true or false, not 'no'",
    ),
    "recurrent bias needed": (
        "model: {cell: gru, recurrent_bias: false}",
        "2:36: model.recurrent_bias: gru cannot be without it",
    ),
    "init of a bias that is not there": (
        "model: {init: {recurrent_bias: normal}}",
        "2:32: model.init.recurrent_bias: this lstm has no recurrent bias to draw; set model.recurrent_bias: true, or",
    ),
    "init of a bias that was refused": (
        "model: {cell: rnn, recurrent_bias: false, init: {preset: torch, recurrent_bias: normal}}",
        "2:81: model.init.recurrent_bias: this rnn has no recurrent bias to draw",
    ),
    "schedule beyond the end": (
        "train: {updates: 5}\nprobe: {schedule: [5, 9]}",
        "3:19: probe.schedule: measures nothing: updates are counted from 0, and the last of this run is 4",
    ),
    "init for other gates": (
        "model: {cell: rnn, init: {bias: {name: chrono, t_max: 9}}}",
        "2:33: model.init.bias: chrono needs a forget gate (lstm) or an update gate (gru)",
    ),
    "forget bias and chrono": (
        "model: {forget_bias: 1, init: {bias: {name: chrono, t_max: 9}}}",
        "2:22: model.forget_bias: would undo what init.bias chrono draws",
    ),
    "updates and epochs": ("train: {updates: 3, epochs: 3}", "2:29: train.epochs: give updates or epochs, not both"),
    "epochs without end": ("train: {epochs: 3}", "2:17: train.epochs: addition draws sequences without end"),
    "stop without evaluations": (
        "train: {stop: loss < 1, evaluate_every: 0}",
        "2:15: train.stop: is judged at evaluations, and evaluate_every is 0",
    ),
    "fast on cuda": (
        "device: cuda:1\ntrain: {scan: fast}",
        "3:15: train.scan: the fast scan runs on the CPU, not on cuda:1",
    ),
    "fused where torch has no such layer": (
        "model: {cell: gru, reset: before}\ntrain: {scan: fused}",
        "3:15: train.scan: torch has no fused layer of this gru, it has rnn_tanh, rnn_relu, lstm, gru; choose general",
    ),
    "fused and the adjoint clip": (
        "clip: adjoint\ntrain: {scan: fused}",
        "3:15: train.scan: the clip adjoint acts inside the scan, and torch's layers know no clip; choose auto",
    ),
    "triton on a cpu": (
        "device: cpu\ntrain: {scan: triton}",
        "3:15: train.scan: Triton runs on CUDA devices, not on cpu; choose fast or auto",
    ),
    "triton in float64": (
        "dtype: float64\ntrain: {scan: triton}",
        "3:15: train.scan: Triton computes in float32 alone; choose general or auto",
    ),
    "triton without a rule": (
        "model: {cell: mgu}\ntrain: {scan: triton}",
        "3:15: train.scan: mgu has no rule in Triton; choose general or auto",
    ),
    "tf32 on a cpu": (
        "device: cpu\ntrain: {tf32: true}",
        "3:15: train.tf32: products in TF32 are made on CUDA devices, not on cpu; leave it false",
    ),
    "tf32 of float64": (
        "dtype: float64\ntrain: {tf32: true}",
        "3:15: train.tf32: is about float32 products, and dtype is float64; leave it false",
    ),
}


@pytest.mark.parametrize(("text", "expected"), MISTAKES.values(), ids=MISTAKES)
def test_a_mistake_is_answered_at_its_place(text: str, expected: str, tmp_path: Path) -> None:
    lines = refused(ADDITION + text, tmp_path)
    assert len(lines) == 1
    assert lines[0].startswith(f"c.yaml:{expected}")
    assert not re.search(r"Input|pydantic|https?:|literal\[|function-|constrained|Value error", lines[0])


TASK_MISTAKES = {
    "none at all": (
        "seed: 1",
        "c.yaml:1:1: task: is needed: What is learned; `length` is the sequence length. (choices: add",
    ),
    "misspelt": (
        "task: additon",
        "c.yaml:1:7: task: 'additon' is not known; did you mean 'addition'? (choices: addition,",
    ),
    "no name": ("task: {length: 3}", "c.yaml:1:7: task: needs a name (choices: addition,"),
    "negative length": ("task: {name: copy, length: -1}", "c.yaml:1:28: task.length: must be 1 or more, not -1"),
    "too short": (
        "task: {name: addition, length: 3}",
        "c.yaml:1:32: task.length: 3 is too short: at least 10 timesteps",
    ),
    "missing path": ("task: text", "c.yaml:1:1: task.path: is needed: text file, UTF-8"),
    "loss": (
        "task: {name: copy, loss: lst}",
        "c.yaml:1:26: task.loss: must be a mapping of keys or one of the choices, not 'lst'; did you mean 'last'?",
    ),
    "loss beyond": (
        "task: {name: copy, length: 10, loss: {single: 99}}",
        "c.yaml:1:47: task.loss.single: timestep 99 is not in every sequence; the shortest has 30 timesteps",
    ),
    "loss misspelt": (
        "task: {name: copy, loss: {singel: 9, single: 1}}",
        "c.yaml:1:27: task.loss.singel: there is no such key; did you mean 'single'? (choices: single)",
    ),
    "length beyond": (
        "task: {name: mnist, length: 99}",
        "c.yaml:1:29: task.length: 99 is more than the 28 timesteps of",
    ),
    "number or name": (
        "task: {name: series, path: x, column: 1.5}",
        "c.yaml:1:39: task.column: must be a whole number or text",
    ),
}


@pytest.mark.parametrize(("text", "expected"), TASK_MISTAKES.values(), ids=TASK_MISTAKES)
def test_a_mistake_in_the_task_is_answered_at_its_place(text: str, expected: str, tmp_path: Path) -> None:
    (line,) = refused(text, tmp_path)
    assert line.startswith(expected)


def test_everything_wrong_comes_at_once_and_in_order(tmp_path: Path) -> None:
    text = """\
task: {name: additon, length: -5}
model:
  cell: rnn
  hidden: -5
  forget_bias: 1
  init: {bias: {name: chrono, t_max: 100}}
train: {updates: 10, epochs: 3, stop: "error < 0.1", evaluate_every: 0}
train: {}
optimizer: {lr: 0, momentum: 1}
"""
    lines = refused(text, tmp_path, "seed=x", "clipp.name=norm", "nonsense")
    assert [re.match(r"(c\.yaml:\d+:\d+|--set [^:]+): ([\w.]*)", line).groups() for line in lines] == [  # type: ignore[union-attr]
        ("c.yaml:1:14", "task.name"),
        ("c.yaml:4:11", "model.hidden"),
        ("c.yaml:5:16", "model.forget_bias"),
        ("c.yaml:6:16", "model.init.bias"),
        ("c.yaml:7:30", "train.epochs"),
        ("c.yaml:7:39", "train.stop"),
        ("c.yaml:8:1", "train"),
        ("c.yaml:9:17", "optimizer.lr"),
        ("c.yaml:9:30", "optimizer.momentum"),
        ("--set seed=x", "seed"),
        ("--set clipp.name=norm", "clipp"),
        ("--set nonsense", "write"),
    ]


def test_a_conflict_with_a_misspelt_key_is_not_reported(tmp_path: Path) -> None:
    (line,) = refused(ADDITION + "model: {cel: rnn, nonlinearity: relu}", tmp_path)
    assert "model.cel: there is no such key; did you mean 'cell'?" in line
    (line,) = refused(ADDITION + "model: {cell: rn, nonlinearity: relu}", tmp_path)
    assert "model.cell: 'rn' is not known" in line


def test_thousands_of_mistakes_are_not_all_told(tmp_path: Path) -> None:
    lines = refused(ADDITION + "".join(f"k{n}: 1\n" for n in range(5000)), tmp_path)
    assert len(lines) == 51
    assert lines[-1] == "... and 4950 more"


def test_of_more_mistakes_than_anyone_made_only_the_first_are_looked_at(tmp_path: Path) -> None:
    """Each takes time, and 50,000 of them took five seconds."""
    lines = refused(ADDITION + "".join(f"k{n}: 1\n" for n in range(6000)), tmp_path)
    assert len(lines) == 51
    assert lines[-1] == "... and more than 4950 more"


@pytest.mark.parametrize("rest", ["a: [", "- 3", "seed: 1"])
def test_a_file_that_is_no_yaml_either_does_not_tell_thousands(rest: str, tmp_path: Path) -> None:
    lines = refused(ADDITION + "seed: 1\n" * 1000 + rest, tmp_path)
    assert 51 <= len(lines) <= 52
    lines = refused("- !x 3\n" * 1000, tmp_path)
    assert len(lines) == 52
    assert "a config is a mapping" in lines[-1]


def test_a_mapping_has_no_places() -> None:
    with pytest.raises(
        ConfigError, match=r"^model\.hidden: must be above 0, not 0\nseed: must be a whole number, not 'x'$"
    ):
        load_config({"task": "addition", "model": {"hidden": 0}, "seed": "x"})


def test_made_directly_a_config_raises_what_pydantic_raises() -> None:
    with pytest.raises(ValidationError, match="rnn has no forget gate"):
        Config.model_validate({"task": "addition", "model": {"cell": "rnn", "forget_bias": 1}})
    assert Config(task="copy") == load_config({"task": "copy"})  # type: ignore[arg-type]


WORDS = st.one_of(st.sampled_from([key.rpartition(".")[2] for key in known_keys()]), st.text(max_size=5))

SCALARS = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), WORDS, st.sampled_from([*TASKS, *CELLS, *INITS, *CLIPS])
)

ANYTHING = st.recursive(
    SCALARS,
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(WORDS, inner, max_size=4)),
    max_leaves=15,
)


@settings(deadline=None)
@given(
    st.dictionaries(st.sampled_from([*Config.model_fields, "x"]), ANYTHING), st.lists(st.text(max_size=20), max_size=2)
)
def test_garbage_gives_a_config_error_and_nothing_else(mapping: Any, sets: list[str]) -> None:
    with contextlib.suppress(ConfigError):
        load_config({"task": "addition", **mapping}, sets)
