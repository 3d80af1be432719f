"""The files in configs/."""

from __future__ import annotations

from pathlib import Path

ROOT = Path(__file__).parent.parent
CONFIGS = sorted((ROOT / "configs").glob("*.yaml"))
SWEEPS = [path for path in CONFIGS if path.name.startswith("sweep_")]
