"""The README's commands run in its order in one folder, each on what those before it have left, on small networks."""

from __future__ import annotations

import re
import shlex
import shutil
from pathlib import Path

import numpy as np
import pytest
from commands import Call

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
SMALL = ["model.hidden=4", "train.updates=2", "train.batch=4", "train.evaluate_size=8"]
OURS = re.compile(r"^(?:rnnlab |make sweep-demo).*", re.MULTILINE)


def commands() -> list[list[str]]:
    """In their order; `make sweep-demo` is the sweep that it trains."""
    blocks = re.findall(r"^```\w*\n(.*?)^```", README, re.DOTALL | re.MULTILINE)
    lines = [line for block in blocks for line in OURS.findall(block)]
    words = [shlex.split(line, comments=True) for line in lines]
    demo = ["rnnlab", "sweep", "--config", "configs/sweep_demo.yaml"]
    return [demo if line[0] == "make" else line for line in words]


def small(command: list[str]) -> list[str]:
    """The same command on small networks, and of a sweep few runs."""
    _, name, *rest = command
    if name not in ("train", "sweep"):
        return [name, *(word for word in rest if word != "--open")]
    sets = [word for setting in SMALL for word in ("--set", setting)]
    few = ["--set", "seeds=1", "--engine", "inline"] if name == "sweep" else []
    most = ["--max-runs", "6"] if "configs/sweep_vanishing.yaml" in rest else []
    return [name, *sets, *rest, *few, *most, "-q"]


@pytest.mark.long
def test_the_readmes_commands_run_in_their_order(rnn: Call, tmp_path: Path) -> None:
    shutil.copytree(ROOT / "configs", tmp_path / "configs")
    (tmp_path / "book.txt").write_text("all happy families are alike. " * 100)
    (tmp_path / "weather.csv").write_text("day,temperature\n" + "".join(f"{t},{t % 7}\n" for t in range(1000)))
    np.savez(tmp_path / "mine.npz", x=np.ones((40, 5, 2)), y=np.arange(40) % 2)
    done = [command for command in commands() if "mnist-folder}" not in " ".join(command)]
    assert sum(command[1] == "report" for command in done) >= 3
    for command in done:
        result = rnn(*small(command))
        assert result.code == 0, (command, result.err)
    assert (tmp_path / "report.html").stat().st_size
    assert (tmp_path / "figures" / "gradient.svg").stat().st_size
