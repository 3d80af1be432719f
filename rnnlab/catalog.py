"""All tables of parts, by kind."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rnnlab.parts import Table

# Paths, so that this module imports none of the tables, and the names alone can be read without loading them.
_IN_A_CONFIG = {
    "cells": "rnnlab.cells:CELLS",
    "inits": "rnnlab.inits:INITS",
    "clips": "rnnlab.clips:CLIPS",
    "penalties": "rnnlab.penalties:PENALTIES",
    "tasks": "rnnlab.tasks:TASKS",
    "probes": "rnnlab.probes:PROBES",
    "optimizers": "rnnlab.optimizers:OPTIMIZERS",
    "schedules": "rnnlab.probes:SCHEDULES",
}
_ALL = {**_IN_A_CONFIG, "engines": "rnnlab.sweeps.engines:ENGINES"}

KINDS = tuple(_ALL)
"""All kinds of parts."""


def table_of(kind: str) -> Table[Any]:
    """The table of a kind."""
    module, _, name = _ALL[kind].partition(":")
    table: Table[Any] = getattr(import_module(module), name)
    return table


def tables() -> Mapping[str, Table[Any]]:
    """Every table, by kind."""
    return {kind: table_of(kind) for kind in _ALL}


def config_tables() -> Mapping[str, Table[Any]]:
    """The tables of the parts that a config can name."""
    return {kind: table_of(kind) for kind in _IN_A_CONFIG}
