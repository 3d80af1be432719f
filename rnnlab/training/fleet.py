"""A fleet: R networks of one shape that train together. A single run is a fleet of one."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import torch
from torch import Tensor

from rnnlab.config.shape import shape_of
from rnnlab.gradients.clipping import clip_each
from rnnlab.gradients.passes import (
    FusedLayers,
    Pass,
    Prediction,
    Scratch,
    Sequences,
    fast_forward,
    fast_pass,
    fused_pass,
    general_forward,
    general_pass,
    prepare_once,
    triton_forward,
    triton_pass,
)
from rnnlab.gradients.triton_check import check_triton
from rnnlab.gradients.view import UpdateView
from rnnlab.network.flat import row_norms
from rnnlab.network.network import Network, Shape, draw
from rnnlab.network.objective import Objective
from rnnlab.scan.fast.disk_cache import take_message
from rnnlab.scan.fast.threads import own_threads
from rnnlab.tasks import Single, Task
from rnnlab.training.detach import drawn_factors
from rnnlab.training.device import Scan, check_tf32, choose_device, choose_scan
from rnnlab.training.optim import Stepper
from rnnlab.training.penalised import gradient_with
from rnnlab.training.sizes import evaluation_chunk
from rnnlab.training.slow_message import saying_if_slow

if TYPE_CHECKING:
    from rnnlab.config import Config
    from rnnlab.tasks import Batch, Source

Floats = np.ndarray[Any, np.dtype[np.float64]]


@dataclass(frozen=True)
class BatchGradients:
    """The result of one batch before the optimizer's step; `losses` and the like have a number for each replica [R]."""

    result: Pass
    """Good until the fleet's next pass: it reads memory that the passes share."""
    sequences: Sequences
    gradients: Tensor
    """What the optimizer will get, one row for each replica: [R, P], like the network's flat parameters."""
    losses: Floats
    grad_norms: Floats
    clipped_norms: Floats
    clipped: Floats
    penalty: Mapping[str, Floats]
    """Its column of metrics.csv; empty where there is none, or where it does not act at this update."""
    finite: np.ndarray[Any, np.dtype[np.bool_]]
    """Whether the loss and the gradient for the optimizer are finite."""


