"""What the project says of itself in pyproject.toml and beside it holds together."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

import yaml

import rnnlab

ROOT = Path(__file__).parent.parent
PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
PYTHONS = ["3.11", "3.12", "3.13", "3.14"]


def cited() -> dict[str, Any]:
    text = (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    # A version is a text: 0.1.0 is no number, but 0.1 would be.
    return yaml.load(text, yaml.BaseLoader)  # type: ignore[no-any-return]


def test_the_citation_names_this_version_and_license() -> None:
    citation = cited()
    # What the Citation File Format 1.2.0 asks for.
    assert {"cff-version", "message", "title", "authors"} <= set(citation)
    assert citation["cff-version"] == "1.2.0"
    assert citation["title"] == PROJECT["name"]
    assert citation["version"] == rnnlab.__version__
    assert citation["license"] == PROJECT["license"]
    assert citation["keywords"] == PROJECT["keywords"]
    assert citation["authors"] == PROJECT["authors"]


def test_the_classifiers_name_the_pythons_of_the_range() -> None:
    named = [one.rpartition(" :: ")[2] for one in PROJECT["classifiers"] if re.search(r":: Python :: 3\.\d+$", one)]
    assert named == PYTHONS
    assert PROJECT["requires-python"] == f">={PYTHONS[0]}"


def test_a_type_checker_reads_the_types() -> None:
    assert Path(rnnlab.__file__).with_name("py.typed").exists()
    assert "Typing :: Typed" in PROJECT["classifiers"]
