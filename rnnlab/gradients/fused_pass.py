"""A pass on torch's fused layers (one replica; cuDNN on CUDA): its gradients are theirs, its readings a replay's.

The fused layers know one number format and no exponent. So what they gave is believed where nothing that counts can
have left the format, and else the update is taken again by the compiled scan, which holds any size.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple, final, overload

import numpy as np
import torch
from torch import Tensor

from rnnlab.gradients.compiled_pass import CompiledPass, Scratch, fast_pass
from rnnlab.gradients.fused_layers import FusedLayers, FusedTrace
from rnnlab.gradients.head import head
from rnnlab.gradients.norm_tables import Floats, Table, to_numpy
from rnnlab.gradients.pass_base import Pass, Readings, Sequences
from rnnlab.network.flat import Layout
from rnnlab.network.network import Network
from rnnlab.network.objective import Objective, ReadOut
from rnnlab.scan.scaled import Scaled

_GOLDEN = (math.sqrt(5) - 1) / 2


class Replay(Sequence[Readings]):
    """The same pass on the compiled scan on the CPU, taken when something of it is first asked for: by layer, readings.

    It reads the network's weights, so it must be asked before they change.
    """

    def __init__(self, network: Network, batch: Sequences, objective: Objective, scratch: Scratch) -> None:
        self._network, self._batch, self._objective, self._scratch = network, batch, objective, scratch

    @cached_property
    def network(self) -> Network:
        """The network on the CPU, brought there in one piece where it has its parameters in one."""
        network = self._network
        if network.flat is None:
            on_cpu = {name: value.cpu() for name, value in network.parameters.items()}
        else:
            layout = Layout({name: value.shape[1:] for name, value in network.parameters.items()})
            on_cpu = layout.views(network.flat.cpu())
        return Network(network.cell, network.shape, on_cpu)

    @cached_property
    def taken(self) -> CompiledPass:
        """The pass."""
        batch = self._batch
        on_cpu = Sequences(batch.x.cpu(), batch.y.cpu(), batch.lengths.cpu())
        return fast_pass(self.network, on_cpu, self._objective, self._scratch)

    def gradients_on(self, device: torch.device) -> dict[str, Scaled]:
        """The gradients by parameter, each group of parameters with one tensor of exponents as before."""
        exponents = {id(exponent): exponent.to(device) for _, exponent in self.taken.gradients.values()}
        return {name: Scaled(m.to(device), exponents[id(e)]) for name, (m, e) in self.taken.gradients.items()}

    def __len__(self) -> int:
        return self._network.shape.layers

    @overload
    def __getitem__(self, index: int) -> Readings: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Readings]: ...
    def __getitem__(self, index: int | slice) -> Readings | Sequence[Readings]:
        return self.taken.readings[index]


@final
@dataclass(frozen=True, kw_only=True)
class FusedPass(Pass):
    """A pass on torch's fused layers.

    Its readings, gates and norm tables are those of its `Replay`, and so good until the next pass with the same layers,
    and to be asked for before the weights change. The rest stays.

    >>> from rnnlab.cells import Gru
    >>> from rnnlab.inits import Inits
    >>> from rnnlab.network.network import Shape, draw
    >>> shape = Shape(inputs=2, hidden=3, layers=1, outputs=1, recurrent_bias=True)
    >>> network = Network.stack(Gru(), shape, [draw(Gru(), shape, Inits(), seed=0)])
    >>> batch = Sequences(torch.ones(1, 5, 4, 2), torch.zeros(1, 4, 1), lengths=torch.full((1, 4), 5))
    >>> result = fused_pass(network, batch, Objective("value", "last", False), FusedLayers(network))
    >>> result.again, result.gradients["layer0.W_hh"].mantissa.shape, result.readings[0].squares["h"].shape
    (False, torch.Size([1, 3, 9]), torch.Size([1, 5, 4]))
    """

    replay: Replay
    again: bool
    """Whether the gradients are the replay's too, since the number format may have lost what counts."""

    def gates(self) -> list[list[Tensor]]:
        """By layer and gate: activations [R, T, B, H], on the device of the outputs."""
        return [[gate.to(self.outputs.device) for gate in layer] for layer in self.replay.taken.gates()]

    def direct_log10(self, network: Network, index: int) -> dict[str, Tensor]:
        """By state, log10 of the row norms [R, S, B] of a layer's direct gradients, at the read-out timesteps."""
        of_replay = self.replay.taken.direct_log10(self.replay.network, index)
        return {state: values.to(self.outputs.device) for state, values in of_replay.items()}

    def norm_tables(self, network: Network, lengths: Tensor) -> Iterator[Table]:
        """Norms and percentiles [R, T] of total and direct gradients, for each layer and state; lengths [R, B]."""
        yield from self.replay.taken.norm_tables(self.replay.network, lengths.cpu())


