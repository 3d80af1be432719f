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
INSTALLED_AS = {"yaml": "pyyaml", "mlflow": "mlflow-skinny"}
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


def test_the_oldest_versions_are_the_lowest_of_the_range() -> None:
    declared = [*PROJECT["dependencies"], *PROJECT["optional-dependencies"]["report"]]
    declared += PROJECT["optional-dependencies"]["data"]
    lowest = {one.replace(">=", "==") for one in declared}
    lines = (ROOT / "constraints-oldest.txt").read_text(encoding="utf-8").splitlines()
    oldest = {padded(line) for line in lines if not line.startswith("#")}
    # The others are held back for a reason that stands above them.
    assert {padded(one) for one in lowest} <= oldest


def padded(requirement: str) -> str:
    """A requirement with three numbers in its version."""
    name, mark, version = requirement.partition("==")
    return name + mark + ".".join([*version.split("."), "0", "0"][:3])


def test_the_workflow_calls_targets_of_make_and_nothing_else() -> None:
    text = (ROOT / ".github" / "workflows" / "ci.yml").read_text(encoding="utf-8")
    jobs = yaml.load(text, yaml.BaseLoader)["jobs"]
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    steps = [step for job in jobs.values() for step in job["steps"]]
    lines = [step["run"] for step in steps if "run" in step]
    called = [re.fullmatch(r"make ([a-z-]+)((?: [A-Z]+=\S*)*)", re.sub(r"\$\{\{.*?\}\}", "x", line)) for line in lines]
    assert all(called)
    assert {call[1] for call in called if call} <= targets
    in_ci = re.findall(r"^make ([a-z-]+)", (ROOT / ".ci" / "run").read_text(encoding="utf-8"), re.MULTILINE)
    assert in_ci
    assert set(in_ci) <= {call[1] for call in called if call}
    assert {step["uses"].split("@")[0] for step in steps if "uses" in step} == {
        "actions/checkout",
        "actions/setup-python",
    }
    matrix = jobs["test"]["strategy"]["matrix"]
    assert matrix["python"] == PYTHONS
    files = [one["constraints"] for one in matrix["include"]]
    assert all((ROOT / name).exists() for name in files)
    assert "constraints-oldest.txt" in files


def test_hooks_call_targets_of_make() -> None:
    """Nothing is fetched for them."""
    targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    repos = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text(encoding="utf-8"))["repos"]
    assert [repo["repo"] for repo in repos] == ["local"]
    for hook in repos[0]["hooks"]:
        assert hook["language"] == "system"
        assert hook["entry"] in {f"make {target}" for target in targets}


def test_a_type_checker_reads_the_types() -> None:
    assert (PACKAGE / "py.typed").exists()
    assert "Typing :: Typed" in PROJECT["classifiers"]


def test_what_is_imported_is_declared() -> None:
    extras = PROJECT["optional-dependencies"]
    declared = [*PROJECT["dependencies"], *extras["report"], *extras["ray"], *extras["slurm"], *extras["cuda"]]
    declared += [*extras["tensorboard"], *extras["mlflow"]]
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
