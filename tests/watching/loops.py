"""The oracle of watched layers: a plain loop over time in float64, with a leaf of autograd at every state."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn


@dataclass
class Loop:
    """The states [T][B][H] of each layer and direction, position by position; None beyond a sequence's end."""

    h: list[list[list[Tensor]]]
    c: list[list[list[Tensor]]]
    output: Tensor
    last_h: Tensor
    last_c: Tensor


def run_loop(module: nn.RNNBase, x: Tensor, lengths: list[int], first: tuple[Tensor, ...] = ()) -> Loop:
    """The module without dropout on x [T, B, I], sample by sample and timestep by timestep."""
    T, B, _ = x.shape
    D, H, double = 2 if module.bidirectional else 1, module.hidden_size, x.double()
    h_all, c_all, last_h, last_c = [], [], [], []
    for layer in range(module.num_layers):
        outputs = []
        for d in range(D):
            suffix = f"l{layer}" + ("_reverse" if d else "")
            weights = {
                name: getattr(module, f"{name}_{suffix}").detach().double()
                for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
            }
            index = layer * D + d
            hs = [[torch.zeros(H, dtype=torch.float64)] * B for _ in range(T)]
            cs = [[torch.zeros(H, dtype=torch.float64)] * B for _ in range(T)]
            ends = []
            for b in range(B):
                h = first[0][index, b].double() if first else torch.zeros(H, dtype=torch.float64)
                c = first[-1][index, b].double() if first else torch.zeros(H, dtype=torch.float64)
                positions = range(lengths[b]) if not d else reversed(range(lengths[b]))
                for t in positions:
                    h, c = _timestep(module.mode, double[t, b], h, c, weights)
                    h.retain_grad()
                    if module.mode == "LSTM":
                        c.retain_grad()
                    hs[t][b], cs[t][b] = h, c
                ends.append((h, c))
            h_all.append(hs)
            c_all.append(cs)
            last_h.append(torch.stack([h for h, _ in ends]))
            last_c.append(torch.stack([c for _, c in ends]))
            outputs.append(torch.stack([torch.stack(row) for row in hs]))
        double = torch.cat(outputs, -1)
    return Loop(h_all, c_all, double, torch.stack(last_h), torch.stack(last_c))


def _timestep(mode: str, x: Tensor, h: Tensor, c: Tensor, w: dict[str, Tensor]) -> tuple[Tensor, Tensor]:
    if not x.requires_grad and not h.requires_grad:
        x = x.clone().requires_grad_()
    gx, gh = w["weight_ih"] @ x + w["bias_ih"], w["weight_hh"] @ h + w["bias_hh"]
    if mode == "LSTM":
        i, f, g, o = (gx + gh).chunk(4)
        c = f.sigmoid() * c + i.sigmoid() * g.tanh()
        return o.sigmoid() * c.tanh(), c
    if mode == "GRU":
        (xr, xz, xn), (hr, hz, hn) = gx.chunk(3), gh.chunk(3)
        z = (xz + hz).sigmoid()
        return (1 - z) * (xn + (xr + hr).sigmoid() * hn).tanh() + z * h, c
    return ((gx + gh).tanh() if mode == "RNN_TANH" else (gx + gh).relu()), c


def norms(states: list[list[Tensor]]) -> Tensor:
    """||dL/dstate_t||_F at every position, [T], after a backward pass."""
    rows = [[state.grad for state in row if state.requires_grad and state.grad is not None] for row in states]
    return torch.tensor([float(torch.cat(row).norm()) if row else 0.0 for row in rows], dtype=torch.float64)