def fused_pass(network: Network, batch: Sequences, objective: Objective, layers: FusedLayers) -> FusedPass:
    """Forward and backward by torch's fused layers, of a network of one replica."""
    trace = layers.forward(network, batch, back=True)
    read_out = layers.read_out(objective, batch.lengths, batch.x.shape[1])
    targets = objective.targets(batch.y, read_out)
    of_top = head(network, objective, read_out, read_out.gather(trace.top), targets)
    replay = Replay(network, batch, objective, layers.scratch)
    of_layers = _gradients(trace, of_top.direct, read_out)
    by_name = replay.gradients_on(batch.x.device) if of_layers is None else of_layers | of_top.gradients
    return FusedPass(
        losses=of_top.losses,
        outputs=of_top.outputs,
        targets=targets,
        read_out=read_out,
        gradients={name: by_name[name] for name in network.parameters},
        readings=replay,
        bounds=None,
        clamped=None,
        replay=replay,
        again=of_layers is None,
    )


class Format(NamedTuple):
    """How far a number format reaches: 2^-smallest is its smallest normal number, and it has `digits` binary places.

    >>> Format.of(torch.float32)
    Format(smallest=126, digits=23)
    """

    smallest: int
    digits: int

    @classmethod
    def of(cls, dtype: torch.dtype) -> Format:
        limits = torch.finfo(dtype)
        return cls(-round(math.log2(limits.tiny)), -round(math.log2(limits.eps)))

    @property
    def begin(self) -> float:
        """The largest entry that goes into the layers: a third of the way up, as more vanishes than explodes."""
        return 2.0 ** (self.smallest // 3)

    @property
    def sure(self) -> float:
        """Numbers of this size have lost nothing to numbers that were too small for the format."""
        return 2.0 ** -(self.smallest // 2)

    @property
    def growth(self) -> float:
        """How much a lost number may grow and still be less than the last digit. 2^20 less, for there are many."""
        return 2.0 ** (self.smallest - self.digits - 20)


def _gradients(trace: FusedTrace, direct: Tensor, read_out: ReadOut) -> dict[str, Scaled] | None:
    """The gradients of the layers' parameters, from dL/dh [1, S, B, H] at the read-outs; None if the format lost some.

    What goes in is scaled by one power of two, so that a small loss begins no nearer to the format's end.
    """
    top, parameters = trace.states[-1], trace.parameters
    limits = Format.of(top.dtype)
    mantissa, exponent = Scaled.of(direct.flatten(1))
    rows = (mantissa * limits.begin).to(top.dtype).view_as(direct)
    slots = read_out.slots[..., None]
    arriving = rows.gather(1, slots.clamp(min=0).expand(-1, -1, -1, rows.shape[-1])).where(slots >= 0, 0)[0]
    # Kept, for the errors may have to be followed through it.
    values = torch.autograd.grad(top, [*parameters.values(), *trace.inputs], arriving, retain_graph=True)
    gradients = dict(zip(parameters, values, strict=False))
    faintest = [
        _faintest(dx, parameters[f"layer{index}.W_ih"], read_out.timesteps.amax(1)[0])
        for index, dx in enumerate(values[len(parameters) :])
    ]
    figures = to_numpy(torch.stack([mantissa.abs().amax(), *_norms(gradients.values()), *faintest]))
    largest, norms, sizes = np.split(figures, [1, 1 + len(parameters)])
    if largest[0] != 0:
        if not ((norms >= limits.sure) & (norms < np.inf)).all():
            return None
        if not (sizes >= limits.sure).all() and not _errors_stay_small(trace, norms, limits):
            return None
    exponent = exponent - round(math.log2(limits.begin))
    return {
        name: Scaled((value.mT if value.dim() == 2 else value)[None], exponent) for name, value in gradients.items()
    }


def _norms(gradients: Iterable[Tensor]) -> list[Tensor]:
    return [torch.linalg.vector_norm(gradient, dtype=torch.float64) for gradient in gradients]


def _faintest(dx: Tensor, W_ih: Tensor, last: Tensor) -> Tensor:
    """What the largest entry of dL/da is at least, in the row where it is least; NaN where W_ih is zero.

    |dL/dx| <= G*H max|W_ih| max|dL/da|, with dx [T, B, I], W_ih [G*H, I]. last [B]: the last timestep that is read out,
    after which nothing arrives.
    """
    sizes = dx.abs().amax(-1).double() / (len(W_ih) * W_ih.detach().abs().amax().double())
    after = torch.arange(len(dx), device=dx.device)[:, None] > last
    return sizes.masked_fill(after, torch.inf).amin()


def _errors_stay_small(trace: FusedTrace, norms: Floats, limits: Format) -> bool:
    """Whether what the format lost at some timestep is nothing beside the gradients of these norms.

    A gradient that vanished on its way back may have grown again from what was lost. So errors of size 1 at every
    timestep of every layer, with signs without a pattern, go back as the gradients did.
    """
    errors = [_signs(states) for states in trace.states]
    grown = torch.autograd.grad(trace.states, list(trace.parameters.values()), errors)
    sizes: Floats = to_numpy(torch.stack(_norms(grown)))
    return bool((sizes / limits.growth < norms).all())


def _signs(like: Tensor) -> Tensor:
    """1 and -1 by turns of the golden ratio: the same each time, and no random state is touched."""
    places = torch.arange(like.numel(), device=like.device, dtype=torch.float64)
    return torch.where((places * _GOLDEN).frac() < 0.5, 1.0, -1.0).to(like.dtype).view(like.shape)