class Fleet:
    """R networks, their data streams and their optimizers: everything of a training except its files.

    configs: one for each replica, all of one shape (`config.shape`). Each replica has its own initial weights, clip,
    options of the optimizer, seed, and so its own stream of data. states: results of `state`, from which the replicas
    continue. scan: the one to go on with; else as the config says.

    >>> from rnnlab.config import load_config
    >>> given = {"task": {"name": "addition", "length": 20}, "model": {"hidden": 5}, "train": {"scan": "general"}}
    >>> fleet = Fleet(load_config(given).seeded(0, 1, 2))
    >>> fleet.update().losses.shape
    (3,)
    """

    def __init__(
        self, configs: Sequence[Config], states: Sequence[Mapping[str, Any]] | None = None, scan: Scan | None = None
    ) -> None:
        if len({shape_of(config) for config in configs}) != 1:
            raise ValueError("the runs of a fleet must be of one shape")
        self.configs, config = list(configs), configs[0]
        self.task, self.batch, self.evaluate_size = config.task, config.train.batch, config.train.evaluate_size
        self.device = choose_device(config.device)
        self.dtype = getattr(torch, config.dtype)
        self.cell = config.model.build_cell()
        self.scan = scan or choose_scan(config, self.device, len(configs))
        check_tf32(config, self.device)
        self.objective = objective(self.task)
        self._bounds = _bounds(configs, self.device)
        self.made: int = states[0].get("updates", 0) if states else 0
        """Updates made."""
        shape = network_shape(config)
        drawn = [_drawn(config) for config in configs] if states is None else [_arrays(state) for state in states]
        self.network = Network.stack(self.cell, shape, drawn, self.dtype, self.device)
        self.parameters = list(self.network.parameters.values())
        assert self.network.flat is not None
        self.flat = self.network.flat
        remembered = None if states is None else [state["optimizer"] for state in states]
        self.stepper = Stepper(self.flat, [config.optimizer for config in configs], remembered)
        self.sources: list[Source] = [config.task.stream(config.seed, config.dtype) for config in configs]
        for source, state in zip(self.sources, states or (), strict=states is not None):
            source.restore(state["source"])
        self.streams = [source.batches(self.batch) for source in self.sources]
        self._scratch, self._evaluation_scratch = Scratch(shape.layers), Scratch(shape.layers)
        self._layers = FusedLayers(self.network) if self.scan == "fused" else None
        self._even: dict[tuple[int, int, int], Tensor] = {}

    def update(self) -> BatchGradients:
        """One update of every replica on the next batch of its stream."""
        batch_gradients = self.compute_gradients()
        self.apply_gradients(batch_gradients)
        return batch_gradients

    def compute_gradients(self) -> BatchGradients:
        """The clipped gradient of the next batch; the weights do not change."""
        batch = self.sequences([next(stream) for stream in self.streams])
        result = self.measure(batch)
        view = UpdateView(self.made, self.network, result, batch, self.objective)
        gradient, penalty = gradient_with(self.configs[0].penalty, view)
        rows, shares = clip_each([config.clip for config in self.configs], gradient)
        if result.clamped is not None:
            shares = _floats(result.clamped)
        losses, clipped_norms = _floats(result.losses), row_norms(rows)
        finite = np.isfinite(losses) & np.isfinite(clipped_norms) & (gradient.log2_norm < np.inf)
        return BatchGradients(result, batch, rows, losses, gradient.norms(), clipped_norms, shares, penalty, finite)

    def apply_gradients(self, batch_gradients: BatchGradients) -> None:
        """Update the weights of the replicas whose loss and gradient are finite, and of no others."""
        # A zero gradient would not do for the others: momentum and weight decay move a weight all the same.
        self.stepper.step(batch_gradients.gradients, batch_gradients.finite)
        self.made += 1

    def measure(self, batch: Sequences) -> Pass:
        """A forward and backward pass; the weights do not change."""
        if self.scan == "fast":
            return fast_pass(self.network, batch, self.objective, self._scratch, bound=self._bounds)
        if self._layers is not None:
            return fused_pass(self.network, batch, self.objective, self._layers)
        if self.scan == "triton":
            return triton_pass(self.network, batch, self.objective, bound=self._bounds)
        factors = drawn_factors(self.configs, self.made, batch.x.shape[1])
        return general_pass(self.network, batch, self.objective, bound=self._bounds, through_h=factors)

    def sequences(self, batches: Sequence[Batch]) -> Sequences:
        """One batch of each replica as tensors [R, T, B, ...], cut to the longest sequence."""
        lengths, T = self._lengths_of(batches)
        per_timestep = self.objective.per_timestep
        x = np.stack([batch.x[:T] for batch in batches])
        y = np.stack([batch.y[:T] if per_timestep else batch.y for batch in batches])
        return Sequences(torch.from_numpy(x).to(self.device), torch.from_numpy(y).to(self.device), lengths)

    def _lengths_of(self, batches: Sequence[Batch]) -> tuple[Tensor, int]:
        """Lengths [R, B] and the longest; where all sequences are T long, always the same tensor."""
        if any(batch.lengths is not None for batch in batches):
            lengths = np.stack([_lengths(batch) for batch in batches])
            return torch.from_numpy(lengths).to(self.device), int(lengths.max())
        T, B = batches[0].x.shape[:2]
        sizes = (len(batches), B, T)
        if sizes not in self._even:
            self._even[sizes] = torch.full(sizes[:2], T, device=self.device)
        return self._even[sizes], T

    def errors(self, prediction: Prediction) -> Floats:
        """The task's error of each replica [R] over a batch, NaN outputs counting as mistakes."""
        mistakes, weights = self._mistakes(prediction)
        return _floats((mistakes * weights).sum((0, 2)) / weights.sum((0, 2)))

    def _mistakes(self, prediction: Prediction) -> tuple[Tensor, Tensor]:
        """Mistakes [S, R, B] and which of them count."""
        outputs, targets, timesteps = prediction.outputs, prediction.targets, prediction.read_out.timesteps
        if self.task.scored is not None:
            scored = torch.as_tensor(list(self.task.scored), device=self.device)
            outputs, targets, timesteps = (part.index_select(1, scored) for part in (outputs, targets, timesteps))
        mistakes = self.task.mistakes(outputs.transpose(0, 1), targets.transpose(0, 1))
        alive = (timesteps >= 0).transpose(0, 1)
        return mistakes.double(), (alive if alive.shape == mistakes.shape else alive[:1]).double()

    @torch.no_grad()
    def evaluate(
        self, split: Literal["validation", "test"], before_chunk: Callable[[], None] = lambda: None
    ) -> tuple[Floats, Floats]:
        """Loss and error of each replica [R] on up to `train.evaluate_size` held-out sequences.

        A test split that has an end is taken whole. `before_chunk` is called before every chunk of sequences, and may
        raise: an evaluation changes nothing.
        """
        whole = split == "test" and self.sources[0].size is not None
        size = 2**31 if whole else self.evaluate_size
        chunk = evaluation_chunk(self.task.timesteps, self.network.layer(0).b.shape[1])
        totals = np.zeros((4, self.network.replicas))
        for batches in zip(*(source.evaluation(split, size, chunk) for source in self.sources), strict=True):
            before_chunk()
            prediction = self.predict(self.sequences(batches))
            mistakes, weights = self._mistakes(prediction)
            read_outs = _floats(prediction.read_out.counts)
            totals += [
                _floats(prediction.losses) * read_outs,
                read_outs,
                _floats((mistakes * weights).sum((0, 2))),
                _floats(weights.sum((0, 2))),
            ]
        return totals[0] / totals[1], totals[2] / totals[3]

    def predict(self, batch: Sequences) -> Prediction:
        """A forward pass alone."""
        if self.scan == "fast":
            top = fast_forward(self.network, batch, self._evaluation_scratch)[-1].hs[:, 1:]
        elif self._layers is not None:
            top = self._layers.forward(self.network, batch, back=False).top
        elif self.scan == "triton":
            top = triton_forward(self.network, batch)[-1].states[0]
        else:
            top = general_forward(self.network, batch)
        read_out = self.objective.read_out(batch.lengths, batch.x.shape[1])
        outputs = self.network.read_out(read_out.gather(top).double())
        targets = self.objective.targets(batch.y, read_out)
        losses = self.objective.losses(outputs, targets, read_out)
        return Prediction(losses=losses, outputs=outputs, targets=targets, read_out=read_out)

    def threads(self) -> AbstractContextManager[None]:
        """The context of a training: it keeps the threads of the scan and those of torch from disturbing each other."""
        return own_threads() if self.scan == "fast" else nullcontext()

    def state(self, r: int) -> dict[str, Any]:
        """A copy of everything that replica r's next update depends on; torch.load reads it with weights_only=True."""
        return {
            "parameters": {name: tensor.cpu().clone() for name, tensor in self.network.replica(r).items()},
            "optimizer": self.stepper.state(r),
            "source": self.sources[r].state(),
        }

    def pick(self, replicas: Sequence[int]) -> Fleet:
        """A fleet of these replicas alone, as they are now, on the same scan."""
        states = [{**self.state(r), "updates": self.made} for r in replicas]
        return Fleet([self.configs[r] for r in replicas], states, scan=self.scan)

    def prepare(self, notify: Callable[[str], None]) -> None:
        """Compile the scan now, or read it from the cache on disk; `notify` gets a message if that takes long."""
        if self.scan == "triton":
            with saying_if_slow(notify, f"compiling the {self.cell.name} scan for {self.device} ..."):
                check_triton(self.cell, self.network.shape.hidden, self.device)
        rule = self.cell.rule()
        if self.scan not in ("fast", "fused") or rule is None:
            return
        if message := take_message():
            notify(message)
        begun = time.perf_counter()
        with saying_if_slow(
            notify, f"loading the {self.cell.name} scan, or compiling it (once; it is kept on disk) ..."
        ):
            compiled = prepare_once(self.cell, self.dtype)
        if compiled:
            notify(f"compiled the {self.cell.name} scan in {time.perf_counter() - begun:.1f} s")


