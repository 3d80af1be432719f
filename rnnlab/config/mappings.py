"""A config given as a Python mapping in the types of a file, and numbers that no program can count with."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from pydantic_core import to_jsonable_python

from rnnlab.config.messages import Located
from rnnlab.config.schema import Config
from rnnlab.config.yaml_scalars import is_too_long
from rnnlab.config.yaml_tree import DEEPEST, Path, dotted
from rnnlab.errors import ConfigError, Problem
from rnnlab.wording import encodable, shortened

_MOST = 1 << 63


def plain_mapping(source: Mapping[str, Any]) -> Any:
    """The mapping in the types of JSON. Raises ConfigError for what no file can say, such as one that contains itself.

    >>> plain_mapping({"seed": 3, "path": ("a", None)})
    {'seed': 3, 'path': ['a', None]}
    """
    try:
        plain = to_jsonable_python(source, fallback=_without_numpy)
    except (ValueError, RecursionError) as error:
        reason = "it contains itself, or is nested too deep" if "Circular" in str(error) else shortened(str(error), 200)
        raise ConfigError([Problem("", f"this mapping is no config: {reason}")]) from error
    if (problem := next(_not_in_a_file(plain, ()), None)) is not None:
        raise ConfigError([problem])
    return plain


def too_large(given: Any, config: Config) -> list[Located]:
    """The whole numbers of a config that no processor counts with, each with its path."""
    if not any(_large_numbers(given, ())):
        return []
    # In the config itself, for a key that takes any number has it as a float there.
    paths = _large_numbers(config.resolved(), ())
    return [(path, Problem(dotted(path), f"must be below {_MOST:,}")) for path in paths]


def _large_numbers(value: Any, path: Path) -> Iterator[Path]:
    if isinstance(value, int) and abs(value) >= _MOST:
        yield path
    elif isinstance(value, dict | list):
        for key, inner in value.items() if isinstance(value, dict) else enumerate(value):
            yield from _large_numbers(inner, (*path, key))


def _not_in_a_file(value: Any, path: Path) -> Iterator[Problem]:
    if len(path) > DEEPEST:
        yield Problem(dotted(path), f"nested more than {DEEPEST} deep")
    elif isinstance(value, dict | list):
        for key, inner in value.items() if isinstance(value, dict) else enumerate(value):
            yield from _not_in_a_file(inner, (*path, key))
    elif isinstance(value, str) and encodable(value) != value:
        yield Problem(dotted(path), "is not text that UTF-8 can write")
    elif is_too_long(value):
        yield Problem(dotted(path), "a number of too many digits")


def _without_numpy(value: Any) -> Any:
    """A number or an array of NumPy's as Python's own. Raises ConfigError for anything else."""
    if hasattr(value, "tolist"):
        return value.tolist()
    raise ConfigError([Problem("", f"a {type(value).__name__} cannot stand in a config")])
