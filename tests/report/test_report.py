"""What a report says, on a terminal and as tables for other programs."""

from __future__ import annotations

import csv
import io
import json
import re
from pathlib import Path

import pytest
from fakes import fake_group
from markdown_it import MarkdownIt
from reports import FORMULA, NASTY, findings
from rich.console import Console

from rnnlab.compare.collection import load_runs
from rnnlab.errors import UsageError
from rnnlab.report.export import as_csv, as_json, as_latex, as_markdown, check_ready
from rnnlab.report.findings import Findings
from rnnlab.report.headings import label, short_names
from rnnlab.report.terminal.comparison import report


def rendered(content: Findings, width: int, encoding: str = "utf-8") -> str:
    stream = io.TextIOWrapper(io.BytesIO(), encoding=encoding)
    Console(file=stream, width=width, highlight=False).print(report(content, width, unicode=encoding == "utf-8"))
    stream.flush()
    stream.seek(0)
    return stream.read()


@pytest.fixture
def two(tmp_path: Path) -> Path:
    fake_group(tmp_path, {0: -10, 1: -12, 2: -14}, model__cell="rnn")
    fake_group(tmp_path, {0: -1, 1: -2, 2: -3}, model__cell="lstm", error=0.3)
    return tmp_path


@pytest.fixture
def many(tmp_path: Path) -> Path:
    for cell in ("rnn", "lstm"):
        for lr in (0.1, 0.2, 0.3, 0.4):
            for init in ("orthogonal", "identity"):
                fake_group(tmp_path, {0: -10, 1: -12, 2: -14.5}, model__cell=cell, optimizer__lr=lr, model__init=init)
    return tmp_path


def test_the_report_says_what_the_runs_say(two: Path) -> None:
    text = rendered(findings(two), 100)
    assert "6 runs in 2 groups by model.cell, at each run's last finite reading (update 10)" in text
    (lstm,) = (line for line in text.splitlines() if line.startswith("lstm  "))
    assert (
        lstm.split() == ["lstm", "3", "3", "0/3", "-2.00", "-4.48", "+0.48", ">39", "7.48", "25%", "0.3"]
        or "-2.00" in lstm
    )
    (rnn,) = (line for line in text.splitlines() if line.startswith("rnn  "))
    assert rnn.split()[:7] == ["rnn", "3", "3", "3/3", "-12.0", "-17.0", "-7.03"]
    assert "rnn less lstm" in text
    assert "-10.0" in text


@pytest.mark.parametrize("width", [40, 80, 140])
@pytest.mark.parametrize("encoding", ["utf-8", "ascii"])
def test_no_line_is_wider_than_the_terminal(two: Path, many: Path, width: int, encoding: str) -> None:
    for root in (two, many):
        text = rendered(findings(root), width, encoding)
        assert max(map(len, text.splitlines())) <= width
        assert "rate" in text


def test_each_group_has_its_curve(many: Path) -> None:
    content = findings(many)
    names = [label(group, content.groups.axes) for group in content.groups]
    assert len(names) == 16
    lines = rendered(content, 80).splitlines()
    assert sum(any(line.startswith(f"{name} ") and "⠉" in line for name in names) for line in lines) == 16
    assert any(line.endswith("lag 39") for line in lines)
    few = Findings(load_runs(many).where("optimizer.lr<0.25").group_by())
    panels = rendered(few, 80).splitlines()
    assert sum(line.count("└") for line in panels) == len(few.groups) == 8


def test_other_settings_make_other_tables(two: Path) -> None:
    fake_group(two, {0: -5}, model__cell="rnn", timesteps=60)
    text = rendered(findings(two, "model.cell"), 100)
    assert "task.length = 40\n" in text
    assert "task.length = 60\n" in text
    assert "these runs differ in task.length as well, and are not pooled" in " ".join(text.split())


