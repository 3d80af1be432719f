"""The keys of a config, for a shell that completes them."""

from __future__ import annotations


def complete_keys(incomplete: str) -> list[str]:
    """Those that begin so, each with its `=`."""
    from rnnlab.config import known_keys

    return [f"{key}=" for key in known_keys() if key.startswith(incomplete)]
