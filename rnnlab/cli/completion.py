"""The keys of a config, for shell completion."""

from __future__ import annotations


def complete_keys(incomplete: str) -> list[str]:
    """The keys that begin with the typed text, each with its `=`."""
    from rnnlab.config import known_keys

    return [f"{key}=" for key in known_keys() if key.startswith(incomplete)]
