"""What the tests of the command line have in common."""

from __future__ import annotations

import importlib

import pytest
from fake_training import FakeTraining


@pytest.fixture
def training(monkeypatch: pytest.MonkeyPatch) -> FakeTraining:
    fake = FakeTraining()
    monkeypatch.setattr(importlib.import_module("rnnlab.training.loop"), "train", fake)
    return fake
