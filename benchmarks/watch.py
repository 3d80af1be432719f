"""What rnnlab.watch costs a training loop of torch: an update that is not recorded, and one that is.

Three copies of nn.LSTM, nn.GRU or nn.RNN train side by side in one process, in turns: unwatched; watched, with none of
its updates recorded (all but the first are left out); watched and recorded at every update, with the checks and the
writing of the CSV files. The ratios are to the unwatched turn beside it, and medians over the turns.
"""

from __future__ import annotations

import contextlib
import json
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from alternatives import GATES, TINY, Hand
from measure import Patience
from options import asked
from torch import nn

import rnnlab

LAYERS = {"lstm": nn.LSTM, "gru": nn.GRU, "rnn": nn.RNN}
KINDS = {"unwatched": None, "not recorded": 10**9, "recorded": 1}
"""And at every how many updates each is recorded."""

TURNS = Patience(repeats=25, turn=0.1, row=15.0)
"""Many short turns: what else the machine does then falls on one of them, and the median leaves it out."""
QUICK = Patience(repeats=2, turn=0.0)


def compare(cell: str, shape: tuple[int, int, int], patience: Patience) -> dict[str, Any]:
    """Milliseconds an update of each kind, ratios to the unwatched one, and microseconds of the hooks by themselves."""
    B, T, H = shape
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(ignore_cleanup_errors=True)))
        hands = {name: hand_of(cell, shape) for name in KINDS}
        for name, every in KINDS.items():
            if every is not None:
                hand = hands[name]
                stack.enter_context(rnnlab.watch(hand.layer, folder / name, optimizer=hand.optimizer, every=every))
        turns = in_turns({name: updating(hand) for name, hand in hands.items()}, patience)
        hooks = hooks_alone(hands["not recorded"], patience.repeats)
    ratios = {
        name: statistics.median(a / b for a, b in zip(turns[name], turns["unwatched"], strict=True))
        for name in KINDS
        if name != "unwatched"
    }
    ms = {name: statistics.median(values) for name, values in turns.items()}
    return {
        "cell": cell, "B": B, "T": T, "H": H, "ms": ms, "ratios": ratios, "hooks": hooks,
        "repeats": len(turns["unwatched"]),
    }  # fmt: skip


def hand_of(cell: str, shape: tuple[int, int, int]) -> Hand:
    """The same weights and data at every call."""
    torch.manual_seed(0)
    B, T, H = shape
    return Hand(LAYERS[cell](2, H), B, T, H)


def updating(hand: Hand) -> Callable[[], None]:
    return lambda: hand.finish(hand.layer(hand.x)[0][-1])


def in_turns(updates: dict[str, Callable[[], None]], patience: Patience) -> dict[str, list[float]]:
    """Milliseconds an update, turn by turn. All kinds make as many updates a turn, and change places between turns."""
    for update in updates.values():
        update()
    begun = time.perf_counter()
    for update in updates.values():
        update()
    once = time.perf_counter() - begun
    count = max(1, round(len(updates) * patience.turn / once))
    repeats = min(patience.repeats, max(patience.fewest, int(patience.row / (count * once))))
    turns: dict[str, list[float]] = {name: [] for name in updates}
    for turn in range(repeats):
        for name in list(updates) if turn % 2 else reversed(updates):
            begun = time.perf_counter()
            for _ in range(count):
                updates[name]()
            turns[name].append((time.perf_counter() - begun) / count * 1e3)
    return turns


def hooks_alone(hand: Hand, repeats: int, count: int = 200) -> float:
    """Microseconds that the hooks of an update take which is not recorded: too few to be seen beside an update."""
    layer, optimizer, given, times = hand.layer, hand.optimizer, hand.layer(hand.x), []
    for _ in range(repeats):
        begun = time.perf_counter()
        for _ in range(count):
            for before in layer._forward_pre_hooks.values():
                before(layer, (hand.x,))
            for after in layer._forward_hooks.values():
                after(layer, (hand.x,), {}, given)
            for step in (*optimizer._optimizer_step_pre_hooks.values(), *optimizer._optimizer_step_post_hooks.values()):
                step(optimizer, (), {})
        times.append((time.perf_counter() - begun) / count * 1e6)
    return statistics.median(times)


def main() -> None:
    usual = {"cell": "lstm", "B": 20, "T": 100, "H": 50}
    options = asked(__doc__, usual, {"cell": "lstm", **dict(zip("BTH", TINY, strict=True))})
    if options.cell not in GATES:
        raise SystemExit(f"the cell is one of {', '.join(GATES)}, not {options.cell}")
    patience = QUICK if options.quick else TURNS
    print(json.dumps(compare(options.cell, (options.B, options.T, options.H), patience), indent=2))


if __name__ == "__main__":
    main()
