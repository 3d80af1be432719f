"""The value of a plain word in YAML, and YAML text that is read back as the value it was written from.

The rules are those of YAML 1.2: `1e-3` is a number, `yes` and `2026-01-01` are words. PyYAML has those of 1.1.
"""

from __future__ import annotations

import math
import re
from typing import Any

import yaml

# Python refuses to read and to write integers of more digits.
_LONGEST_NUMBER = 4000
_LARGEST = 10**_LONGEST_NUMBER
# PyYAML folds a line at these, and reads back a space.
_LINE_ENDS = {*"\x85\u2028\u2029"}
_NULLS = {"", "~", "null", "Null", "NULL"}
_BOOLS = {word: word.lower() == "true" for word in ("true", "True", "TRUE", "false", "False", "FALSE")}
_INTEGER = re.compile(r"[-+]?[0-9]+|0x[0-9a-fA-F]+|0o[0-7]+")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_SPECIAL = re.compile(r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)")


def scalar(text: str) -> Any:
    """The value of a plain word: null, true, false, a number, or the word itself. 1e4 is an integer."""
    if text in _NULLS:
        return None
    if text in _BOOLS:
        return _BOOLS[text]
    if _INTEGER.fullmatch(text):
        if len(text) > _LONGEST_NUMBER:
            return text
        number = int(text, 0 if text[:2] in ("0x", "0o") else 10)
        return number if abs(number) < _LARGEST else text
    if _SPECIAL.fullmatch(text):
        return float(text.replace(".", ""))
    if not _FLOAT.fullmatch(text):
        return text
    value = float(text)
    is_whole = "e" in text.lower() and math.isfinite(value) and value.is_integer() and abs(value) < 1e15
    return int(value) if is_whole else value


def is_too_long(value: Any) -> bool:
    """Whether it is a number of more digits than Python writes."""
    return isinstance(value, int) and abs(value) >= _LARGEST


class _Dumper(yaml.SafeDumper):
    """Quotes every text that `scalar` would not read back as itself."""


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    plain = isinstance(scalar(text), str) and not _LINE_ENDS & set(text)
    style = None if plain else '"'
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Dumper.add_representer(str, _text)


def dump(value: Any) -> str:
    """The YAML text that is read back as this value."""
    return yaml.dump(value, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=120)
