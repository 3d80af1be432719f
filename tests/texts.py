"""Configs written as YAML texts: loaded, or refused with an error."""

from __future__ import annotations

from pathlib import Path

import pytest

from rnnlab.config import Config, load_config
from rnnlab.errors import ConfigError


def refused(text: str | bytes, tmp_path: Path, *sets: str) -> list[str]:
    """The lines of the error that a config of this text raises, in a file called c.yaml."""
    file = tmp_path / "c.yaml"
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(ConfigError, match=r".") as caught:
        load_config(file, sets)
    return [line.removeprefix(f"{tmp_path}/") for line in str(caught.value).split("\n")]


def loaded(text: str, tmp_path: Path, *sets: str) -> Config:
    """The config of this text."""
    file = tmp_path / "c.yaml"
    file.write_text(text)
    return load_config(file, sets)
