"""How the keeping of a sweep grows with its runs: planning, training one update each, finding what is there.

`python benchmarks/scale.py 1000` for other numbers of runs, which are tens; --quick for ten.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from options import asked

TEXT = """\
base:
  task: {name: addition, length: 10}
  model: {hidden: 2}
  train: {batch: 2, updates: 1, evaluate_size: 2}
axes:
  random: {samples: SAMPLES, optimizer.lr: {log_uniform: [1e-5, 0.1]}}
seeds: 10
"""

STAGES = ("plan", "train", "again", "list", "list, index gone")

Row = dict[str, Any]

USUAL = {"runs": 100}
QUICK = {"runs": 10}


def measure(runs: int) -> Row:
    """Seconds and MiB of the whole command, from the shell to the shell."""
    with tempfile.TemporaryDirectory() as folder:
        file, out = Path(folder) / "sweep.yaml", Path(folder) / "runs"
        file.write_text(TEXT.replace("SAMPLES", str(runs // 10)))
        sweep = ["-m", "rnnlab", "sweep", "-c", str(file), "--out", str(out)]
        row: Row = {"runs": runs, "plan": timed(*sweep, "--dry-run", "--json")}
        row["train"] = timed(*sweep, "--engine", "inline", "-q")
        row["again"] = timed(*sweep)
        row["list"] = timed("-c", _LIST, str(out))
        (out / ".rnnlab" / "store.sqlite").unlink()
        row["list, index gone"] = timed("-c", _LIST, str(out))
        return row


_LIST = """
import sys
from rnnlab.runs.index import Index
with Index(sys.argv[1]) as index:
    index.refresh()
    assert index.entries()
"""


def timed(*arguments: str) -> Row:
    """A Python process: its wall time in seconds, and the most memory that it held in MiB."""
    begun = time.perf_counter()
    with subprocess.Popen([sys.executable, *arguments], stdout=subprocess.DEVNULL) as process:
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0, arguments
    return {"s": time.perf_counter() - begun, "MiB": usage.ru_maxrss / 1024}


def main() -> None:
    print(json.dumps(measure(asked(__doc__, USUAL, QUICK).runs), indent=2))


if __name__ == "__main__":
    main()
