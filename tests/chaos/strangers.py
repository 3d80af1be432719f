"""Texts that attack whoever shows them, and a folder of runs of a stranger that holds them."""

from __future__ import annotations

import pickle
import unicodedata
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml
from fakes import fake_group

from rnnlab.runs.checkpoint_file import parts_with_checksum
from rnnlab.runs.run_json import write_run_json

Rng = np.random.Generator

CANARY = "run-by-a-stranger"
"""The file that is there when something was run."""
HARMLESS = "harmless"
PARTS = (
    "<script>alert(1)</script>", "</script><script>alert(1)</script>", "<img src=x onerror=alert(1)>", '" onload="a()',
    "' onclick='a()", "<!--", "-->", "]]>", "<svg/onload=a()>", "javascript:alert(1)", "&lt;b&gt;", "</style>", "</td>",
    "{{ 7 * 7 }}", "{% raw %}", "${7*7}", "__proto__", "</title>",
    '=HYPERLINK("http://x","y")', "=1+1", "+1", "-1+cmd|' /C calc'!A0", "@SUM(1)", "\t=1", "\r=1", "\u200b=1", "＝1",
    " =1",
    "\x1b[31m", "\x1b]0;title\x07", "\x1b]8;;http://x\x07y", "\x9b31m", "\x00", "\x08\x08", "\r", "\n", "\x0b", "\x85",
    "\u202e", "\u2066", "\u200f", "\u2028", "\ufeff", "\ufffe", "\x7f", "\u061c", "e\u0301" * 20, "\U000e0041",
    r"\input{/etc/passwd}", rf"\write18{{touch {CANARY}}}", "^^5cinput", "%", "$$", r"$\frac{$", "$x^$", "\\", "&",
    "#1", "~", "_", "{", "}", "*a*", "[a](javascript:b)", "![a](http://x/y.png)", "`a`", "|", "| a | b |", "# a", "\\|",
    "[bold red]a[/]", "[link=http://x]y[/link]", "[/]", ":smile:", "a,b", '"', "'", ";", f"$(touch {CANARY})",
    f"`touch {CANARY}`", f"; touch {CANARY}", "../../etc/passwd", "/etc/passwd", "C:\\x", "~/.ssh/id", "..", "%s%n",
    "{0}",
    "null", "true", "nan", "0x10", "2026-01-01", "!!python/object:os.system", "&a", "*a", "- a", "? a", "a: b",
)  # fmt: skip
_OF_TEXT = ("reason", "sweep", "device", "dtype", "scan", "started", "ended")


class Runs:
    """What a pickle of a stranger would do."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.path,)


def text(rng: Rng) -> str:
    """Some hostile text."""
    return "".join(PARTS[at] for at in rng.integers(0, len(PARTS), int(rng.integers(1, 4))))


def write_runs(root: Path, rng: Rng, *, hostile: bool) -> None:
    """Six runs whose names, settings and run.json hold texts: hostile ones, or as many harmless ones."""
    words: dict[str, str] = {}

    def drawn() -> str:
        given = text(rng)
        return given if hostile else words.setdefault(given, f"{HARMLESS}{len(words)}")

    key = f"k{drawn()}"
    for cell in ("rnn", "gru"):
        settings = {"cell": f"{cell}{drawn()}", key: drawn()}
        path = drawn()
        for number, run in enumerate(fake_group(root, {0: -10.0, 1: -11.0, 2: -12.0}, model__cell=cell)):
            config = yaml.safe_load(run.dir.config.read_text())
            config["model"] |= settings
            config["task"] |= {"path": path}
            config |= {"notes": drawn(), "name": drawn()}
            run.dir.config.write_text(yaml.safe_dump(config, allow_unicode=True))
            info = run.dir.read_run()
            info |= {name: drawn() for name in _OF_TEXT} | {"name": drawn(), "command": [drawn(), drawn()]}
            info["verdict"] = {"word": "stable", "text": drawn(), "reason": drawn()}
            info["versions"] = {drawn(): drawn()}
            write_run_json(run.dir.run, info)
            run.path.rename(root / f"{file_name(drawn())}{cell}{number}")


def file_name(given: str) -> str:
    """The text as the name of a file: without what no name can hold, and no hidden one."""
    return given.replace("/", "_").replace("\0", "0").lstrip(".")[:60] or "x"


def hostile_checkpoint(path: Path, canary: Path) -> None:
    """A checkpoint with the right checksum, whose pickle runs something."""
    import io

    memory = io.BytesIO()
    torch.save({"updates": 3, "saved": "", "parameters": Runs(canary), "record": {}}, memory)
    path.write_bytes(b"".join(bytes(part) for part in parts_with_checksum(memory.getbuffer())))


def bare_pickle(path: Path, canary: Path) -> None:
    """A pickle in place of a checkpoint."""
    path.write_bytes(pickle.dumps(Runs(canary)))


def shows_plainly(shown: str) -> bool:
    """Whether a terminal obeys nothing of a text: no control, bidirectional or other character without a form."""
    return all(one in "\n\t" or unicodedata.category(one) not in ("Cc", "Cf", "Cs", "Zl", "Zp") for one in shown)
