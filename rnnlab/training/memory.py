"""A forecast of the memory that a training takes at its peak, from the sizes of its arrays. It needs no torch.

Each figure counts arrays that the code really makes: what a fleet keeps, and what an update, a probe, an evaluation and
a checkpoint hold besides for a while. The sizes are those of `sizes.py`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from rnnlab.errors import DataMissingError
from rnnlab.training.sizes import DRAWN_AT_ONCE, Sizes

if TYPE_CHECKING:
    from rnnlab.config import Config
    from rnnlab.optimizers import OptimizerPart

MIB = 2**20
_FAST_PROCESS, _GENERAL_PROCESS = 460 * MIB, 395 * MIB
"""A process that has torch loaded, and for the fast scan Numba and the compiled loops, before it trains."""
_SLOTS = {"sgd": 0, "adagrad": 1, "rmsprop": 1}
"""Numbers that an optimizer remembers of each parameter, where it is not two; options may add to them."""


@dataclass(frozen=True)
class MemoryForecast:
    """Bytes that a training takes: what it keeps, and on top of that the most of what comes and goes.

    >>> from rnnlab.config import load_config
    >>> given = {"task": {"name": "addition", "length": 1000}, "train": {"batch": 20_000}, "model": {"hidden": 10_000}}
    >>> forecast_memory([load_config(given)]).peak // 10**12  # terabytes
    11
    """

    process: int
    """Python, torch and the compiled loops."""
    data: int
    """The data files."""
    weights: int
    """Weights, and what the optimizer remembers."""
    scan: int
    """States, gates and gradients of all timesteps."""
    evaluation: int
    """The states of an evaluation batch."""
    update: int
    """An update: its sequences, the loss, the parameters' gradients."""
    probes: int
    """A measured update."""
    evaluating: int
    """An evaluation, besides the states."""
    saving: int
    """A checkpoint."""
    starting: int
    """The initial weights, before anything of the scan is there."""

    @property
    def beyond_process(self) -> int:
        """The peak without the process itself."""
        kept = self.scan + self.evaluation + max(self.update, self.probes, self.evaluating, self.saving)
        return self.data + self.weights + max(kept, self.starting)

    @property
    def peak(self) -> int:
        """The most that there is at once."""
        return self.process + self.beyond_process


def forecast_memory(configs: list[Config], *, threads: int = 1, fast: bool | None = None) -> MemoryForecast:
    """What a fleet of these runs, all of one shape, takes in memory.

    fast: whether it runs on the compiled scan, or on torch's fused layers, whose readings come from it; without it, as
    on a machine without a GPU.
    """
    config = configs[0]
    if fast is None:
        cuda = config.device.startswith("cuda")
        fast = not cuda and config.train.scan != "general" and not config.train.detach
        fast = fast and config.model.build_cell().rule() is not None
    sizes = Sizes.of(config, len(configs), threads)
    parts = _fast_parts(config, sizes) if fast else _general_parts(config, sizes)
    slots = max(_slots(config.optimizer) for config in configs)
    of_row = sizes.R * sizes.P * sizes.item
    return MemoryForecast(
        process=_FAST_PROCESS if fast else _GENERAL_PROCESS,
        data=_data_bytes(config),
        weights=of_row * (1 + slots),
        scan=parts.scan,
        evaluation=parts.evaluation,
        # Gradients by parameter, as rows, clipped, and one more row while they are scaled.
        update=parts.update + 4 * of_row + _fused_layers(config, sizes) + _penalty(config, sizes),
        probes=parts.probes,
        evaluating=parts.evaluating,
        # A copy of one replica's state, and that copy as bytes, whose room grows by an eighth at a time.
        saving=int(2.2 * sizes.P * sizes.item * (1 + slots)) + parts.batch,
        starting=sizes.R * sizes.P * 8 + 3 * sizes.largest * 8 + of_row,
    )


def _data_bytes(config: Config) -> int:
    """The size of the data files; 0 for missing ones, which are reported where they are opened."""
    try:
        return sum(path.stat().st_size for path in config.task.files())
    except (DataMissingError, OSError):
        return 0


def _slots(optimizer: OptimizerPart) -> int:
    more = sum(bool(getattr(optimizer, option, 0)) for option in ("momentum", "centered", "amsgrad"))
    return _SLOTS.get(optimizer.key(), 2) + more


class _Parts(NamedTuple):
    """What the two scans need, by the names of MemoryForecast; batch: the sequences of an update."""

    scan: int
    evaluation: int
    update: int
    probes: int
    evaluating: int
    batch: int


def _fast_parts(config: Config, n: Sizes) -> _Parts:
    rows, states = n.rows(n.B), n.H * n.item * (n.states + n.width)
    read = n.R * n.S * n.B
    of_layers = n.R * (n.blocks + 1) * n.P * n.item
    # Exponents and four squares a row, and dL/dx for all layers but the first.
    scan = n.layers * rows * (states + 40) + (n.layers - 1) * rows * n.H * n.item + of_layers
    batch, drawing = _batch(n, n.B), n.T * n.B * 32
    upstream = read * (n.H * n.item + 8) + (rows * 8 if n.layers > 1 else 0)
    head = _read_out(n, n.B) + read * (n.H * 8 + n.O * 24)
    return _Parts(
        scan=scan,
        evaluation=n.layers * n.rows(n.chunk) * states,
        update=2 * batch + max(head, drawing, upstream),
        probes=batch + upstream + _fast_probes(config, n) + (scan + upstream if _reads_unclipped(config) else 0),
        evaluating=batch + upstream + _evaluating(config, n) + _read_out(n, n.chunk),
        batch=batch + upstream,
    )