def test_too_many_tables_are_asked_about(tmp_path: Path) -> None:
    for at in range(13):
        fake_group(tmp_path, {0: -5}, model__cell=("rnn", "lstm")[at % 2], task__length=at + 10)
    with pytest.raises(UsageError, match=r"besides model.cell these runs differ in task.length, which makes 13 comp"):
        findings(tmp_path, "model.cell")


def test_what_is_missing_is_said(tmp_path: Path) -> None:
    fake_group(tmp_path, {0: -10, 1: -12}, model__cell="rnn")
    fake_group(tmp_path, {0: -1}, model__cell="lstm", status="diverged")
    fake_group(tmp_path, {5: -1}, model__cell="lstm", status="interrupted")
    (tmp_path / "cell=rnn-T40-s1" / "gradients.csv").write_text("broken\n")
    text = " ".join(rendered(findings(tmp_path), 200).split())
    assert "1 run diverged: no success, and read at the last finite update" in text
    assert "1 run interrupted: read as far as it goes, and counted neither as a success nor as none" in text
    assert "left out: cell=rnn-T40-s1:" in text
    assert "lstm 2 (2) 2 0/1" in text
    assert "in brackets: how many of the runs have not completed" in text
    assert "with fewer than 3 seeds, so points and no interval: 2 groups" in text
    assert "one seed" in text


def test_the_csv_has_every_figure(two: Path) -> None:
    lstm, rnn = csv.DictReader(io.StringIO(as_csv(findings(two))))
    assert rnn["model.cell"] == "rnn"
    assert float(rnn["rate_mean"]) == pytest.approx(-12)
    assert (rnn["runs"], rnn["seeds"], rnn["successes"], rnn["ended"]) == ("3", "3", "3", "3")
    assert float(lstm["success_high"]) == pytest.approx(0.5615, abs=1e-4)
    assert lstm["horizon_median"] == "inf"


def test_the_json_is_strict_and_whole(two: Path) -> None:
    (two / "cell=rnn-T40-s1" / "gradients.csv").unlink()

    def refuse(name: str) -> None:
        raise AssertionError(name)

    whole = json.loads(as_json(findings(two)), parse_constant=refuse)
    lstm, rnn = whole["groups"]
    assert lstm["horizon_median"] == "inf"
    assert [run["seed"] for run in lstm["runs_by_name"]] == [0, 1, 2]
    assert lstm["runs_by_name"][0]["rate"] == pytest.approx(-1)
    assert "rate" not in rnn["runs_by_name"][1]
    assert list(whole["left_out"]) == ["cell=rnn-T40-s1"]
    assert whole["pairs"][0]["word"] == "2 shared seeds, too few to say"


def test_tables_quote_what_their_language_reads(tmp_path: Path) -> None:
    for value in (NASTY, FORMULA, "a|b_c & 50%", "-1+1"):
        fake_group(tmp_path, {0: -1}, model__cell="rnn", model__label=value)
    content = findings(tmp_path)
    cells = [row["model.label"] for row in csv.DictReader(io.StringIO(as_csv(content)))]
    assert cells == ["'-1+1", NASTY, f"'{FORMULA}", "a|b_c & 50%"]
    latex = as_latex(content)
    assert r"a|b\_c \& 50\%" in latex
    assert r"\textless{}script\textgreater{}" in latex
    assert latex.count(r"\begin{tabular}") == latex.count(r"\end{tabular}") == 1


def test_tables_hold_nothing_that_a_terminal_obeys(tmp_path: Path) -> None:
    escapes = "\x1b[31m\x9b\x07\x00\r\u202e"
    for value in (escapes, f"={escapes}"):
        fake_group(tmp_path, {0: -1}, **{"model__cell": "rnn", f"model__={escapes}": value})
    for table in (as_csv, as_markdown, as_latex):
        text = table(findings(tmp_path))
        assert all(one.isprintable() or one == "\n" for one in text), ascii(text)
    head, *rows = csv.reader(io.StringIO(as_csv(findings(tmp_path))))
    assert head[0].startswith("model.=\\x1b[31m\\x9b")
    assert {row[0][:6] for row in rows} == {"'=\\x1b", "\\x1b[3"}


