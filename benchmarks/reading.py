"""How long a report takes over ten million rows of gradients, and how large and how quick its page of 500 runs is.

`python benchmarks/reading.py 500 100 200` for other runs, updates and timesteps; --quick for a few of them.
"""

from __future__ import annotations

import json
import shutil
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from options import asked
from scale import timed

from rnnlab.config import load_config
from rnnlab.runs.folder import RunFolder
from rnnlab.runs.writers import GradientLog, MetricsLog

Row = dict[str, Any]

USUAL = {"runs": 500, "updates": 100, "timesteps": 200}
QUICK = {"runs": 3, "updates": 4, "timesteps": 20}


def measure(runs: int, updates: int, timesteps: int) -> Row:
    """Seconds and MiB of the whole command, from the shell to the shell: nothing read before, and then again."""
    with tempfile.TemporaryDirectory() as folder:
        out, page = Path(folder) / "runs", Path(folder) / "page.html"
        make(out, runs, updates, timesteps)
        size = sum(path.stat().st_size for path in out.glob("*/gradients.csv"))
        report = ["-m", "rnnlab", "report", str(out)]
        row: Row = {"runs": runs, "rows": runs * updates * timesteps, "csv": size}
        row["report"], row["again"] = timed(*report), timed(*report)
        row["kept"] = sum(path.stat().st_size for path in out.glob(".rnnlab/gradients/*"))
        row["page"] = timed(*report, "--html", str(page), "-q")
        row["page bytes"] = page.stat().st_size
        row["opens"] = opens(page)
        row["ls"], row["ls again"] = (timed("-m", "rnnlab", "ls", str(out)) for _ in range(2))
        return row


def make(out: Path, runs: int, updates: int, timesteps: int) -> None:
    """Runs of three cells and five learning rates whose records nobody trained for; all have the same bytes."""
    out.mkdir()
    first: RunFolder | None = None
    for number in range(runs):
        cell, lr, seed = ("rnn", "lstm", "gru")[number % 3], (0.01, 0.1, 0.2, 0.5, 1.0)[number // 3 % 5], number // 15
        task = {"name": "addition", "length": timesteps}
        config = load_config(
            {"task": task, "model": {"cell": cell}, "optimizer": {"name": "sgd", "lr": lr}, "seed": seed}
        )
        run = RunFolder.create(out, f"{cell}-lr{lr}-s{seed}", {"identity": config.identity(), "seed": seed})
        run.config.write_text(config.to_yaml())
        if first is None:
            first = run
            write(run, updates, timesteps)
        else:
            shutil.copy(first.gradients, run.gradients)
            shutil.copy(first.metrics, run.metrics)
        result = {"eval_loss": 0.1, "eval_error": 0.001 * seed, "test_error": 0.001 * seed}
        run.finish("completed", "all updates made", result=result, updates=updates)


def write(run: RunFolder, updates: int, timesteps: int) -> None:
    rng, t = np.random.default_rng(0), np.arange(timesteps)
    lag = timesteps - 1 - t
    with GradientLog(run.gradients) as gradients, MetricsLog(run.metrics) as metrics:
        for update in range(updates):
            y = -lag * (0.05 + 1e-4 * update) + 0.1 * rng.normal(size=timesteps)
            direct = np.where(lag == 0, y, -np.inf)
            logs = {"norm": y, "p05": y - 0.3, "median": y - 0.05, "p95": y + 0.3, "direct": direct}
            figures = {f"{own}log10_{name}": values for own in ("", "own_") for name, values in logs.items()}
            counts = {"t": t, "lag": lag, "own_lag": lag, "own_samples": np.full(timesteps, 20)}
            gradients.write(update, 0, "h", {**counts, "norm": 10**y, **figures})
            norms = {"grad_norm": 1.0, "grad_norm_clipped": 0.5, "clipped": 1}
            metrics.write({"update": update, "loss": 1 / (update + 1), "error": 0.5, "seconds": 0.01 * update} | norms)


def opens(page: Path) -> float | None:
    """Seconds until the page stands and its first chart is drawn, in headless Chromium; None without one."""
    chromium, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if not (chromium and driver):
        return None
    from selenium import webdriver

    options = webdriver.ChromeOptions()
    for switch in ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"):
        options.add_argument(switch)
    # Charts are drawn as they come near; the window is large enough for the first ones.
    options.add_argument("--window-size=1400,2000")
    options.binary_location = chromium
    browser = webdriver.Chrome(options=options, service=webdriver.ChromeService(driver))
    try:
        begun = time.perf_counter()
        browser.get(page.as_uri())
        while not browser.execute_script("return document.querySelectorAll('.scatterlayer .trace').length > 0"):
            assert time.perf_counter() - begun < 60, "no chart was drawn"
            time.sleep(0.01)
        return time.perf_counter() - begun
    finally:
        browser.quit()


def main() -> None:
    options = asked(__doc__, USUAL, QUICK)
    print(json.dumps(measure(options.runs, options.updates, options.timesteps), indent=2))


if __name__ == "__main__":
    main()
