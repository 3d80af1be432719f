"""What the scripts here are called with: sizes, or --quick for the smallest of them, once."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from typing import Any


def asked(doc: str | None, usual: Mapping[str, Any], quick: Mapping[str, Any]) -> argparse.Namespace:
    """The sizes that a script was called with, by name; those that were left out are the usual or the quick ones."""
    parser = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, value in usual.items():
        parser.add_argument(name, nargs="?", type=type(value), help=f"default {value}; with --quick {quick[name]}")
    parser.add_argument("--quick", action="store_true", help="the smallest sizes, once: does it run at all?")
    options = parser.parse_args()
    for name, value in (quick if options.quick else usual).items():
        if getattr(options, name) is None:
            setattr(options, name, value)
    return options