HOSTILE = [NASTY, FORMULA, "a|b_c & 50%", "-1+1", "two\nlines", "\\|", "`code` *bold* [link](x) ~~", "[0.9]", "*"]
HOSTILE += ["1.50", "007", "nan", "\\end{tabular}", "% gone", "$x$ #1 {y} ^z"]


def test_every_cell_of_a_markdown_table_is_read_back_as_it_was(tmp_path: Path) -> None:
    for value in HOSTILE:
        fake_group(tmp_path, {0: -1}, **{"model__a|b <i>": value})
    head, *rows = table_of(as_markdown(findings(tmp_path)))
    assert head[:3] == ["a|b <i>", "runs", "seeds"]
    assert sorted(row[0] for row in rows) == sorted(value.replace("\n", " ") for value in HOSTILE)
    assert {row[head.index("rate")] for row in rows} == {"-1.00"}
    assert {len(row) for row in rows} == {len(head)}


def table_of(markdown: str) -> list[list[str]]:
    """The cells' texts as a reader of Markdown sees them; anything in them that is no text fails."""
    tokens = MarkdownIt("commonmark").enable("table").parse(markdown.split("\nRead ")[0])
    rows: list[list[str]] = []
    for token in tokens:
        if token.type == "tr_open":
            rows.append([])
        elif token.type == "inline":
            children = token.children or []
            assert {child.type for child in children} <= {"text", "text_special"}
            rows[-1].append("".join(child.content for child in children))
    return rows


def test_every_cell_of_a_latex_table_is_escaped(tmp_path: Path) -> None:
    for value in HOSTILE:
        fake_group(tmp_path, {0: -1}, **{"model__a&b_c": value})
    body = as_latex(findings(tmp_path)).split("\\toprule\n")[1].split("\\bottomrule")[0].replace("\\midrule\n", "")
    lines = body.splitlines()
    assert len(lines) == 1 + len(HOSTILE)
    assert lines[0].startswith(r"a\&b\_c & runs & seeds &")
    assert {len(re.findall(r"(?<!\\)&", line)) for line in lines} == {9}
    assert all(line.endswith(r" \\") for line in lines)
    # What the end of the row before would take for its own option.
    assert not any(line.startswith(("[", "*")) for line in lines)
    escaped = r"\\text(backslash|asciicircum|asciitilde|less|greater)\{\}|\\[&%$#_{}]|\\\\$|^\{\}"
    bare = re.sub(escaped, "", body, flags=re.MULTILINE)
    assert re.search(r"[\\%#_{}^~<>]", bare) is None
    assert set(re.findall(r"\$([^$]*)\$", bare)) == {"-1.00"}


def test_a_missing_package_is_named_with_the_cure(monkeypatch: pytest.MonkeyPatch) -> None:
    check_ready(["csv", "markdown", "latex"])
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    check_ready(["csv"])
    for kind, package in (("markdown", "tabulate"), ("latex", "jinja2")):
        with pytest.raises(UsageError, match=rf"--{kind} is made with {package}: pip install 'rnnlab\[report\]'"):
            check_ready([kind])


def test_latex_has_minus_signs(two: Path) -> None:
    latex = as_latex(findings(two))
    assert "$-12.0$ & $-17.0$~$-7.03$" in latex
    assert r"lstm & 3 & 3 & 0/3" in latex


def test_short_names_stay_apart() -> None:
    assert short_names(["task.length", "clip.name", "model.init.recurrent.name"]) == {
        "task.length": "length",
        "clip.name": "clip",
        "model.init.recurrent.name": "recurrent",
    }
    both = short_names(["model.init.recurrent.gain", "model.init.input.gain"])
    assert sorted(both.values()) == ["input.gain", "recurrent.gain"]
    assert short_names(["task.name", "task.length"]) == {"task.name": "task", "task.length": "length"}
