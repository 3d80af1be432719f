"""The loop of a random program, with or without a watch."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn
from watching.programs import B, Model, Outcome, Program, T, parts_of

import rnnlab

UPDATES = 3


def carry_out(program: Program, folder: Path | None) -> Outcome:
    """Train with the program, watched where there is a folder."""
    torch.manual_seed(program.seed)
    random.seed(program.seed)
    np.random.seed(program.seed)
    model = Model(program)
    parameters = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.SGD(parameters, lr=0.1) if program.optimizer == "sgd" else torch.optim.Adam(parameters)
    watch = None if folder is None else rnnlab.watch(model, folder, optimizer=optimizer, every=[0, 2])
    outcome, state = Outcome([], ()), None
    for _ in range(UPDATES):
        if program.zero in ("before", "to_zero"):
            optimizer.zero_grad(set_to_none=program.zero == "before")
        for _ in range(program.accumulated):
            state = _pass(program, model, watch, state, outcome)
        if program.clip:
            nn.utils.clip_grad_norm_(parameters, 0.05)
        optimizer.step()
        if watch and program.logs == "after_step":
            watch.log(loss=outcome.losses[-1])
        if program.zero == "after":
            optimizer.zero_grad()
        if program.evaluates:
            model.eval()
            with torch.no_grad():
                model(torch.randint(4, (T, B)))
            model.train()
    if watch:
        watch.close()
        outcome.run = watch.run
    outcome.weights = [p.detach().clone() for p in model.parameters()]
    outcome.random = (torch.get_rng_state().tolist(), random.getstate(), repr(np.random.get_state(legacy=False)))
    return outcome


def _pass(program: Program, model: Model, watch: Any, state: Any, outcome: Outcome) -> Any:
    """One forward pass and its backward passes; the state that the next one begins with."""
    model.hs.clear()
    each, last = model(torch.randint(4, (T, B)), state)
    loss = each.mean()
    if program.penalty:
        loss = loss + sum(p.square().sum() for name, p in model.named_parameters() if "weight_hh" in name)
    outcome.losses.append(float(loss.detach()))
    if watch and program.logs == "before_backward":
        watch.log(loss=loss)
    if not loss.requires_grad:
        return None
    if program.extra_grad:
        torch.autograd.grad(loss, model.read.weight, retain_graph=True, allow_unused=True)
        _note(model, outcome)
    if program.backwards == "two_losses":
        each.sum().backward(retain_graph=True)
    _note(model, outcome)
    loss.backward(retain_graph=program.backwards == "retained")
    _note(model, outcome)
    if program.backwards == "retained":
        loss.backward()
    if watch and program.logs == "before_step":
        watch.log(loss=loss)
    if not program.stateful or last is None:
        return None
    detached = tuple(part.detach() for part in parts_of(last))
    return detached if program.kind == "lstm" else detached[0]


def _note(model: Model, outcome: Outcome) -> None:
    """Remember what retain_grad saw in the first backward pass of the program."""
    if not outcome.norms and any(h.grad is not None for h in model.hs):
        outcome.norms = [float(h.grad.double().norm()) if h.grad is not None else float("nan") for h in model.hs]
