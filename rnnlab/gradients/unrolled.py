"""Passes in float64, timestep by timestep, for probes that ask for more than a pass of the training keeps."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from rnnlab.gradients.autograd_pass import AutogradPass, general_pass
from rnnlab.gradients.pass_base import Pass, Sequences
from rnnlab.network.network import Network
from rnnlab.network.objective import Objective
from rnnlab.scan.scaled import Scaled
from rnnlab.scan.state_map import StateMap


@dataclass(frozen=True, eq=False)
class LayerReplay:
    """One layer of R replicas in float64: what it read, and each state that it gave."""

    map: StateMap
    x: Tensor
    """What it read, [R, T, B, I]."""
    states: Tensor
    """[R, T+1, B, N]: s_{-1} = 0 first, then s_0 to s_{T-1}. After a sequence's end they mean nothing."""
    gates: tuple[Tensor, ...]
    """Activations of each gate, [R, T, B, H]."""
    lengths: Tensor
    """[R, B]"""

    def first(self, samples: int | None) -> LayerReplay:
        """That of the first `samples` sequences alone; None: of all."""
        gates = tuple(gate[:, :, :samples] for gate in self.gates)
        return LayerReplay(
            self.map, self.x[:, :, :samples], self.states[:, :, :samples], gates, self.lengths[:, :samples]
        )

    @property
    def alive(self) -> Tensor:
        """Which timesteps of which sequences count, bool [R, T, B]."""
        return torch.arange(self.x.shape[1])[:, None] < self.lengths[:, None]

    @property
    def h(self) -> Tensor:
        """The hidden states [R, T, B, H]."""
        return self.states[:, 1:].chunk(len(self.map.cell.states), -1)[0]

    def jacobian(self, t: int, r: int, b: int) -> Tensor:
        """ds_t / ds_{t-1} of one sample, [N, N]."""
        return self.map.of(r).jacobian(self.x[r : r + 1, t, b : b + 1], self.states[r : r + 1, t, b : b + 1])[0, 0]


def wide(network: Network) -> Network:
    """The network in float64 on the CPU."""
    parameters = {name: tensor.detach().cpu().double() for name, tensor in network.parameters.items()}
    return Network(network.cell, network.shape, parameters)


@torch.no_grad()
def replay(network: Network, batch: Sequences) -> list[LayerReplay]:
    """By layer, what the cell's definition gives in float64."""
    network, lengths = wide(network), batch.lengths.cpu()
    x, layers = batch.x.cpu().double(), list[LayerReplay]()
    for layer in network.layers:
        mapped = StateMap(network.cell, layer)
        states, gates = [x.new_zeros(x.shape[0], x.shape[2], mapped.size)], list[tuple[Tensor, ...]]()
        for t in range(x.shape[1]):
            after, activated = mapped.with_gates(x[:, t], states[-1])
            states.append(after)
            gates.append(activated)
        by_gate = tuple(torch.stack(gate, 1) for gate in zip(*gates, strict=True))
        layers.append(LayerReplay(mapped, x, torch.stack(states, 1), by_gate, lengths))
        x = layers[-1].h
    return layers


def unrolled_pass(network: Network, batch: Sequences, objective: Objective, result: Pass | None = None) -> AutogradPass:
    """Forward and backward in float64 on the CPU, with every row of the adjoint kept.

    result: the pass of this batch whose adjoint clip and blocked paths hold here too.
    """
    bounds, through_h = (None, None) if result is None else (result.bounds, result.through_h)
    return general_pass(
        wide(network),
        _wide_batch(batch),
        objective,
        bound=None if bounds is None else bounds.cpu(),
        through_h=None if through_h is None else through_h.cpu(),
        keep=True,
    )


def sample_gradients(
    network: Network, batch: Sequences, objective: Objective, result: Pass, samples: slice
) -> dict[str, Scaled]:
    """By parameter, B times what each of these sequences adds to dL/dW of the batch: [R, n, ...], exponents [R, n].

    result: the pass of this batch, as in `unrolled_pass`. Their mean over all B is dL/dW. Each sequence is a replica of
    its own, with a batch of one, in float64.
    """
    network, batch, R = wide(network), _wide_batch(batch), network.replicas
    weights = _weights(batch, objective)[:, samples]
    x, lengths, y = batch.x[:, :, samples], batch.lengths[:, samples], batch.y
    y = y[:, :, samples].transpose(1, 2) if objective.per_timestep else y[:, samples]
    # A batch of one stands behind the timesteps.
    after_time = 2 if objective.per_timestep else 1
    alone = Sequences(
        x.transpose(1, 2).flatten(0, 1).unsqueeze(2), y.flatten(0, 1).unsqueeze(after_time), lengths.flatten()[:, None]
    )
    n = x.shape[2]
    parameters = {
        name: tensor[:, None].expand(R, n, *tensor.shape[1:]).flatten(0, 1)
        for name, tensor in network.parameters.items()
    }
    # The bound is of what the mean loss sends back, of which a sequence alone has more.
    factor = batch.x.shape[2] / weights
    bound = None if result.bounds is None else (result.bounds.cpu()[:, None] * factor).flatten()
    through_h = None if result.through_h is None else result.through_h.cpu().repeat_interleave(n, 1)
    many = Network(network.cell, network.shape, parameters)
    own = general_pass(many, alone, objective, bound=bound, through_h=through_h)
    return {
        name: Scaled(
            mantissa.unflatten(0, (R, n)) * weights.view(R, n, *[1] * (mantissa.dim() - 1)),
            exponent.view(R, n),
        )
        for name, (mantissa, exponent) in own.gradients.items()
    }


def _weights(batch: Sequences, objective: Objective) -> Tensor:
    """The weight of each sequence's mean loss in that of the batch, times B: [R, B]."""
    read_outs = (objective.read_out(batch.lengths, batch.x.shape[1]).timesteps >= 0).sum(1).double()
    return read_outs * (read_outs.shape[1] / read_outs.sum(1, keepdim=True))


def _wide_batch(batch: Sequences) -> Sequences:
    """The batch in float64 on the CPU."""
    y = batch.y.cpu()
    return Sequences(batch.x.cpu().double(), y.double() if y.is_floating_point() else y, batch.lengths.cpu())
