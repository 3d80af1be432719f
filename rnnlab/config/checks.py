"""Checks of values that are right alone and wrong together."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from operator import attrgetter
from typing import TYPE_CHECKING, get_args

from rnnlab.cells import CELLS
from rnnlab.cells.fused_modes import FUSED_MODES, fused_mode
from rnnlab.config.cell_options import cell_options, refusals
from rnnlab.config.facts import EXCLUSIVE

if TYPE_CHECKING:
    from rnnlab.cells import Cell
    from rnnlab.config.schema import Config

Key = tuple[str, ...]

CELL: Key = ("model", "cell")
_FIXED = {"nonlinearity": "has its nonlinearities fixed", "reset": "has its reset fixed, or none"}


@dataclass(frozen=True)
class Conflict:
    """Values that are right alone and wrong together.

    >>> from rnnlab.config import Config
    >>> given = {"task": "copy", "model": {"cell": "gru", "forget_bias": 1}}
    >>> [conflict] = conflicts(Config.model_validate(given, context={"checks": False}))
    >>> conflict.key, conflict.message
    (('model', 'forget_bias'), 'gru has no forget gate; lstm has')
    """

    key: Key
    """The key to change first."""
    message: str
    keys: tuple[Key, ...]
    """All keys that the check looked at."""


def conflicts(config: Config) -> Iterator[Conflict]:
    """Everything that the checks find wrong with a config."""
    for check in _CHECKS:
        yield from check(config)


def _cell_options(config: Config) -> Iterator[Conflict]:
    model, cell = config.model, CELLS[config.model.cell]
    refused = [*refusals(cell, model.given_options())]
    for option in cell_options():
        key, value, field = ("model", option), getattr(model, option, None), cell.model_fields.get(option)
        if value is not None and field is None:
            suitable = _named(name for name, cell in CELLS.items() if option in cell.model_fields)
            fixed = _FIXED.get(option, f"has no {option}")
            yield Conflict(key, f"{model.cell} {fixed}; {suitable} can choose", (key, CELL))
        elif field is not None and value not in (choices := get_args(field.annotation)) and choices:
            yield Conflict(key, f"{model.cell} has no {value}; it has {', '.join(choices)}", (key, CELL))
        elif field is not None and value is None and field.is_required():
            yield Conflict(key, f"{model.cell} needs it", (key, CELL))
        elif field is not None:
            yield from (
                Conflict(key, f"of {model.cell} {reason}", (key, CELL)) for of, reason in refused if of == option
            )


def _built(config: Config) -> Cell | None:
    """The cell; None where one of its options is wrong."""
    return None if list(_cell_options(config)) else config.model.build_cell()


def _init(config: Config) -> Iterator[Conflict]:
    model = config.model
    needed, given = CELLS[model.cell].recurrent_init, model.init.recurrent.name
    if needed not in (None, given):
        key = ("model", "init", "recurrent")
        yield Conflict(key, f"{model.cell} has no matrix for {given} to draw; it has {needed}", (key, CELL))
    for place in ("input", "recurrent", "bias", "recurrent_bias"):
        init, key = getattr(model.init, place), ("model", "init", place)
        if reason := init.conflict(CELLS[model.cell].gates):
            yield Conflict(key, f"{init.name} {reason}", (key, ("model", "init", "preset"), CELL))


def _forget_bias(config: Config) -> Iterator[Conflict]:
    model, key, bias = config.model, ("model", "forget_bias"), ("model", "init", "bias")
    if model.forget_bias is None:
        return
    if CELLS[model.cell].forget_gate is None:
        suitable = _named(name for name, cell in CELLS.items() if cell.forget_gate is not None)
        yield Conflict(key, f"{model.cell} has no forget gate; {suitable} has", (key, CELL))
    elif model.init.bias.by_gate:
        message = f"would undo what init.bias {model.init.bias.name} draws for the forget gate; give one of the two"
        yield Conflict(key, message, (key, bias))


def _recurrent_bias(config: Config) -> Iterator[Conflict]:
    model, key, init = config.model, ("model", "recurrent_bias"), ("model", "init", "recurrent_bias")
    if model.recurrent_bias and not model.unchecked_cell().recurrent:
        yield Conflict(key, f"{model.cell} has no recurrent product to add it to; leave it out", (key, CELL))
    if model.recurrent_bias:
        return
    if model.unchecked_cell().needs_recurrent_bias:
        message = f"{model.cell} cannot be without it: it stands inside the product with the reset gate"
        yield Conflict(key, message, (key, CELL))
    # By what it draws, not by whether it was given: a resolved config gives it always, as zeros where there is none.
    elif not model.init.recurrent_bias.nothing:
        message = f"this {model.cell} has no recurrent bias to draw; set model.recurrent_bias: true, or leave this out"
        yield Conflict(init, message, (init, key, ("model", "init", "preset"), CELL))


def _exclusive(config: Config) -> Iterator[Conflict]:
    for pair in EXCLUSIVE:
        if None not in attrgetter(*pair)(config):
            first, second = (tuple(key.split(".")) for key in pair)
            yield Conflict(second, f"give {first[-1]} or {second[-1]}, not both", (second, first))


def _duration(config: Config) -> Iterator[Conflict]:
    train, key, updates = config.train, ("train", "epochs"), ("train", "updates")
    if train.epochs is not None and train.updates is None and config.task.endless:
        message = f"{config.task.name} draws sequences without end, so no epoch ever ends; give train.updates"
        yield Conflict(key, message, (key, updates, ("task",)))


def _stop(config: Config) -> Iterator[Conflict]:
    train, key, interval = config.train, ("train", "stop"), ("train", "evaluate_every")
    if train.stop is not None and train.evaluate_every == 0:
        yield Conflict(key, "is judged at evaluations, and evaluate_every is 0", (key, interval))


def _schedule(config: Config) -> Iterator[Conflict]:
    train, schedule, key = config.train, config.probe.schedule, ("probe", "schedule")
    if train.updates is not None and schedule.first() >= train.updates:
        message = f"measures nothing: updates are counted from 0, and the last of this run is {train.updates - 1}"
        yield Conflict(key, message, (key, ("train", "updates"), ("train", "epochs")))


def _scan(config: Config) -> Iterator[Conflict]:
    key, scan, cell = ("train", "scan"), config.train.scan, config.model.cell
    options = tuple(("model", option) for option in cell_options() if getattr(config.model, option, None) is not None)
    built = _built(config)
    if scan == "fast" and built is not None and built.rule() is None:
        message = f"{cell} has no rule for the fast scan; choose general or auto"
        yield Conflict(key, message, (key, CELL, *options))
    if scan == "fast" and config.device.startswith("cuda"):
        message = f"the fast scan runs on the CPU, not on {config.device}; choose triton, general or auto"
        yield Conflict(key, message, (key, ("device",)))
    if scan == "fused" and built is not None and fused_mode(built) is None:
        known = ", ".join(mode.lower() for mode in FUSED_MODES)
        message = f"torch has no fused layer of this {cell}, it has {known}; choose general or auto"
        yield Conflict(key, message, (key, CELL, *options))
    if scan == "fused" and config.clip.in_scan() is not None:
        message = f"the clip {config.clip.name} acts inside the scan, and torch's layers know no clip; choose auto"
        yield Conflict(key, message, (key, ("clip",)))
    if scan == "triton":
        yield from _triton(config, key, built, options)


def _detach(config: Config) -> Iterator[Conflict]:
    key, scan, cell = ("train", "detach"), ("train", "scan"), CELLS[config.model.cell]
    if not config.train.detach:
        return
    if cell.states != ("h", "c") or config.model.unchecked_cell().owns_step:
        suitable = _named(name for name, cell in CELLS.items() if cell.states == ("h", "c"))
        message = f"{config.model.cell} has no path beside h to keep when h is blocked; {suitable} has"
        yield Conflict(key, message, (key, CELL))
    if config.train.scan not in ("auto", "general"):
        message = f"paths are blocked in the general scan alone, not in {config.train.scan}; choose general or auto"
        yield Conflict(scan, message, (scan, key))


def _penalty(config: Config) -> Iterator[Conflict]:
    if (built := _built(config)) is not None and (reason := config.penalty.reason_against(built)):
        message = f"{config.penalty.name}: {config.model.cell} {reason}; choose another penalty or cell"
        yield Conflict(("penalty",), message, (("penalty",), CELL))


def _triton(config: Config, key: Key, built: Cell | None, options: tuple[Key, ...]) -> Iterator[Conflict]:
    if built is not None and ((rule := built.rule()) is None or not rule.name):
        message = f"{config.model.cell} has no rule in Triton; choose general or auto"
        yield Conflict(key, message, (key, CELL, *options))
    if config.device == "cpu":
        yield Conflict(key, "Triton runs on CUDA devices, not on cpu; choose fast or auto", (key, ("device",)))
    if config.dtype == "float64":
        yield Conflict(key, "Triton computes in float32 alone; choose general or auto", (key, ("dtype",)))


def _tf32(config: Config) -> Iterator[Conflict]:
    key = ("train", "tf32")
    if config.train.tf32 and config.device == "cpu":
        message = "products in TF32 are made on CUDA devices, not on cpu; leave it false"
        yield Conflict(key, message, (key, ("device",)))
    if config.train.tf32 and config.dtype == "float64":
        yield Conflict(key, "is about float32 products, and dtype is float64; leave it false", (key, ("dtype",)))


def _named(names: Iterator[str]) -> str:
    return " and ".join(names)


_CHECKS: tuple[Callable[[Config], Iterator[Conflict]], ...] = (
    _cell_options,
    _init,
    _forget_bias,
    _recurrent_bias,
    _exclusive,
    _duration,
    _stop,
    _schedule,
    _scan,
    _detach,
    _penalty,
    _tf32,
)
