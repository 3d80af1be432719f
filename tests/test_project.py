"""What the project says of itself in pyproject.toml and beside it holds together."""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from pathlib import Path
from typing import Any

import yaml

import rnnlab

ROOT = Path(__file__).parent.parent
PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
PACKAGE = Path(rnnlab.__file__).parent
# What is imported under another name than it is installed by.
INSTALLED_AS = {"yaml": "pyyaml"}
# Brought by a dependency of ours that cannot be without it.
BROUGHT_BY = {"llvmlite": "numba", "click": "typer", "markupsafe": "jinja2", "pydantic_core": "pydantic", "grpc": "ray"}
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
    assert (PACKAGE / "py.typed").exists()
    assert "Typing :: Typed" in PROJECT["classifiers"]


def test_what_is_imported_is_declared() -> None:
    extras = PROJECT["optional-dependencies"]
    declared = [*PROJECT["dependencies"], *extras["report"], *extras["ray"]]
    names = {re.split(r"[\[<>=~! ]", one)[0] for one in declared}
    missing = {name for name in imported() if BROUGHT_BY.get(name, INSTALLED_AS.get(name, name)) not in names}
    assert missing == set()


def imported() -> set[str]:
    """The packages of others that the modules of rnnlab import, anywhere."""
    found = set()
    for path in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                found |= {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module:
                found.add(node.module.split(".")[0])
    return found - sys.stdlib_module_names - {"rnnlab"}
