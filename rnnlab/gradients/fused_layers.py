"""A network of one replica on torch's fused layers: on a CPU torch's own loops, on CUDA cuDNN."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from rnnlab.cells.fused_modes import fused_mode
from rnnlab.gradients.compiled_pass import Scratch
from rnnlab.gradients.pass_base import Sequences
from rnnlab.network.network import Network


@dataclass(frozen=True)
class FusedTrace:
    """One pass forward: what each layer read [T, B, I] and gave [T, B, H], zero beyond a sequence's end.

    parameters: by the names of the network, torch's tensors that were computed with, transposed where they are weights.
    """

    inputs: list[Tensor]
    states: list[Tensor]
    parameters: dict[str, Tensor]

    @property
    def top(self) -> Tensor:
        """The top layer's states, [1, T, B, H]."""
        return self.states[-1].detach()[None]


class FusedLayers:
    """torch's layers, one module a layer, and what passes with them keep from one to the next.

    torch lays its weights out otherwise than the lab does, [G*H, I] and on CUDA in one piece of memory, so a pass
    begins by copying them. Between two layers the states are at hand, since what reaches each timestep of each layer is
    looked at (`fused_pass.py`).
    """

    def __init__(self, network: Network) -> None:
        assert network.replicas == 1
        self._modules = [_module(network, index) for index in range(network.shape.layers)]
        self.scratch = Scratch(network.shape.layers)
        """Of the compiled scan that a pass is replayed on."""
        self.read_out = Scratch(0).read_out
        """The read-out timesteps, those of last time where the lengths are the very same tensor."""
        self._lengths: tuple[Tensor, int, Tensor | None] | None = None

    def forward(self, network: Network, batch: Sequences, *, back: bool) -> FusedTrace:
        """The states of all layers; back: whether autograd is to go back through them."""
        lengths = self._lengths_on_cpu(batch.lengths, batch.x.shape[1])
        parameters: dict[str, Tensor] = {}
        for index, module in enumerate(self._modules):
            # cuDNN keeps what a way back needs only of a layer that is in training.
            module.train(back)
            parameters |= _copied(network, index, module)
        inputs, states = [batch.x[0].detach().requires_grad_(back)], list[Tensor]()
        with torch.set_grad_enabled(back):
            for module in self._modules:
                states.append(_run(module, inputs[-1], lengths))
                inputs.append(states[-1])
        return FusedTrace(inputs[:-1], states, parameters)

    def _lengths_on_cpu(self, lengths: Tensor, T: int) -> Tensor | None:
        """Lengths [1, B] as torch packs sequences by them, int64 [B]; None where all are T."""
        held = self._lengths
        if held is None or held[0] is not lengths or held[1] != T:
            on_cpu = lengths[0].cpu()
            held = self._lengths = (lengths, T, None if bool((on_cpu == T).all()) else on_cpu)
        return held[2]


def _module(network: Network, index: int) -> nn.RNNBase:
    """One layer of torch's, with weights that are still to be copied. Random state stays as it is."""
    mode, layer = fused_mode(network.cell), network.layer(index)
    kind = {"LSTM": nn.LSTM, "GRU": nn.GRU}.get(str(mode), nn.RNN)
    options = {"nonlinearity": str(mode).removeprefix("RNN_").lower()} if kind is nn.RNN else {}
    with torch.random.fork_rng(devices=[]):
        module: nn.RNNBase = kind(layer.W_ih.shape[1], network.shape.hidden, dtype=layer.b.dtype, **options)
    return module.to(layer.b.device)


@torch.no_grad()
def _copied(network: Network, index: int, module: nn.RNNBase) -> dict[str, Tensor]:
    """Copy one layer's parameters to torch's; torch's by our names. Without a b_hh torch's is zero."""
    layer = network.layer(index)
    ours = {"W_ih": layer.W_ih[0].mT, "W_hh": layer.W_hh[0].mT, "b": layer.b[0]}
    theirs = {"W_ih": "weight_ih_l0", "W_hh": "weight_hh_l0", "b": "bias_ih_l0"}
    if layer.b_hh is None:
        module.get_parameter("bias_hh_l0").zero_()
    else:
        ours, theirs = ours | {"b_hh": layer.b_hh[0]}, theirs | {"b_hh": "bias_hh_l0"}
    for name, value in ours.items():
        module.get_parameter(theirs[name]).copy_(value)
    return {f"layer{index}.{name}": module.get_parameter(theirs[name]) for name in ours}


def _run(module: nn.RNNBase, rows: Tensor, lengths: Tensor | None) -> Tensor:
    """The states [T, B, H] of sequences [T, B, I]."""
    states: Tensor
    if lengths is None:
        states, _ = module(rows)
        return states
    # Packed, and not masked afterwards: past its end an exploding state is infinite, and times zero not a number.
    packed, _ = module(pack_padded_sequence(rows, lengths, enforce_sorted=False))
    states, _ = pad_packed_sequence(packed, total_length=len(rows))
    return states
