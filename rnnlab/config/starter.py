"""The commented config that `rnnlab new` writes."""

from __future__ import annotations

from importlib.resources import files


def starter(file: str = "experiment.yaml") -> str:
    """Its text, with the commands that run it under this file name."""
    return files("rnnlab.config").joinpath("starter.yaml").read_text("utf-8").format(file=file)
