"""A user's program that `rnnlab.watch` records: an LSTM in a loop of its own, and at its end a hash of the weights."""

from __future__ import annotations

import hashlib
import signal
import sys
from collections.abc import Sequence

BEGUN = "training begins"


def main(arguments: Sequence[str]) -> int:
    """Train; with --force in place of a run that is there. The exit code, that of a program that minds its signals."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        return _train(force="--force" in arguments)
    except KeyboardInterrupt:
        return _interrupted(130)
    except SystemExit:
        return _interrupted(143)


def _interrupted(code: int) -> int:
    print("interrupted", file=sys.stderr)
    return code


def _train(*, force: bool) -> int:
    import torch
    from torch import nn

    import rnnlab
    from rnnlab.errors import RnnlabError

    torch.manual_seed(0)
    model = nn.LSTM(2, 3)
    optimizer = torch.optim.Adam(model.parameters())
    try:
        watch = rnnlab.watch(model, "runs/r", optimizer=optimizer, every=2, settings={"seed": 1}, force=force)
    except RnnlabError as error:
        print(f"rnnlab: {error}", file=sys.stderr)
        return 1
    print(BEGUN, flush=True)
    for _ in range(5):
        loss = model(torch.randn(6, 2, 2))[0].square().mean()
        loss.backward()
        optimizer.step()
        watch.log(loss=loss)
        optimizer.zero_grad()
    watch.close()
    weights = b"".join(weight.detach().numpy().tobytes() for weight in model.parameters())
    print(hashlib.sha256(weights).hexdigest())
    return 0