def objective(task: Task) -> Objective:
    """The task's loss and its placement."""
    placement = task.loss.single if isinstance(task.loss, Single) else task.loss
    return Objective(task.kind, placement, task.per_timestep)


def network_shape(config: Config) -> Shape:
    """The sizes of the network that a config describes."""
    model, needs = config.model, config.model.build_cell().needs_recurrent_bias
    recurrent_bias = needs if model.recurrent_bias is None else model.recurrent_bias
    return Shape(config.task.inputs, model.hidden, model.layers, config.task.outputs, recurrent_bias)


def _bounds(configs: Sequence[Config], device: torch.device) -> Tensor | None:
    """The adjoint clip's bound of each replica [R]; one shape means that all have one or none has."""
    bounds = [bound for config in configs if (bound := config.clip.in_scan()) is not None]
    return torch.tensor(bounds, dtype=torch.float64, device=device) if bounds else None


def _drawn(config: Config) -> dict[str, Any]:
    model = config.model
    return draw(model.build_cell(), network_shape(config), model.init, config.seed, model.forget_bias)


def _arrays(state: Mapping[str, Any]) -> dict[str, Any]:
    return {name: tensor.numpy() for name, tensor in state["parameters"].items()}


def _lengths(batch: Batch) -> Any:
    return np.full(batch.x.shape[1], batch.x.shape[0]) if batch.lengths is None else batch.lengths


def _floats(tensor: Tensor) -> Floats:
    return tensor.detach().double().cpu().numpy()