def _penalty(config: Config, n: Sizes) -> int:
    """A pass in float64 with every row kept, a forward one, and gradients by parameter as the penalty gives them."""
    if not config.penalised:
        return 0
    kept = n.layers * n.rows(n.B) * (6 * n.gates + 8 * n.states + 4)
    graphs = n.R * config.penalty.rows_at_once(n.T, n.B) * (14 * n.gates + 8 * n.states)
    return 8 * (n.H * (kept + graphs) + 6 * n.R * n.P)


def _fused_layers(config: Config, n: Sizes) -> int:
    """What torch's fused layers keep on the CPU for their way back: each gate before and after its nonlinearity."""
    return 2 * n.layers * n.rows(n.B) * n.H * n.gates * n.item if config.train.scan == "fused" else 0


def _batch(n: Sizes, B: int) -> int:
    """Sequences, targets and the slots of read-outs."""
    return n.rows(B) * (n.I * n.item + 16) + n.R * n.S * B * 8 * n.O


def _read_out(n: Sizes, B: int) -> int:
    """The states that are read out, in their own format and in float64, and what the read-out makes of them."""
    return n.R * n.S * B * (n.H * (n.item + 8) + n.O * 32)


def _evaluating(config: Config, n: Sizes) -> int:
    """The sequences of an evaluation batch, and those that are drawn for it."""
    if not config.task.endless:
        return 2 * _batch(n, n.chunk)
    # Before one drawn block is given up the next is there.
    blocks = 1 + (config.train.evaluate_size > DRAWN_AT_ONCE)
    drawn = blocks * n.rows(DRAWN_AT_ONCE) * (n.I * n.item + 8) + n.T * DRAWN_AT_ONCE * 24
    return 2 * _batch(n, n.chunk) + drawn


def _fast_probes(config: Config, n: Sizes) -> int:
    rows, read, given = n.rows(n.B), n.R * n.S * n.B, 0
    if "saturation" in config.probe.which:
        whole, masks = rows * n.width * n.H * n.item, rows * n.H * (2 * n.item + 2)
        given = max((n.layers + 1) * whole, n.layers * whole + masks)
    if "adjoint" in config.probe.which:
        through = n.gates * n.H * n.item if n.layers > 1 or n.states > 1 else 0
        below = n.H * (2 * n.item + 24) if n.layers > 1 else 0
        given = max(given, read * (n.layers * 40 + through + below) + rows * 16)
    return max(given, _weight_probes(config, n))


def _reads_unclipped(config: Config) -> bool:
    """Whether a recorded update has a second pass, of the loss alone, in memory of its own."""
    return (config.clip.in_scan() is not None or config.train.detach > 0) and "adjoint" in config.probe.which


def _weight_probes(config: Config, n: Sizes) -> int:
    """Copies of all weights, and of one layer's recurrent weights in float64."""
    copies = 3 * n.R * n.P * n.item if "weights" in config.probe.which else 0
    spectrum = 4 * n.R * n.gates * n.H * n.H * 8 if "spectrum" in config.probe.which else 0
    return max(copies, spectrum + copies // 3)


def _general_parts(config: Config, n: Sizes) -> _Parts:
    rows, read = n.rows(n.B), n.R * n.S * n.B
    unit = rows * n.H
    # By layer and timestep: gates and states, the stack of h, and what the nonlinearities of the states keep.
    kept = n.layers * unit * n.item * (n.gates + n.states + 2)
    adjoints = n.layers * unit * n.item * n.states
    # One layer's pre-activations and their gradient, which autograd adds up; then adjoints in float64.
    backward = unit * n.item * n.gates * 3
    # Between the many small tensors of autograd, freed arrays below 32 MiB leave holes that are not given back.
    holes = min(150 * MIB, 16 * unit * n.item * n.gates)
    readings = unit * n.states * (n.item * 2 + 8 * 4)
    batch = _batch(n, n.B)
    probes = 0
    if "saturation" in config.probe.which:
        probes = n.layers * unit * n.item * n.gates + unit * (2 * n.item + 2)
    if "adjoint" in config.probe.which:
        probes = max(probes, unit * n.item * (2 * n.states + 1) + read * 8 * n.H * (8 * n.gates + 2 * n.states + 2))
    if _reads_unclipped(config):
        probes += kept + max(backward, adjoints + readings)
    states = n.rows(n.chunk) * n.H * n.item
    return _Parts(
        scan=0,
        evaluation=0,
        update=2 * batch + kept + _read_out(n, n.B) + max(backward, adjoints + readings) + holes,
        probes=2 * batch + kept + _read_out(n, n.B) + max(probes, _weight_probes(config, n)) + holes,
        evaluating=batch
        + kept
        + _evaluating(config, n)
        + _read_out(n, n.chunk)
        + states * (2 * n.gates + n.states + 1),
        batch=batch + kept,
    )
