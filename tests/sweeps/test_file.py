"""Laws of a sweep file: a set of runs, the product of its axes, each checked; problems are reported in place."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar, Literal

import pytest
from pydantic import Field

from rnnlab.clips import Clip
from rnnlab.config import load_config
from rnnlab.errors import ConfigError
from rnnlab.names import check_name
from rnnlab.sweeps.file import Sweep, load_sweep
from rnnlab.sweeps.file.naming import name_of

BASE = {"task": "addition", "model": {"hidden": 5}}


def sweep(axes: Any = None, base: Any = BASE, **more: Any) -> Sweep:
    return load_sweep({"base": base, **({} if axes is None else {"axes": axes}), **more})


def settings(loaded: Sweep) -> list[dict[str, Any]]:
    return [dict(member.settings) for member in loaded.members]


def test_grid_is_the_product_and_zip_goes_together() -> None:
    loaded = sweep(
        {
            "grid": {"model.cell": ["rnn", "lstm"], "clip": ["none", "norm"]},
            "zip": {"task.length": [10, 20], "train.updates": [1, 2]},
        },
        seeds=3,
    )
    assert len(loaded.members) == 2 * 2 * 2 * 3
    assert {(one.config.task.timesteps, one.config.train.updates) for one in loaded.members} == {(10, 1), (20, 2)}
    assert loaded.axes == ["model.cell", "clip", "task.length", "train.updates", "seed"]
    assert len({member.identity for member in loaded.members}) == 24


def test_names_are_readable_valid_and_unique() -> None:
    grid = {
        "model.cell": ["rnn", "lstm"],
        "model.init.recurrent": ["orthogonal", "identity"],
        "clip": ["none", {"name": "norm", "threshold": 1}],
        "optimizer.lr": [0.1, 0.01],
    }
    loaded = sweep({"grid": grid, "list": [{"task.length": 10}, {"task.length": 200}]}, seeds=[3, 4])
    names = [member.name for member in loaded.members]
    assert len(set(names)) == len(names) == 64
    assert "lstm-orthogonal-clip1-T200-lr0.01-s3" in names
    for member in loaded.members:
        check_name(member.name)
        assert member.config.name == member.name


@pytest.mark.parametrize(
    ("axes", "names"),
    [
        ({"clip": ["none", "norm"]}, ["lstm-noclip-T100-s0", "lstm-clip1-T100-s0"]),
        ({"clip.name": ["value", "adjoint"]}, ["lstm-value1-T100-s0", "lstm-adjoint1-T100-s0"]),
        ({"clip.threshold": [0.25, 5]}, ["lstm-clip0.25-T100-s0", "lstm-clip5-T100-s0"]),
    ],
)
def test_a_clip_is_named_by_its_short_name_and_its_options(axes: dict[str, Any], names: list[str]) -> None:
    loaded = load_sweep({"base": {"task": "addition", "clip": "norm"}, "axes": {"grid": axes}})
    assert [member.name for member in loaded.members] == names


class _Softly(Clip):
    name: Literal["softly"] = "softly"
    threshold: float = Field(default=1.0, description="bound")
    hard: bool = Field(default=False, description="form")
    by: str | None = Field(default=None, description="form")


class _Bare(Clip):
    short: ClassVar[str] = "bare-"
    name: Literal["barely"] = "barely"


@pytest.mark.parametrize(
    ("clip", "name"), [(_Softly(threshold=0.1), "lstm-softly0.1-false-none-T100-s0"), (_Bare(), "lstm-bare-T100-s0")]
)
def test_a_clip_of_several_options_or_none_has_a_name(clip: Clip, name: str) -> None:
    config = load_config({"task": "addition"}).model_copy(update={"clip": clip})
    assert name_of(config, ["clip"], None, [("clip", clip.model_dump())]) == name
    check_name(name)


def test_runs_that_are_the_same_are_one() -> None:
    loaded = sweep({"grid": {"optimizer.lr": [0.1, 0.1, 0.2]}})
    assert (len(loaded.members), loaded.repeated) == (2, 1)


def test_more_samples_begin_with_the_same_ones() -> None:
    axes = {"seed": 1, "optimizer.lr": {"log_uniform": [1e-4, 1e-1]}, "model.hidden": {"integers": [2, 9]}}
    few, many = (settings(sweep({"random": {"samples": n, **axes}})) for n in (5, 20))
    assert many[:5] == few
    assert all(1e-4 <= one["optimizer.lr"] <= 1e-1 and 2 <= one["model.hidden"] <= 9 for one in many)


def test_null_is_a_value_that_can_be_drawn() -> None:
    """model.forget_bias is null where no bias is added; a sample of it is what the list says, null included."""
    axes = {"samples": 12, "model.forget_bias": {"choice": [None, 1.0]}, "optimizer.lr": {"uniform": [0, 1]}}
    loaded = sweep({"random": axes})
    drawn = [one["model.forget_bias"] for one in settings(loaded)]
    assert set(drawn) == {None, 1.0}
    assert [member.config.model.forget_bias for member in loaded.members] == drawn


def test_a_set_changes_the_base_and_not_an_axis() -> None:
    given = {"base": BASE, "axes": {"grid": {"model.hidden": [3, 4]}}}
    assert {one.config.train.batch for one in load_sweep(given, ["train.batch=7", "seeds=2"]).members} == {7}
    assert len(load_sweep(given, ["seeds=2"]).members) == 4
    with pytest.raises(ConfigError, match=r"model\.hidden is an axis of this sweep"):
        load_sweep(given, ["model.hidden=7"])


def test_the_base_may_be_a_file_beside(tmp_path: Path) -> None:
    (tmp_path / "base.yaml").write_text("task: addition\nname: mine\n")
    (tmp_path / "sweep.yaml").write_text("base: base.yaml\nseeds: 2\n")
    assert [one.name for one in load_sweep(tmp_path / "sweep.yaml").members] == [
        "mine-lstm-T100-s0",
        "mine-lstm-T100-s1",
    ]


BAD = [
    ({"grid": {"model.cel": ["rnn"]}}, r"model\.cel: there is no such key.*did you mean 'model\.cell'"),
    ({"grid": {"name": ["a"]}}, "no different run"),
    ({"grid": {"model.hidden": []}}, "without values"),
    ({"grid": {"model.hidden": 3}}, r"write \[3\]"),
    ({"gird": {}}, "did you mean 'grid'"),
    ({"zip": {"task.length": [10, 20], "train.updates": [1]}}, r"task\.length has 2, train\.updates has 1"),
    ({"grid": {"model.hidden": [1]}, "list": [{"model.hidden": 2}]}, "an axis already"),
    ({"random": {"model.hidden": {"integers": [1, 2]}}}, "samples: must be a whole number"),
    ({"random": {"samples": 2}}, "no key to draw"),
    ({"random": {"samples": 2, "model.hidden": {"integers": [5, 2]}}}, "5 is not below 2"),
    ({"random": {"samples": 2, "model.hidden": {"poisson": [5]}}}, "there are uniform"),
    ({"list": []}, "not empty"),
    ({"grid": {"model.hidden": [1, -2]}}, r"model\.hidden: must be above 0, not -2 \(with model\.hidden=-2\)"),
]


@pytest.mark.parametrize(("axes", "message"), BAD)
def test_mistakes_are_told(axes: Any, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        sweep(axes)


@pytest.mark.parametrize("distribution", ["uniform", "log_uniform", "integers", "normal"])
@pytest.mark.parametrize("numbers", [[1, 10**400], [-1.7e308, 1.7e308]])
def test_numbers_that_would_overflow_are_refused(distribution: str, numbers: list[float]) -> None:
    with pytest.raises(ConfigError, match=rf"optimizer\.lr: {distribution} takes numbers from -1e\+300 to 1e\+300"):
        sweep({"random": {"samples": 1, "optimizer.lr": {distribution: numbers}}})


@pytest.mark.parametrize("seeds", [0, -1, [], [1, 1], "x", True, [1.5]])
def test_seeds_are_checked(seeds: Any) -> None:
    with pytest.raises(ConfigError, match="seed"):
        sweep(seeds=seeds)


def test_what_fails_only_in_combination_says_which_and_where(tmp_path: Path) -> None:
    file = tmp_path / "sweep.yaml"
    file.write_text(
        "base: {task: addition}\naxes:\n  grid:\n    clip: [none, norm]\n    clip.threshold: [1, 2]\nseeds: 2\n"
    )
    with pytest.raises(ConfigError) as caught:
        load_sweep(file)
    first = str(caught.value).splitlines()[0]
    assert first.startswith(f"{file}:5:22: clip.threshold: is an option of norm, value, adjoint, not of none")
    assert "(with clip='none', clip.threshold=1, seed=0; and 1 more combination)" in first


def test_a_config_is_no_sweep() -> None:
    with pytest.raises(ConfigError, match="`rnnlab train`"):
        load_sweep({"task": "addition"})


@pytest.mark.parametrize(
    "text",
    [
        "axes:\n  grid:\n" + "".join(f"    model.hiden{n}: [1]\n" for n in range(1000)),
        "axes:\n  list:\n" + "".join(f"  - {{model.hiden{n}: 1}}\n" for n in range(1000)),
        "axes:\n" + "".join(f"  gird{n}: 1\n" for n in range(1000)),
        "seeds: 3\n" + "".join(f"sedes{n}: 1\n" for n in range(1000)),
        "seeds: 9999999\n" + "".join(f"sedes{n}: 1\n" for n in range(1000)),
    ],
    ids=["axes", "list", "kinds", "keys", "size"],
)
def test_thousands_of_mistakes_are_not_all_told(text: str, tmp_path: Path) -> None:
    """Fifty thousand took ten seconds and six megabytes."""
    file = tmp_path / "s.yaml"
    file.write_text(f"base: {{task: addition}}\n{text}")
    with pytest.raises(ConfigError, match=r"\.\.\. and 9\d\d more") as caught:
        load_sweep(file)
    assert len(str(caught.value).split("\n")) == 51
