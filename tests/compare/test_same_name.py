"""Runs of one name in two folders stay two runs, and whoever shows them says which is which."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest
from commands import Call
from fakes import fake_group
from reports import unpacked

from rnnlab.compare.collection import Runs
from rnnlab.compare.run_names import run_names
from rnnlab.compare.select import choose
from rnnlab.errors import UsageError
from rnnlab.report.export import as_json
from rnnlab.report.figures import write_figures
from rnnlab.report.findings import Findings
from rnnlab.report.page.payload import payload
from rnnlab.runs.run import Run

A, B = Path("a/lstm-s0"), Path("b/lstm-s0")
RATE = {"rnn": -10.0, "lstm": -50.0}
SHOWN = {"rnn": "a/lstm-s0", "lstm": "b/lstm-s0"}


@pytest.fixture
def both(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Runs:
    """a/lstm-s0 falls by 10 decades in 100 timesteps, b/lstm-s0 by 50; only the first succeeded."""
    monkeypatch.chdir(tmp_path)
    for folder, cell, error in (("a", "rnn", 0.005), ("b", "lstm", 0.3)):
        (made,) = fake_group(Path(folder), {0: RATE[cell]}, model__cell=cell, error=error)
        made.path.rename(Path(folder) / "lstm-s0")
    return choose(["a", "b"])


def findings(runs: Runs) -> Findings:
    return Findings(runs.group_by("model.cell"))


def test_a_name_is_shown_with_as_much_of_its_folder_as_tells_it_apart() -> None:
    assert run_names([Path("a/x"), Path("b/y")]) == {Path("a/x"): "x", Path("b/y"): "y"}
    paths = [Path(path) for path in ("/a/runs/x", "/b/runs/x", "/c/x", "/c/y")]
    assert [*run_names(paths).values()] == ["a/runs/x", "b/runs/x", "c/x", "y"]
    # The whole of one path may be the ending of another.
    assert [*run_names([Path("/x"), Path("/a/x")]).values()] == ["/x", "a/x"]
    assert run_names([Path("/a/x"), Path("/a/x")]) == {Path("/a/x"): "x"}


def test_a_condition_takes_the_name_that_is_shown(both: Runs) -> None:
    assert [run.path for run in both.where("name = a/lstm-s0")] == [A]
    assert [run.path for run in both.where("name = lstm-s0")] == [A, B]
    assert not both.where("name = s0")


def test_decay_rates_are_each_runs_own(both: Runs) -> None:
    rates = both.group_by("model.cell").decay_rates().set_index("model.cell")["rate"]
    assert rates.to_dict() == pytest.approx(RATE)
    solved = both.group_by("model.cell").success_rates().set_index("model.cell")["successes"]
    assert solved.to_dict() == {"rnn": 1, "lstm": 0}


def test_the_json_says_which_run_is_which(both: Runs) -> None:
    groups = {group["model.cell"]: group for group in json.loads(as_json(findings(both)))["groups"]}
    for cell, (run,) in ((cell, group["runs_by_name"]) for cell, group in groups.items()):
        assert run["rate"] == pytest.approx(RATE[cell])
        assert run["success"] == (cell == "rnn")
        assert run["name"] == run["path"] == SHOWN[cell]


def test_the_page_draws_each_runs_own_curve(both: Runs) -> None:
    data, _ = payload(findings(both))
    for group in data["groups"]:
        (cell,), (number,) = group["values"], group["runs"]
        run = data["runs"][number]
        assert run["name"] == SHOWN[cell]
        assert group["rate"]["middle"] == pytest.approx(RATE[cell])
        for curve in (run["heat"]["values"], group["curves"][-1]["values"]):
            assert unpacked(curve)[0][-1] == pytest.approx(RATE[cell] * 0.39, abs=1e-3)


def test_figures_have_each_runs_own_data(both: Runs, tmp_path: Path) -> None:
    write_figures(findings(both), tmp_path / "figures", ["png"])
    rates = pd.read_csv(tmp_path / "figures" / "rates.csv").set_index("model.cell")["rate"]
    assert rates.to_dict() == pytest.approx(RATE)
    heat = pd.read_csv(tmp_path / "figures" / "heatmaps.csv").groupby("run")["log10_norm"].min()
    assert heat.to_dict() == pytest.approx({SHOWN[cell]: rate * 0.39 for cell, rate in RATE.items()})


def test_the_run_column_tells_them_apart(both: Runs) -> None:
    for frame in (both.gradients, both.metrics):
        assert frame.groupby("run", observed=True)["model.cell"].unique().map(list).to_dict() == {
            shown: [cell] for cell, shown in SHOWN.items()
        }
    lowest = both.gradients.groupby("run", observed=True)["log10_norm"].min()
    assert lowest.to_dict() == pytest.approx({SHOWN[cell]: rate * 0.39 for cell, rate in RATE.items()})


def test_a_name_that_two_runs_have_is_refused_with_both_paths(both: Runs) -> None:
    with pytest.raises(UsageError, match=r"2 runs are named 'lstm-s0': a/lstm-s0, b/lstm-s0"):
        both["lstm-s0"]
    assert both["a/lstm-s0"].path == A
    assert both["b/lstm-s0"].path == B
    assert both.where("model.cell=lstm")["lstm-s0"].path == B


def test_what_is_left_out_is_named_with_its_folder_too(both: Runs) -> None:
    (B / "config.yaml").unlink()
    assert [*both.group_by().left_out] == ["b/lstm-s0"]
    (A / "config.yaml").unlink()
    for choice in (choose(["a", "b"], ["seed=0"]), choose(["a", "b"]).group_by()):
        assert {name: f"{name}/config.yaml" in why for name, why in choice.left_out.items()} == {
            "a/lstm-s0": True,
            "b/lstm-s0": True,
        }


def test_runs_of_one_name_without_an_identity_are_not_taken_for_one(both: Runs) -> None:
    for path in (A, B):
        run = Run(path)
        run.dir.run.write_text(json.dumps({key: value for key, value in run.info.items() if key != "identity"}))
    groups = choose(["a", "b"]).group_by("model.cell")
    assert (len(groups), groups.repeated) == (2, 0)


def test_the_same_run_in_two_folders_counts_once(both: Runs) -> None:
    (B / "config.yaml").write_text((A / "config.yaml").read_text())
    for path in (A, B):
        run = Run(path)
        run.dir.run.write_text(json.dumps({key: value for key, value in run.info.items() if key != "identity"}))
    groups = choose(["a", "b"]).group_by()
    assert ([len(group.runs) for group in groups], groups.repeated) == ([1], 1)


def test_ls_and_show_say_which_is_which(rnn: Call, both: Runs, tmp_path: Path) -> None:
    head, *lines = rnn("ls", "a", "b").out.splitlines()
    column = head.split().index("cell")
    assert {line.split()[column]: line.split()[0] for line in lines} == SHOWN
    rows = [json.loads(line) for line in rnn("ls", "a", "b", "--json").out.splitlines()]
    assert {row["settings"]["model.cell"]: row["name"] for row in rows} == SHOWN
    # Alone, each has the name that it always had.
    assert rnn("ls", "a").out.splitlines()[1].split()[0] == "lstm-s0"
    for cell, path in (("rnn", A), ("lstm", B)):
        assert json.loads(rnn("show", str(path), "--json").out)["settings"]["model.cell"] == cell
    (A / "run.json").write_text("{")
    (B / "run.json").write_text("{")
    assert "left out: a/lstm-s0: a/lstm-s0/run.json" in (stderr := rnn("ls", "a", "b").err)
    assert "left out: b/lstm-s0: b/lstm-s0/run.json" in stderr
    assert rnn("show", "b/lstm-s0").err.startswith("rnnlab: b/lstm-s0/run.json cannot be read")


def test_the_report_names_what_it_leaves_out_with_its_folder(rnn: Call, both: Runs) -> None:
    (B / "gradients.csv").write_text("broken\n")
    words = " ".join(rnn("report", "a", "b").out.split())
    assert "left out: b/lstm-s0: b/lstm-s0/gradients.csv does not begin" in words
    assert "left out: a/lstm-s0" not in words
