"""Sweeps on a Ray cluster whose workers, nodes and drivers are killed."""

from __future__ import annotations

from chaos.faulting import Outcome

RAY_PART = "ray"


def ray_outcomes() -> list[Outcome]:
    return []
