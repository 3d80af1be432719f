"""`python -m chaos.disturbances`: faults, signals and power failures over every command, and what became of them.

    PYTHONPATH=.:tests .venv/bin/python -m chaos.disturbances            about 12 minutes on two cores
    PYTHONPATH=.:tests .venv/bin/python -m chaos.disturbances --short    what the tests do
    ... --only train,sweep-power                                         some parts of it

It ends with 1 if the law was broken anywhere, and prints where.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import asdict

from chaos.campaign import PARTS, Part
from chaos.faulting import Outcome
from chaos.forks import Warm
from chaos.on_ray import RAY_PART, ray_outcomes


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the parts in several processes; the exit code."""
    parser = argparse.ArgumentParser(prog="chaos.disturbances", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--short", action="store_true", help="the counts of the tests")
    parser.add_argument("--only", default="", help="names of commands or parts, with commas")
    parser.add_argument("-j", type=int, default=os.cpu_count() or 1, help="processes")
    parser.add_argument("--share", default="", help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    only = set(filter(None, options.only.split(",")))
    parts = [part for part in PARTS if not only or only & {str(part), part.scenario}]
    if options.share:
        number, shares = map(int, options.share.split("/"))
        _print_share(parts, (number, shares), long=not options.short)
        return 0
    begun = time.monotonic()
    given = [*(["--short"] if options.short else []), "--only", options.only]
    outcomes = _outcomes(given, options.j)
    if not options.short and (not only or RAY_PART in only):
        outcomes += ray_outcomes()
    print(table(outcomes))
    print(f"\n{len(outcomes):,} cases in {time.monotonic() - begun:,.0f} s on {options.j} processes")
    broken = [outcome for outcome in outcomes if not outcome.good]
    print("".join(f"\n{outcome}" for outcome in broken) or "the law held in all of them")
    return 1 if broken else 0


def _outcomes(given: Sequence[str], processes: int) -> list[Outcome]:
    command = [sys.executable, "-m", "chaos.disturbances", *given]
    with contextlib.ExitStack() as stack:
        # Files: a pipe that nobody reads yet would fill, and its process would wait.
        files = [stack.enter_context(tempfile.TemporaryFile("w+")) for _ in range(processes)]
        started = [
            subprocess.Popen([*command, "--share", f"{k}/{processes}"], stdout=file) for k, file in enumerate(files)
        ]
        codes = [one.wait() for one in started]
        assert not any(codes), "a process of the suite itself failed"
        for file in files:
            file.seek(0)
        return [_outcome(line) for file in files for line in file]


def _print_share(parts: Iterable[Part], share: tuple[int, int], *, long: bool) -> None:
    with Warm() as warm:
        for part in parts:
            begun = time.monotonic()
            outcomes = list(part.run(warm, long=long, share=share))
            for outcome in outcomes:
                print(json.dumps(asdict(outcome)), flush=True)
            bad = sum(not outcome.good for outcome in outcomes)
            seconds = time.monotonic() - begun
            print(f"{part}: {len(outcomes)} cases, {bad} broke the law, {seconds:.0f} s", file=sys.stderr)


def _outcome(line: str) -> Outcome:
    fields = json.loads(line)
    return Outcome(**{**fields, "violations": tuple(fields["violations"])})


def table(outcomes: Iterable[Outcome]) -> str:
    """What became of the cases, a row for each command and fault, in Markdown."""
    rows: dict[tuple[str, str], list[Outcome]] = defaultdict(list)
    for outcome in outcomes:
        rows[outcome.scenario, outcome.fault].append(outcome)
    lines = [
        "| command | fault | cases | ended | went on at once | after a refusal | broke the law |",
        "|---" * 7 + "|",
    ]
    for (scenario, fault), row in rows.items():
        ended = Counter(outcome.how for outcome in row).most_common()
        how = ", ".join(f"{name} ({count})" for name, count in ended)
        refused, bad = sum(outcome.refused for outcome in row), sum(not outcome.good for outcome in row)
        lines.append(f"| {scenario} | {fault} | {len(row)} | {how} | {len(row) - refused} | {refused} | {bad} |")
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
