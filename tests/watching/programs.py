"""Training programs such as people write, drawn at random: modules, sequences, losses and the order of the loop."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import torch
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

import rnnlab

T, B, I, H = 5, 3, 2, 3
FUSED: dict[str, Any] = {"rnn": nn.RNN, "lstm": nn.LSTM, "gru": nn.GRU}
CELLS: dict[str, Any] = {"rnn": nn.RNNCell, "lstm": nn.LSTMCell, "gru": nn.GRUCell}


@dataclass(frozen=True)
class Program:
    """One program. Its numbers come from `seed` alone."""

    seed: int
    model: str
    kind: str
    layers: int
    both: bool
    dropout: float
    batch_first: bool
    sequences: str
    front: str
    shared: bool
    frozen: str
    reads: str
    relu: bool
    halved: bool
    backwards: str
    clip: bool
    zero: str
    accumulated: int
    evaluates: bool
    stateful: bool
    extra_grad: bool
    penalty: bool
    clamped: bool
    logs: str
    optimizer: str


PROGRAMS = st.builds(
    Program,
    seed=st.integers(0, 999),
    model=st.sampled_from(["fused", "stack", "attention", "cells", "seq2seq", "stepwise"]),
    kind=st.sampled_from(list(FUSED)),
    layers=st.integers(1, 2),
    both=st.booleans(),
    dropout=st.sampled_from([0.0, 0.4]),
    batch_first=st.booleans(),
    sequences=st.sampled_from(["padded", "packed", "unbatched"]),
    front=st.sampled_from(["none", "linear", "embedding"]),
    shared=st.booleans(),
    frozen=st.sampled_from(["nothing", "nothing", "front", "recurrent", "weight_hh"]),
    reads=st.sampled_from(["last", "all", "some", "h", "c", "everything"]),
    relu=st.booleans(),
    halved=st.booleans(),
    backwards=st.sampled_from(["once", "once", "two_losses", "retained"]),
    clip=st.booleans(),
    zero=st.sampled_from(["before", "after", "to_zero", "never"]),
    accumulated=st.integers(1, 2),
    evaluates=st.booleans(),
    stateful=st.booleans(),
    extra_grad=st.booleans(),
    penalty=st.booleans(),
    clamped=st.booleans(),
    logs=st.sampled_from(["before_backward", "before_step", "after_step"]),
    optimizer=st.sampled_from(["sgd", "adam"]),
)


@dataclass
class Outcome:
    """What a program leaves: weights, states of the generators, losses, what retain_grad saw in the first pass."""

    weights: list[Tensor]
    random: tuple[Any, ...]
    losses: list[float] = field(default_factory=list)
    norms: list[float] = field(default_factory=list)
    run: rnnlab.Run | None = None


class Model(nn.Module):
    """What a program trains; it calls its recurrent part in the way that the program says."""

    def __init__(self, program: Program) -> None:
        super().__init__()
        self.program = program
        self.front: nn.Module = {"none": nn.Identity(), "linear": nn.Linear(I, I), "embedding": nn.Embedding(4, I)}[
            program.front
        ]
        self.width = H
        if program.model in ("cells", "seq2seq"):
            self.cell = CELLS[program.kind](I, H)
            self.above = self.cell if program.shared and I == H else CELLS[program.kind](H, H)
        if program.model != "cells":
            options: dict[str, Any] = {"num_layers": program.layers, "batch_first": program.batch_first}
            both = program.both and program.model not in ("seq2seq", "stepwise")
            dropout = program.dropout if program.layers > 1 else 0.0
            self.rnn = FUSED[program.kind](I, H, bidirectional=both, dropout=dropout, **options)
            self.width = H * (1 + both)
            if program.model == "stack":
                self.second = nn.GRU(self.width, H, batch_first=program.batch_first)
                self.width = H
        self.read = nn.Linear(self.width, 2)
        self.hs: list[Tensor] = []
        for part in self._frozen():
            part.requires_grad_(False)
        if program.clamped:
            for name, p in self.named_parameters():
                if "weight_hh" in name and p.requires_grad:
                    p.register_hook(lambda gradient: gradient.clamp(-1e-3, 1e-3))

    def _frozen(self) -> list[Any]:
        named, frozen = list(self.named_parameters()), self.program.frozen
        parts = {"nothing": [], "front": ["front"], "recurrent": ["rnn", "cell"], "weight_hh": ["weight_hh"]}[frozen]
        return [p for name, p in named if any(part in name for part in parts)]

    def forward(self, ids: Tensor, state: Any = None) -> tuple[Tensor, Any]:
        """ids [T, B]; the loss before its reduction, and the last state."""
        given = ids if self.program.front == "embedding" else nn.functional.one_hot(ids, 4)[..., :I].float()
        x = self.front(given)
        return {"cells": self._cells, "seq2seq": self._seq2seq, "stepwise": self._stepwise}.get(
            self.program.model, self._fused
        )(x, state)

    def _cells(self, x: Tensor, state: Any) -> tuple[Tensor, Any]:
        outputs, below, above = [], state, None
        for x_t in x:
            below = self.cell(x_t, below)
            h = _h(below)
            self._keep(h)
            if self.program.layers > 1:
                above = self.above(h, above)
                h = _h(above)
            outputs.append(h)
        return self._read(torch.stack(outputs), below), below

    def _seq2seq(self, x: Tensor, state: Any) -> tuple[Tensor, Any]:
        given = x.transpose(0, 1) if self.program.batch_first else x
        _, last = self.rnn(given, state)
        state = (last[0][-1], last[1][-1]) if self.program.kind == "lstm" else last[-1]
        outputs, token = [], x[0]
        for t in range(T):
            state = self.cell(token, state)
            self._keep(_h(state))
            outputs.append(_h(state))
            # Teacher forcing for one half of the steps, and the model's own word for the other.
            token = x[t] if t % 2 else self.read(_h(state))
        return self._read(torch.stack(outputs), state), last

    def _stepwise(self, x: Tensor, state: Any) -> tuple[Tensor, Any]:
        outputs = []
        for x_t in x:
            x_t = x_t[:, None] if self.program.batch_first else x_t[None]
            output, state = self.rnn(x_t, state)
            outputs.append(output.squeeze(1 if self.program.batch_first else 0))
        return self._read(torch.stack(outputs), state), state

    def _fused(self, x: Tensor, state: Any) -> tuple[Tensor, Any]:
        program = self.program
        if program.sequences == "unbatched":
            output, last = self.rnn(x[:, 0])
            if program.model == "stack":
                output, last = self.second(output)
            return self._read(output[:, None], last), None
        given: Any = x.transpose(0, 1) if program.batch_first else x
        if program.sequences == "packed":
            given = pack_padded_sequence(given, [3, T, 1], program.batch_first, enforce_sorted=False)
        output, last = self.rnn(given, state)
        top = last
        if program.model == "stack":
            output, top = self.second(output)
        if program.sequences == "packed":
            output, _ = pad_packed_sequence(output, program.batch_first)
        output = output.transpose(0, 1) if program.batch_first else output
        if program.shared:
            again = self.rnn(x.flip(0).transpose(0, 1) if program.batch_first else x.flip(0))[1]
            output = output + _h(again).mean()
        return self._read(output, top), last

    def _keep(self, h: Tensor) -> None:
        if h.requires_grad:
            h.retain_grad()
            self.hs.append(h)

    def _read(self, output: Tensor, last: Any) -> Tensor:
        """output [T, B, N]."""
        program = self.program
        if program.halved and output.requires_grad:
            output.register_hook(lambda gradient: gradient * 0.5)
        if program.relu:
            # oneDNN's LSTM needs its own output for its backward pass, and torch refuses that it is changed.
            output = (output * 1 if program.kind == "lstm" else output).relu_()
        if program.model == "attention":
            weights = output.sum(-1, keepdim=True).softmax(0)
            pooled: Tensor = self.read((weights * output).sum(0))
            return pooled
        read = {"last": output[-1], "some": output[::2]}.get(program.reads, output)
        loss: Tensor = self.read(read).square().sum(-1)
        if program.reads == "h":
            loss = _h(last).square()
        if program.reads == "c":
            loss = (last[-1] if isinstance(last, tuple) else last).square() + self.read(output).mean()
        if program.reads == "everything":
            loss = loss.mean() + sum(part.square().sum() for part in parts_of(last))
        return loss


def parts_of(state: Any) -> tuple[Tensor, ...]:
    return state if isinstance(state, tuple) else (state,)


def _h(state: Any) -> Tensor:
    return parts_of(state)[0]
