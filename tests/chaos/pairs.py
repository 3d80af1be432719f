"""Two commands at once on one folder of runs, in every pair: the end is that of one after the other.

Each command is a process forked from one that has loaded torch and trained before: it needs no time to start. That
one is fresh (`python -m chaos.pairs COUNT SEED`), since a process with threads of others' is not forked safely.
"""

from __future__ import annotations

import itertools
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
from chaos.calls import called
from chaos.damage import end_of
from chaos.spoiled_runs import make_runs

from rnnlab.runs.folder import RunFolder
from rnnlab.runs.run_json import ENDED

COMMANDS: Mapping[str, Sequence[str]] = {
    "train": ("train", "-c", "interrupted.yaml", "-q"),
    "train --resume": ("train", "-c", "interrupted.yaml", "--resume", "-q"),
    "train --force": ("train", "-c", "interrupted.yaml", "--force", "-q"),
    "sweep": ("sweep", "-c", "s.yaml", "-q"),
    "report --html": ("report", "-q", "--html", "page.html"),
    "verify": ("verify",),
    "ls": ("ls",),
}
CODES: Mapping[str, Sequence[int]] = {
    "train": (2,),
    "train --resume": (0, 2),
    "train --force": (0, 2),
    "sweep": (0,),
    "report --html": (0,),
    "verify": (0, 3),
    "ls": (0,),
}
"""What each may end with: `train` finds its name taken; one of two that train one run is refused; `verify` may meet a
run that is being replaced."""
ROOT = Path(__file__).parent.parent.parent
NUMBER = 28
"""Pairs of these commands, with itself too."""
_LONGEST = 60.0
_REFUSED = ("is there already", "is being trained", "--force", "can be resumed", "is running", "trained by")


@dataclass(frozen=True)
class Ended:
    """How a command ended."""

    code: int
    out: str
    err: str


def run(count: int = NUMBER, seed: int = 0) -> list[tuple[str, str]]:
    """So many pairs, each on a fresh folder. Raises AssertionError with the pair whose end is another one."""
    paths = [str(ROOT), str(ROOT / "tests"), *filter(None, [os.environ.get("PYTHONPATH")])]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(paths), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "chaos.pairs", str(count), str(seed)]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, cwd=ROOT)
    if done.returncode:
        raise AssertionError(done.stderr)
    return [(word, figure) for word, figure in json.loads(done.stdout)]


def _figures(count: int, seed: int) -> list[tuple[str, str]]:
    counts: Counter[str] = Counter()
    pairs = list(itertools.combinations_with_replacement(COMMANDS, 2))
    assert len(pairs) == NUMBER
    rng = np.random.default_rng(seed)
    order = [pairs[int(at)] for at in rng.permutation(NUMBER)]
    with tempfile.TemporaryDirectory() as base:
        made = Path(base, "made")
        made.mkdir()
        make_runs(made / "runs")
        for path in (made / "runs").glob("lstm-*"):  # the sweep's
            path.rename(made / "undisturbed" / path.name)
        called("report", str(made / "runs"), "-q", "--html", str(Path(base, "page.html")))
        for number in range(count):
            pair = order[number % NUMBER]
            folder = Path(base, "folder")
            shutil.copytree(made, folder)
            try:
                counts["pairs of commands at once"] += 1
                for word in _tried(pair, folder, float(rng.uniform(0, 0.15)) if number >= 2 else 0.0):
                    counts[word] += 1
            except Exception as error:
                raise AssertionError(f"{' and '.join(pair)}: {error}") from error
            finally:
                shutil.rmtree(folder)
    return [(word, f"{counts[word]:,}") for word in sorted(counts)]


def _tried(pair: tuple[str, str], folder: Path, delay: float) -> list[str]:
    """Run both, the second after some seconds, and look at what they leave."""
    children = []
    for number, name in enumerate(pair):
        children.append(_forked(COMMANDS[name], folder, folder / f"{number}"))
        time.sleep(delay)
    ended = [_waited(pid, folder / f"{number}") for number, pid in enumerate(children)]
    for name, end in zip(pair, ended, strict=True):
        assert end.code in CODES[name], (name, end)
        assert "Traceback" not in end.err, end
        assert "bug in rnnlab" not in end.err, end
        if end.code == 2:
            assert end.err.startswith("rnnlab: "), end
            assert any(words in end.err for words in _REFUSED), end
    _check_end(pair, [end.code for end in ended], folder)
    return [f"{name}: exit {end.code}" for name, end in zip(pair, ended, strict=True)]


def _check_end(pair: tuple[str, str], codes: Sequence[int], folder: Path) -> None:
    """The runs are those of one command after the other."""
    trains = [code for name, code in zip(pair, codes, strict=True) if name in ("train --resume", "train --force")]
    status = RunFolder(folder / "runs" / "interrupted").read_run()["status"]
    assert status == ("completed" if trains else "interrupted"), status
    if trains:
        assert 0 in trains, codes
    swept = sorted(path.name for path in (folder / "runs").glob("lstm-*"))
    assert swept == (["lstm-T10-s0", "lstm-T10-s1"] if "sweep" in pair else []), swept
    for path in (folder / "runs").iterdir():
        undisturbed = folder / "undisturbed" / path.name
        if undisturbed.exists() and RunFolder(path).is_run and RunFolder(path).status in ENDED:
            assert end_of(path) == end_of(undisturbed), path
    left = [path.name for path in (folder / "runs").iterdir() if ".new-" in path.name or ".old-" in path.name]
    assert not left, left
    verified = called("verify", "--json", str(folder / "runs")).out.splitlines()
    assert all(json.loads(line)["whole"] for line in verified), verified
    report = json.loads(called("report", "--json", str(folder / "runs")).out)
    assert not report["left_out"], report["left_out"]


def _forked(arguments: Sequence[str], folder: Path, output: Path) -> int:
    """A process that runs the command; its pid."""
    sys.stdout.flush()
    sys.stderr.flush()
    pid = os.fork()
    if pid == 0:
        _become(arguments, folder, output)
    return pid


def _become(arguments: Sequence[str], folder: Path, output: Path) -> NoReturn:
    code = 70
    try:
        out, err = (open(f"{output}.{name}", "w") for name in ("out", "err"))  # noqa: SIM115
        sys.stdout, sys.stderr = out, err
        os.chdir(folder)
        from rnnlab.cli import main

        try:
            main(arguments)
        except SystemExit as end:
            code = end.code if isinstance(end.code, int) else 1
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def _waited(pid: int, output: Path) -> Ended:
    """The end of a process; one that hangs is killed."""
    deadline = time.monotonic() + _LONGEST
    while True:
        done, status = os.waitpid(pid, os.WNOHANG)
        if done:
            texts: list[Any] = [Path(f"{output}.{name}").read_text() for name in ("out", "err")]
            return Ended(os.waitstatus_to_exitcode(status), *texts)
        if time.monotonic() > deadline:
            os.kill(pid, 9)
            os.waitpid(pid, 0)
            raise AssertionError("it hangs")
        time.sleep(0.01)


if __name__ == "__main__":
    import torch

    torch.set_num_threads(1)
    print(json.dumps(_figures(int(sys.argv[1]), int(sys.argv[2]))))
