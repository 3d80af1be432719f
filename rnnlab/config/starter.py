"""The commented config, and sweep, that `rnnlab new` writes."""

from __future__ import annotations

import posixpath
from importlib.resources import files


def starter(file: str = "experiment.yaml") -> str:
    """Its text, with the commands that run it under this file name."""
    return files("rnnlab.config").joinpath("starter.yaml").read_text("utf-8").format(file=file)


def sweep_starter(file: str = "sweep.yaml") -> str:
    """The text of a sweep, with the commands that run it under this file name."""
    stem = posixpath.basename(file).rpartition(".")[0] or file
    return files("rnnlab.config").joinpath("starter_sweep.yaml").read_text("utf-8").format(file=file, stem=stem)
