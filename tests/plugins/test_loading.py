"""A plugin is loaded once, whole or not at all, and what is wrong inside it is said with its line."""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Iterator
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import pytest
from plugin_files import CELL, CONFIG

import rnnlab
from rnnlab.catalog import tables
from rnnlab.cells import CELLS
from rnnlab.config import Config, json_schema, load_config
from rnnlab.errors import ConfigError, PluginError, PluginRefusedError
from rnnlab.plugins import changes, load_installed, load_plugin, load_sent, loading, used_by
from rnnlab.plugins.description import Plugin
from rnnlab.sweeps.file import load_sweep


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A package that can be imported: `made_up_parts`, with its cell in a module."""
    folder = tmp_path / "site" / "made_up_parts"
    folder.mkdir(parents=True)
    (folder / "__init__.py").write_text("from made_up_parts import cells\n")
    (folder / "cells.py").write_text(CELL)
    monkeypatch.syspath_prepend(str(folder.parent))
    yield folder
    for name in [name for name in sys.modules if name.split(".")[0] == "made_up_parts"]:
        del sys.modules[name]


def test_a_config_uses_what_was_loaded_and_names_it(project: Path) -> None:
    for name in ("my_cell", "my_clip"):
        load_plugin(f"experiments/parts/{name}.py")
    load_plugin("experiments/parts/my_cell.py")
    config = load_config(CONFIG)
    assert config.plugins == tuple(str(project / f"experiments/parts/{name}.py") for name in ("my_cell", "my_clip"))
    assert load_config(config.resolved()) == config
    assert "halved" in json_schema()["$defs"]["Model"]["properties"]["cell"]["enum"]
    assert load_config({"task": "addition"}).plugins == ()
    assert config.identity() == config.model_copy(update={"plugins": ()}).identity()


def test_what_a_config_names_runs_only_where_it_is_allowed(project: Path) -> None:
    (project / "experiments/parts/my_cell.py").write_text(f"{CELL}\nopen('it_ran', 'w').close()\n")
    with pytest.raises(PluginRefusedError, match=r"experiments/c.yaml:1:11: plugins: parts/my_cell.py is code"):
        load_config("experiments/c.yaml")
    with pytest.raises(PluginRefusedError, match=r"my_clip.py is code, and runs only where you allow it; --plugin"):
        load_sweep({"base": "experiments/c.yaml", "seeds": 2})
    with pytest.raises(PluginRefusedError, match=r"my_cell.py is code"):
        load_sweep({"base": CONFIG, "plugins": ["experiments/parts/my_cell.py"], "seeds": 2})
    assert not (project / "it_ran").exists()
    assert load_config("experiments/c.yaml", allow_plugins=True).model.cell == "halved"
    assert (project / "it_ran").exists()
    assert load_config("experiments/c.yaml").model.cell == "halved", "it is loaded by now"


def test_a_text_option_of_a_plugin_takes_any_text(project: Path) -> None:
    config = load_config("experiments/c.yaml", ["clip.words=3"], allow_plugins=True)
    assert config.clip.model_dump()["words"] == "3"


def test_plugins_are_no_setting_and_must_be_a_list(project: Path) -> None:
    with pytest.raises(ConfigError, match=r"plugins: cannot be set; --plugin loads one"):
        load_config({"task": "addition"}, ["plugins=[a.py]"])
    with pytest.raises(ConfigError, match=r"plugins"):
        load_config({"task": "addition", "plugins": "a.py"})
    with pytest.raises(ConfigError, match=r"plugins: must be a list of files and modules"):
        load_sweep({"base": {"task": "addition"}, "plugins": "a.py", "seeds": 2})


def test_a_sweep_gives_each_run_the_plugins_that_it_uses(project: Path) -> None:
    axes = {"grid": {"model.cell": ["halved", "rnn"], "clip": ["none", "scaled"]}}
    sweep = load_sweep({"base": "experiments/c.yaml", "axes": axes}, allow_plugins=True)
    named = [[Path(name).stem for name in member.config.plugins] for member in sweep.members]
    assert named == [["my_cell"], ["my_cell", "my_clip"], [], ["my_clip"]]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("import torch\n\n1 / 0\n", r"^p.py:3: ZeroDivisionError: division by zero$"),
        ("x = (\n", r"^p.py:1: SyntaxError: '\(' was never closed$"),
        ("raise SystemExit(3)\n", r"^p.py:1: SystemExit: 3$"),
        ("def f():\n    raise ValueError('a\\n  b')\n\nf()\n", r"^p.py:2: ValueError: a b$"),
        ("import beside\n", r"^p.py:1: ModuleNotFoundError: .*; a plugin is one file: make a package of several"),
        ("import no_such\n", r"^p.py:1: ModuleNotFoundError: No module named 'no_such'$"),
        ("x = 1\n", r"^p.py: it adds no part to a table; a line such as CELLS\['mine'\] = Mine adds one$"),
        (CELL.replace('CELLS["halved"] = Halved', ""), r"CELLS\['halved'\] = Halved would add its class Halved"),
        (CELL.replace("halved", "lstm"), r"^p.py:21: ValueError: the name 'lstm' is taken by rnnlab.cells.lstm.Lstm;"),
        (CELL.replace('CELLS["halved"]', 'CELLS["half"]'), r"^p.py:21: ValueError: the part 'halved' cannot be called"),
        (CELL + "\n1 / 0\n", r"^p.py:23: ZeroDivisionError"),
    ],
)
def test_what_is_wrong_inside_is_said_with_its_line_and_leaves_nothing(
    text: str, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("p.py").write_text(text)
    Path("beside.py").write_text("")
    before = {kind: dict(table) for kind, table in tables().items()}
    with pytest.raises(PluginError, match=message):
        load_plugin("p.py")
    assert {kind: dict(table) for kind, table in tables().items()} == before


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("gone.py", "gone.py: the plugin cannot be read: No such file"),
        (".", "there is no module '.' to load"),
        ("./", "the plugin cannot be read: Is a directory"),
        ("mine", r"there is no module 'mine' to load as a plugin; did you mean mine.py\?"),
        ("no.such.module", "there is no module 'no.such.module'"),
    ],
)
def test_what_is_not_there_is_no_plugin(
    name: str, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("mine.py").write_text(CELL)
    with pytest.raises(PluginError, match=message):
        load_plugin(name)


def test_a_file_that_changed_is_loaded_anew_and_one_that_fails_leaves_the_old(project: Path) -> None:
    file = project / "experiments/parts/my_cell.py"
    first, old = load_plugin(file), CELLS["halved"]
    assert load_plugin(file) is first
    file.write_text(CELL + "\n1 / 0\n")
    with pytest.raises(PluginError, match="ZeroDivisionError"):
        load_plugin(file)
    assert CELLS["halved"] is old
    assert used_by([("cells", "halved")]) == [first]
    file.write_text(CELL.replace("Half of the state", "A half of the state"))
    second = load_plugin(file)
    assert CELLS["halved"].meaning() == "A half of the state and half of a tanh."
    assert used_by([("cells", "halved")]) == [second]
    assert changes([first.facts()], [second]) == [
        f"my_cell.py has changed since (sha256 {first.sha256[:12]}... then, {second.sha256[:12]}... now)"
    ]
    assert changes([second.facts()], [second]) == []


def test_the_same_text_under_two_names_is_one_plugin(project: Path) -> None:
    first = load_plugin("experiments/parts/my_cell.py")
    Path("copy.py").write_text(CELL)
    assert load_plugin("copy.py") is first
    assert first.sha256 == hashlib.sha256(CELL.encode()).hexdigest()


def test_two_files_with_one_part_do_not_go_together(project: Path) -> None:
    load_plugin("experiments/parts/my_cell.py")
    Path("other.py").write_text(f"{CELL}# another text\n")
    with pytest.raises(PluginError, match=r"^other.py:21: ValueError: the name 'halved' is taken by rnnlab_plugin_my"):
        load_plugin("other.py")


def test_a_run_from_elsewhere_knows_its_plugin_by_its_last_name(project: Path) -> None:
    load_plugin("experiments/parts/my_cell.py")
    config = {**CONFIG, "clip": "none", "plugins": ["/where/it/was/my_cell.py"]}
    assert load_config(config).plugins == (str(project / "experiments/parts/my_cell.py"),)


def test_a_package_is_a_plugin_by_its_name(package: Path) -> None:
    plugin = load_plugin("made_up_parts")
    assert plugin.parts == (("cells", "halved"),)
    assert load_config({**CONFIG, "clip": "none"}).plugins == ("made_up_parts",)
    load_sent(plugin)
    with pytest.raises(PluginError, match="the module made_up_parts is another one here"):
        load_sent(Plugin(plugin.name, "0" * 64, plugin.parts))
    before = loading._digest([str(package)], "")
    assert before == plugin.sha256
    (package / "cells.py").write_text(CELL + "# more\n")
    assert loading._digest([str(package)], "") != before


def test_the_module_of_an_entry_point_needs_no_permission(package: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    entry = EntryPoint("mine", "made_up_parts", "rnnlab.parts")
    monkeypatch.setattr("importlib.metadata.entry_points", lambda group: [entry] if group == "rnnlab.parts" else [])
    monkeypatch.setattr(loading, "_installed", False)
    config: Config = load_config({**CONFIG, "clip": "none"})
    assert config.plugins == (), "it is found without being named"
    (plugin,) = used_by(config.parts())
    assert plugin.facts() == {
        "name": "made_up_parts",
        "sha256": plugin.sha256,
        "distribution": "mine",
        "parts": ["cells halved"],
    }


def test_a_broken_entry_point_names_its_package(package: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (package / "cells.py").write_text("1 / 0\n")
    entries: list[Any] = [EntryPoint("mine", "made_up_parts", "rnnlab.parts")]
    monkeypatch.setattr("importlib.metadata.entry_points", lambda group: entries)
    monkeypatch.setattr(loading, "_installed", False)
    with pytest.raises(PluginError, match=r"cells.py:1: ZeroDivisionError: .* \(of the installed package mine\)"):
        load_installed()


def test_it_is_loaded_from_what_another_process_sent(project: Path) -> None:
    sent = Plugin("/not/here/my_cell.py", hashlib.sha256(CELL.encode()).hexdigest(), (("cells", "halved"),), CELL)
    load_sent(Plugin.from_fields({**vars(sent), "parts": [["cells", "halved"]]}))
    assert load_config({**CONFIG, "clip": "none", "plugins": [sent.name]}).plugins == (sent.name,)


def test_it_is_part_of_the_public_interface(project: Path) -> None:
    rnnlab.load_plugin("experiments/parts/my_cell.py")
    rnnlab.load_plugin("experiments/parts/my_clip.py")
    assert rnnlab.load_config(CONFIG).model.cell == "halved"
