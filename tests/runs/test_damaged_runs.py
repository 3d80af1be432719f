"""A run whose run.json or config.yaml holds what no rnnlab wrote is left out and named; the others are shown."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from commands import Call
from fakes import fake_group

from rnnlab.errors import RunFolderError
from rnnlab.runs.cache import cached_configs, cached_gradients
from rnnlab.runs.claims import Claims
from rnnlab.runs.folder import RunFolder
from rnnlab.runs.index import Index
from rnnlab.runs.run import Run
from rnnlab.runs.run_config import read_config

DEEP = 50_000
WRONG: dict[str, Any] = {
    "status": ["ended", 3, ["completed"], {}, True],
    "name": [3, []],
    "reason": [3, [], {}],
    "started": [2026, {}],
    "identity": [[], {}, 3],
    "sweep": [[], 3],
    "device": [[]],
    "updates": ["3", -1, 1.5, True, [], 10**400],
    "parameters": ["many", [], 10**400],
    "seed": ["x", []],
    "threads": ["2", -1, True, 5000, 10**12],
    "updates_per_second": ["fast", [], True],
    "process": [3, [], "x", {"pid": "3"}, {"pid": 10**400}, {"start": []}, {"start": "9" * 5000}],
    "versions": [[], "2.0", {"torch": 2}],
    "git": [True, [], "abc", {"commit": 3}, {"dirty": "no"}],
    "command": ["rnnlab train", 3, [3], {}],
    "data": [True, "a.csv", [3], {"path": "a"}],
    "chance": [True, [], {"loss": "low"}, {"error": []}],
    "result": [True, [], "good", {"loss": [1]}, {"test_error": {}}, {"clip_rate": "x"}, {"nonfinite_updates": "x"}],
    "verdict": [True, [], "stable", {"word": 3}, {"fit": [1]}, {"fit": {"rate": "fast"}}, {"fit": {"window": [1]}}],
}
CASES = [(key, value) for key, values in WRONG.items() for value in values]


@pytest.fixture
def others(tmp_path: Path) -> Path:
    """A folder `runs` with three runs, and a fourth to be spoiled."""
    root = tmp_path / "runs"
    fake_group(root, {0: -10.0, 1: -11.0, 2: -12.0}, model__cell="rnn")
    fake_group(root, {3: -10.0}, model__cell="lstm")
    return root


def spoiled(root: Path) -> RunFolder:
    (path,) = root.glob("*lstm*")
    return RunFolder(path)


def with_value(run: RunFolder, key: str, value: Any) -> None:
    run.run.write_text(json.dumps({**json.loads(run.run.read_text()), key: value}))


@pytest.mark.parametrize(("key", "value"), CASES, ids=lambda part: str(part)[:20])
def test_a_value_of_another_type_is_named(key: str, value: Any, others: Path) -> None:
    run = spoiled(others)
    with_value(run, key, value)
    with pytest.raises(RunFolderError, match=rf"run\.json cannot be read: {key}[a-z_.]* must be") as caught:
        run.read_run()
    assert len(str(caught.value)) < len(str(run.run)) + 250
    with Index(others) as index:
        index.refresh()
        assert len(index.entries()) == 3
        assert list(index.left_out) == [run.name]


BROKEN = {
    "deep": ('{"a": ' + "[" * DEEP + "]" * DEEP + "}", "nested"),
    "less deep": ('{"a": ' + "[" * 200 + "]" * 200 + "}", "nested more than 50 deep"),
    "nan": ('{"result": {"loss": NaN}}', "NaN is no JSON"),
    "infinity": ('{"anything": -Infinity}', "-Infinity is no JSON"),
    "overflow": ('{"updates_per_second": 1e999}', "updates_per_second must be a number, not inf"),
    "digits": ('{"updates": ' + "9" * 5000 + "}", "integer string conversion"),
    "doubled": ('{"status": "failed", "status": "completed"}', "the key 'status' is there twice"),
    "doubled within": ('{"result": {"loss": 1, "error": 2, "loss": 3}}', "the key 'loss' is there twice"),
    "list": ("[]", "not a JSON object"),
    "empty": ("", "Expecting value"),
    "latin": ('{"name": "\xe9"}', "codec can't decode"),
    "blanks": (" " * (5 << 20), "bytes, and 4,194,304 are read at most"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_commands_go_on_with_the_other_runs(case: str, others: Path, rnn: Call) -> None:
    run, (content, message) = spoiled(others), BROKEN[case]
    run.run.write_bytes(content.encode("latin-1"))
    for command in (["ls"], ["report"], ["ls", "--where", "seed>=0"], ["report", "--json"], ["report", "--csv", "-"]):
        result = rnn(*command)
        assert result.code == 0, result.err
    assert f"left out: {run.name}: " in rnn("ls").err
    assert message in rnn("ls").err
    assert "rnn-T40-s1" in rnn("ls").out
    shown = rnn("show", run.name)
    assert shown.code == 2
    assert message in shown.err


def test_a_sweep_goes_on_with_the_other_runs(others: Path, rnn: Call) -> None:
    with_value(spoiled(others), "result", True)
    Path("s.yaml").write_text("base: {task: addition}\nseeds: 2\n")
    result = rnn("sweep", "-c", "s.yaml", "--dry-run")
    assert result.code == 0, result.err


def test_a_missing_status_is_read_as_failed(others: Path) -> None:
    run = spoiled(others)
    for text in ("{}", '{"status": null}'):
        run.run.write_text(text)
        assert run.status == "failed"
        with Index(others) as index:
            index.refresh()
            assert {entry.status for entry in index.entries() if entry.name == run.name} == {"failed"}


def bomb(levels: int) -> str:
    lines = ["a0: &a0 [x, x]", *(f"a{n}: &a{n} [*a{n - 1}, *a{n - 1}, *a{n - 1}]" for n in range(1, levels))]
    return "\n".join(lines)


CONFIGS = {
    "an alias to itself": ("task: &a {name: copy, more: *a}", "the alias .a stands for nothing"),
    "a list in itself": ("model: &a {x: [*a]}", "the alias .a stands for nothing"),
    "a bomb": (bomb(30), "values, aliases written out"),
    "deep": ("a: " + "[" * 500 + "]" * 500, "nested more than 50 deep"),
    "very deep": ("a: " + "[" * DEEP + "]" * DEEP, "maximum"),
    "deep in blocks": ("- " * DEEP, "maximum"),
    "task": ("task: 3", "task must be a mapping or a name, not 3"),
    "model": ("model: []", r"model must be a mapping, not \[\]"),
    "train": ("train: 1.5", "train must be a mapping"),
    "no rule": ("train: {stop: never}", "train.stop: 'never' is no stop rule"),
    "stop": ("train: {stop: [0]}", r"train.stop must be text, not \[0\]"),
    "seed": ("seed: one", "seed must be a whole number, not 'one'"),
    "a list of seeds": ("seed: [1]", "seed must be a whole number"),
    "true": ("seed: true", "seed must be a whole number"),
    "name": ("name: [a]", "name must be text"),
    "a key": ("model: {1: 2}", "a key must be text, not 1"),
    "a mapping as a key": ("model: {? [a, b] : 2}", "unhashable key"),
    "no key": ("null: 3", "a key must be text, not None"),
    "a date": ("model: {cell: 2026-01-01}", "must be a value of JSON"),
    "no date": ("model: {cell: 2026-13-41}", "month must be in"),
    "a set": ("model: !!set {a, b}", "must be a value of JSON|must be a mapping"),
    "bytes": ("notes: !!binary aGFsbG8=", "must be text"),
    "no number": ("seed: !!int x", "invalid literal"),
    "no truth": ("model: {x: !!bool x}", "KeyError"),
    "digits": ("seed: " + "9" * 5000, "integer string conversion"),
    "bits": ("model: {hidden: 0x" + "f" * 5000 + "}", "model.hidden is a number of 20,000 bits"),
    "code": ("!!python/object/apply:os.system [touch here]", "could not determine a constructor"),
    "a word": ("copy", "it is not a mapping"),
    "two": ("a: 1\n---\nb: 2", "expected a single document"),
    "large": ("#" + "x" * (2 << 20), "bytes, and 1,048,576 are read at most"),
}


@pytest.mark.parametrize("case", CONFIGS)
def test_a_config_that_no_rnnlab_wrote_is_named(case: str, others: Path, rnn: Call) -> None:
    run, (content, message) = spoiled(others), CONFIGS[case]
    run.config.write_text(content)
    with pytest.raises(RunFolderError, match=rf"config\.yaml cannot be read: .*({message})|cannot be read: {message}"):
        read_config(run)
    assert cached_configs(others, [run]) == {}
    for command in (["ls"], ["report"], ["ls", "--where", "seed>=0"]):
        result = rnn(*command)
        assert result.code == 0, result.err
        assert run.name in result.out + result.err
    assert not Path("here").exists()


def test_a_config_without_a_seed_does_not_end_a_report(others: Path, rnn: Call) -> None:
    for content in ("{}", "task: addition", "model: null\nseed: null"):
        spoiled(others).config.write_text(content)
        for command in (["ls"], ["report"], ["show", spoiled(others).name], ["report", "--by", "model.cell"]):
            result = rnn(*command)
            assert result.code in (0, 2), (content, result.err)


def test_anchors_that_are_fine_are_read(others: Path) -> None:
    run = spoiled(others)
    run.config.write_text("model: &m {cell: lstm}\ntrain: *m\nnotes: 'salt & pepper *'\n")
    assert read_config(run) == {"model": {"cell": "lstm"}, "train": {"cell": "lstm"}, "notes": "salt & pepper *"}


def test_a_store_of_a_stranger_is_not_believed(others: Path) -> None:
    with Index(others) as index:
        index.refresh()
        before = index.entries()
    for value in ("3", "{}", "null", '{"status": []}', "[" * 10_000, b"\xff", json.dumps({"identity": 3})):
        with closing(sqlite3.connect(others / ".rnnlab" / "store.sqlite")) as file, file:
            file.execute("UPDATE run SET value = ?", (value,))
        with Index(others) as index:
            index.refresh(ended=False)
            assert index.entries() == before


def test_a_view_in_place_of_a_table_is_not_asked(others: Path) -> None:
    endless = "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT x AS name, '1', '2' FROM n"
    (others / ".rnnlab").mkdir(exist_ok=True)
    for name, table in (("store.sqlite", "run"), ("claims.sqlite", "leases")):
        (others / ".rnnlab" / name).unlink(missing_ok=True)
        with closing(sqlite3.connect(others / ".rnnlab" / name)) as file, file:
            file.execute(f"CREATE VIEW {table} AS {endless}")
    with Index(others) as index:
        index.refresh()
        assert len(index.entries()) == 4
    with pytest.raises(RunFolderError, match="cannot be used: it holds a view or a trigger"), Claims(others):
        pass


@pytest.mark.parametrize("process", ["[]", "3", "{", '{"pid": "x"}', "null", b"\xff", 3])
def test_a_lease_that_no_rnnlab_wrote_is_none(process: Any, tmp_path: Path) -> None:
    with Claims(tmp_path) as ours:
        with closing(sqlite3.connect(tmp_path / ".rnnlab" / "claims.sqlite")) as file, file:
            file.execute("INSERT INTO leases VALUES ('other', ?, 1e12)", (process,))
            file.execute("INSERT INTO claims VALUES ('a', 'other')")
        assert ours.take(["a"]) == {"a"}


@pytest.mark.parametrize(
    "linked", [".rnnlab", ".rnnlab/gradients", ".rnnlab/store.sqlite", ".rnnlab/store.sqlite-journal"]
)
def test_nothing_is_written_through_a_link(
    linked: str, others: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rnnlab.runs.cache._SMALLEST_CSV", 0)
    outside, link = tmp_path / "outside", others / linked
    if link.suffix:
        outside.write_bytes(b"mine")
    else:
        outside.mkdir()
    link.parent.mkdir(exist_ok=True)
    link.symlink_to(outside)
    with Index(others) as index:
        index.refresh()
        assert len(index.entries()) == 4
    run = spoiled(others)
    assert cached_configs(others, [run])[run.name]["seed"] == 3
    assert cached_gradients(run).num_rows == len(Run(run.path).gradients)
    assert (outside.read_bytes() == b"mine") if link.suffix else not list(outside.iterdir())


@pytest.mark.parametrize("linked", [".rnnlab", ".rnnlab/claims.sqlite", ".rnnlab/claims.sqlite-wal"])
def test_claims_are_not_made_through_a_link(linked: str, tmp_path: Path) -> None:
    link, outside = tmp_path / "runs" / linked, tmp_path / "outside"
    link.parent.mkdir(parents=True)
    link.symlink_to(outside)
    with pytest.raises(RunFolderError, match=r"claims cannot be made: .* is a link; give another folder with --out"):
        Claims(tmp_path / "runs").__enter__()
    assert not outside.exists()


def test_a_terminal_obeys_nothing_of_a_run(others: Path, rnn: Call) -> None:
    run = spoiled(others)
    # With the right checksum, or run.json would not be believed at all.
    run.update(**dict.fromkeys(("scan", "device", "dtype", "reason", "sweep", "name", "started"), "\x1b[31m"))
    run.update(files=None)
    run.config.write_text('model: {cell: "\\e[31m", x: "' + "y" * 50_000 + '"}\n"a\\e[31m": 3\nseed: 3\n')
    for command in (["ls"], ["show", run.name], ["report"], ["report", "--by", "model.cell"]):
        result = rnn(*command)
        assert result.code in (0, 2), result.err
        assert all(one.isprintable() or one in "\n\t" for one in result.out + result.err), command
        assert len(result.out + result.err) < 20_000, command


def test_what_looks_like_markup_is_shown_as_it_stands(others: Path, rnn: Call) -> None:
    """rich fails for a tag without a beginning, and makes links of others."""
    run = spoiled(others)
    run.update(**dict.fromkeys(("device", "scan", "reason"), "a[/] [link=http://x]y[/link] :smile:"), files=None)
    run.config.write_text('model: {cell: lstm, "x[/]": "[bold]a[/]"}\nseed: 3\n')
    shown = rnn("show", run.name)
    assert shown.code == 0, shown.err
    assert "[link=http://x]y[/link] :smile:" in shown.out
    for other in others.iterdir():
        if other.name != ".rnnlab":
            config = RunFolder(other).config
            config.write_text(config.read_text().replace("model:", "model:\n  '[/]': " + f"'[/] {other.name[0:9]}'"))
    assert rnn("report", "--by", "model.[/]").code == 0
