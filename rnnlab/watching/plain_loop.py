"""A call of a fused module as a plain loop in float64, with small changes of a state carried along by differences.

It shares no code with the scan: torch's weights, one timestep after another. Slow, and meant to be.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import linear

from rnnlab.watching.dropout import dropout_masks
from rnnlab.watching.layers import FusedWeights, directions_of
from rnnlab.watching.replay import Call
from rnnlab.watching.sequences import reverse, timesteps_of

_STEP = 1e-7
"""The size of a central difference, relative to the states. Smaller ones round, larger ones cross kinks of a relu."""
SAMPLES = 8
"""Of the batch, in the differences. The samples of a layer do not act on each other, so some stand for all."""

Timestep = Callable[[Tensor, Tensor, Tensor], tuple[Tensor, Tensor]]


@dataclass(frozen=True)
class Moved:
    """Values [..., B, N], and what changes in the first samples of them: [K, B', N] for each of K changes."""

    value: Tensor
    change: Tensor


@dataclass(frozen=True)
class Carried:
    """What a module gives, `output` [T, B, N] and the last `h` and `c` [layers * directions, B, H], and the changes.

    added: zeros [K, B, H] that were added to the state at each of K timesteps; a gradient of them is that of the state.
    """

    given: dict[str, Tensor]
    changes: dict[str, Tensor]
    added: Tensor


class PlainLoop:
    """One call, to be run with a change of one layer and direction."""

    def __init__(self, call: Call) -> None:
        self._module, self._mode, self._D = call.module, call.module.mode, directions_of(call.module)
        self._x = call.layout.time_major(call.x).cpu().double()
        self._first = [call.layout.states(state).cpu().double() for state in call.first]
        self._weights = [_double(weights) for weights in call.weights]
        self._lengths = call.layout.lengths(*self._x.shape[:2])
        self._masks = dropout_masks(call, call.module.num_layers, self._D * call.module.hidden_size, torch.float64)

    @property
    def shape(self) -> tuple[int, int, int]:
        """Timesteps, samples and units."""
        return self._x.shape[0], self._x.shape[1], self._module.hidden_size

    def run(self, index: int, timesteps: Sequence[int], direction: Tensor) -> Carried:
        """Change the state of the layer and direction with this index along `direction` [B', H], at each timestep."""
        _, B, H = self.shape
        added = torch.zeros(len(timesteps), B, H, dtype=torch.float64, requires_grad=True)
        rows = [Moved(x, x.new_zeros(len(timesteps), len(direction), x.shape[-1])) for x in self._x]
        ends: list[tuple[Moved, Moved]] = []
        for layer in range(self._module.num_layers):
            both = []
            for d in range(self._D):
                here = layer * self._D + d
                starts = (added, direction, timesteps) if here == index else None
                states, end = self._run_layer(here, bool(d), rows, starts)
                both.append(states)
                ends.append(end)
            rows = [_joined(parts, -1) for parts in zip(*both, strict=True)]
            if self._masks and layer < self._module.num_layers - 1:
                rows = [_masked(row, mask) for row, mask in zip(rows, self._masks[layer], strict=True)]
        h, c = zip(*ends, strict=True)
        stacked = {"output": _stacked(rows), "h": _stacked(h), "c": _stacked(c)}
        return Carried(
            {name: moved.value for name, moved in stacked.items()},
            {name: moved.change for name, moved in stacked.items()},
            added,
        )

    def _run_layer(
        self, index: int, backwards: bool, rows: list[Moved], starts: tuple[Tensor, Tensor, Sequence[int]] | None
    ) -> tuple[list[Moved], tuple[Moved, Moved]]:
        """The states h of one layer and direction at each timestep, and the last h and c."""
        (T, B, H), (K, some) = self.shape, rows[0].change.shape[:2]
        at = timesteps_of(self._lengths, T)
        if backwards:
            at = reverse(at[..., None], self._lengths)[..., 0]
            rows = self._reversed(rows)
        first = [state[index] for state in self._first] or [torch.zeros(B, H, dtype=torch.float64)]
        nothing = torch.zeros(K, some, H, dtype=torch.float64)
        h, c = Moved(first[0], nothing), Moved(first[-1], nothing)
        states = []
        for x, t in zip(rows, at, strict=True):
            alive = (t >= 0)[:, None]
            new_h, new_c = _moved_timestep(self._timestep_of(index), x, h, c)
            if starts is not None:
                new_h = _started(new_h, t, *starts)
            h, c = _chosen(alive, new_h, h), _chosen(alive, new_c, c)
            states.append(_chosen(alive, h, Moved(torch.zeros_like(h.value), nothing)))
        return self._reversed(states) if backwards else states, (h, c)

    def _timestep_of(self, index: int) -> Timestep:
        return lambda x, h, c: timestep(self._mode, self._weights[index], x, h, c)

    def _reversed(self, rows: list[Moved]) -> list[Moved]:
        stacked, K, some = _stacked(rows), *rows[0].change.shape[:2]
        values = reverse(stacked.value, self._lengths)
        # [T, K, B', N], in which the samples have the lengths that they have.
        changes = reverse(stacked.change.flatten(1, 2), self._lengths[:some].repeat(K)).unflatten(1, (K, some))
        return [Moved(value, change) for value, change in zip(values, changes, strict=True)]


def timestep(mode: str, weights: FusedWeights, x: Tensor, h: Tensor, c: Tensor) -> tuple[Tensor, Tensor]:
    """h and c after one timestep, as torch documents its layers; c is left alone where there is none."""
    gx, gh = linear(x, weights.ih, weights.b_ih), linear(h, weights.hh, weights.b_hh)
    if mode == "LSTM":
        i, f, g, o = (gx + gh).chunk(4, -1)
        c = f.sigmoid() * c + i.sigmoid() * g.tanh()
        return o.sigmoid() * c.tanh(), c
    if mode == "GRU":
        (xr, xz, xn), (hr, hz, hn) = gx.chunk(3, -1), gh.chunk(3, -1)
        z, n = (xz + hz).sigmoid(), (xn + (xr + hr).sigmoid() * hn).tanh()
        return (1 - z) * n + z * h, c
    return ((gx + gh).tanh() if mode == "RNN_TANH" else (gx + gh).relu()), c


def _moved_timestep(step: Timestep, x: Moved, h: Moved, c: Moved) -> tuple[Moved, Moved]:
    """One timestep, and the central difference of it along the changes.

    Each change is first brought to one size, so that it is still seen when it has become 1e-100.
    """
    given = (x, h, c)
    values = step(x.value, h.value, c.value)
    if not any(bool(moved.change.any()) for moved in given):
        return Moved(values[0], h.change), Moved(values[1], c.change)
    with torch.no_grad():
        some = [moved.value[: moved.change.shape[1]].detach() for moved in given]
        size = torch.stack([moved.change.abs().amax(-1, keepdim=True) for moved in given]).amax(0)
        height = torch.stack([value.abs().amax(-1, keepdim=True) for value in some]).amax(0).clamp(min=1)
        factor = (_STEP * height / size.clamp(min=1e-290)).where(size > 0, torch.ones_like(size))
        up = step(*(value + factor * moved.change for value, moved in zip(some, given, strict=True)))
        down = step(*(value - factor * moved.change for value, moved in zip(some, given, strict=True)))
        new_h, new_c = ((after - before) / (2 * factor) for after, before in zip(up, down, strict=True))
    return Moved(values[0], new_h), Moved(values[1], new_c)


def _started(h: Moved, t: Tensor, added: Tensor, direction: Tensor, timesteps: Sequence[int]) -> Moved:
    """The state with the changes that begin here; t [B] is the timestep that each sample is at."""
    here = (t == torch.tensor(timesteps)[:, None]).double()[..., None]
    return Moved(h.value + (added * here).sum(0), h.change + direction * here[:, : len(direction)])


def _chosen(which: Tensor, first: Moved, other: Moved) -> Moved:
    some = which[: first.change.shape[1]]
    return Moved(torch.where(which, first.value, other.value), torch.where(some, first.change, other.change))


def _masked(row: Moved, mask: Tensor) -> Moved:
    return Moved(row.value * mask, row.change * mask[: row.change.shape[1]])


def _joined(parts: Sequence[Moved], dim: int) -> Moved:
    return Moved(torch.cat([part.value for part in parts], dim), torch.cat([part.change for part in parts], dim))


def _stacked(rows: Sequence[Moved]) -> Moved:
    return Moved(torch.stack([row.value for row in rows]), torch.stack([row.change for row in rows]))


def _double(weights: FusedWeights) -> FusedWeights:
    ih, hh, b_ih, b_hh = (None if tensor is None else tensor.detach().cpu().double() for tensor in weights)
    assert ih is not None
    assert hh is not None
    return FusedWeights(ih, hh, b_ih, b_hh)
