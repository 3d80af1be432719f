"""What Ray does to the signals of the process that connects to it."""

from __future__ import annotations

import signal
import sys
from types import SimpleNamespace

import pytest

from rnnlab.sweeps.engines.on_ray import _connected


def test_a_connection_to_ray_takes_no_signal_away(monkeypatch: pytest.MonkeyPatch) -> None:
    """As ray.init does: its handler of SIGTERM ends the process with 15, and the workers train on."""

    def init(**_: object) -> None:
        signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(number))

    ray = SimpleNamespace(is_initialized=lambda: False, init=init, shutdown=lambda: None)
    monkeypatch.setitem(sys.modules, "ray", ray)
    before = signal.getsignal(signal.SIGTERM)
    with _connected("auto"):
        during = signal.getsignal(signal.SIGTERM)
    signal.signal(signal.SIGTERM, before)
    assert during == before
