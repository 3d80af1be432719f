"""Configs drawn at random from the tables of parts, all of them right."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from rnnlab.cells import CELLS
from rnnlab.clips import CLIPS
from rnnlab.config.sections import Model
from rnnlab.inits import INITS, PRESETS
from rnnlab.optimizers import OPTIMIZERS
from rnnlab.penalties import PENALTIES
from rnnlab.probes import PROBES
from rnnlab.tasks import TASKS


def part(parts: dict[str, Any]) -> st.SearchStrategy[Any]:
    return st.sampled_from([name for name, one in parts.items() if not one.needs_options()])


SCHEDULED = st.lists(st.integers(0, 10**12)).map(lambda updates: [*updates, 0])


def fitting(config: dict[str, Any]) -> dict[str, Any]:
    """Without what this cell has not: a recurrent matrix to draw, a product to add a bias to."""
    model = dict(config.get("model", {}))
    cell = CELLS[model.get("cell", "lstm")]
    if cell.recurrent_init is not None and isinstance(model.get("init"), dict):
        del model["init"]
    made = Model(cell=cell.key()).build_cell()
    if made.recurrent:
        given = config
    else:
        model.pop("recurrent_bias", None)
        given = {key: value for key, value in config.items() if key != "penalty"}
    return {**given, "model": model} if "model" in config else given


ANY_CONFIG = st.fixed_dictionaries(
    {"task": part({**TASKS})},
    optional={
        "clip": st.one_of(
            part({**CLIPS}), st.builds(lambda t: {"name": "norm", "threshold": t}, st.floats(1e-300, 1e9))
        ),
        "penalty": part({**PENALTIES}),
        "optimizer": part({**OPTIMIZERS}),
        "model": st.fixed_dictionaries(
            {},
            optional={
                "cell": st.sampled_from([*CELLS]),
                "hidden": st.integers(1, 10**6),
                "layers": st.integers(1, 9),
                "recurrent_bias": st.sampled_from([None, True]),
                "init": st.one_of(
                    st.sampled_from([*PRESETS]),
                    st.fixed_dictionaries(
                        {"recurrent": part({n: i for n, i in INITS.items() if "recurrent" in i.places})}
                    ),
                ),
            },
        ),
        "train": st.fixed_dictionaries({}, optional={"batch": st.integers(1, 99), "log_every": st.integers(0, 9)}),
        "probe": st.fixed_dictionaries(
            {},
            optional={
                "which": st.lists(st.sampled_from([*PROBES])),
                "schedule": st.one_of(st.integers(1, 9), SCHEDULED, st.just("log")),
                "timesteps": st.one_of(st.just("all"), st.integers(1, 9)),
            },
        ),
        "seed": st.integers(0, 2**63 - 1),
        "dtype": st.sampled_from(["float32", "float64"]),
        "device": st.sampled_from(["auto", "cpu", "cuda", "cuda:3"]),
        "notes": st.one_of(
            st.none(), st.text(st.characters(exclude_categories=["Cs"])), st.sampled_from(["1e-3", "~"])
        ),
    },
).map(fitting)
