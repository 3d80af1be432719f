"""Configs, sweep files, `--set`s and `--where`s that nobody wrote: each is right, or refused at its place.

Each is read by the public functions, some by the commands as well, and some of the valid ones are trained.
"""

from __future__ import annotations

import contextlib
import gc
import random
import re
import resource
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from chaos.calls import called
from chaos.given_inputs import Given, given
from chaos.grammar import Grammar

from rnnlab.config import Config, load_config
from rnnlab.config.yaml_tree import parse
from rnnlab.errors import ConfigError, DataFormatError, DataMissingError, Problem, RnnlabError, UsageError
from rnnlab.sweeps.file import Sweep
from rnnlab.sweeps.file.size import combinations
from rnnlab.training.loop import train

SECONDS, MEMORY = 2.0, 500 * 2**20
ORDINARY = 0.025
"""Seconds of an ordinary processor for a loop of a million; one that takes longer for it may for the rest."""
MANY_RUNS, MOST_RUNS, SECONDS_A_RUN, MEMORY_A_RUN = 1000, 1_000_000, 0.002, 16 * 2**10
"""Of a sweep of many runs, of which there may be a million, what each may take."""
COMMANDS_EVERY, MOST_GIVEN = 25, 100
# A run of two updates, whatever else the config says.
TINY = (
    "train.updates=2", "train.batch=2", "train.evaluate_size=4", "model.layers=1", "model.hidden=3", "device=cpu",
    "task.length=12", "task.gap=12",
)  # fmt: skip
# The names of a sweep's runs hold the length of a sequence, for which some tasks read their file.
_ERRORS: dict[str, type[RnnlabError] | tuple[type[RnnlabError], ...]] = {
    "--where": UsageError,
    "sweep": (ConfigError, DataMissingError, DataFormatError),
}
_LINE_BREAK = re.compile("\r\n|[\n\r\x85\u2028\u2029]")
_OBEYED = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
"""What a terminal obeys, or shows in another order."""


def run(count: int, seed: int = 0) -> list[tuple[str, str]]:
    """So many cases, and of the valid ones one in a hundred cases trained for two updates; the figures."""
    draw, outcomes, valid = random.Random(seed), Counter[str](), list[Config]()
    grammar, worst = Grammar(draw), _Worst()
    with tempfile.TemporaryDirectory(prefix="chaos-") as folder, _as_in_a_new_process():
        path = Path(folder, "case.yaml")
        _first_run(Path(folder))
        for number in range(count):
            case = given(draw, grammar, path)
            result = worst.of(case, _read, case)
            outcomes[f"{case.kind}, {_outcome(case, result)}"] += 1
            if number % COMMANDS_EVERY == 0:
                for command in _commands(case, result, path):
                    worst.of(case, _called, case, result, command)
                outcomes["given to a command too"] += 1
            if len(valid) <= count // 100 and (config := _one_of(result, draw)):
                valid.append(config)
        outcomes.update(f"trained for two updates, {_trained(config, Path(folder))}" for config in valid)
    return [*((what, f"{number:,}") for what, number in sorted(outcomes.items())), *worst.figures()]


@contextlib.contextmanager
def _as_in_a_new_process() -> Iterator[None]:
    """What the suite holds is not searched for garbage while an input is read."""
    gc.collect()
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()


class _Worst:
    """The most processor time, which another process does not lengthen, and memory that an input took."""

    def __init__(self) -> None:
        self._taken, self._taken_a_run = (0.0, 0.0), (0.0, 0.0)

    def of(self, case: Given, read: Callable[..., Any], *arguments: Any) -> Any:
        """What reading a case gives; raises AssertionError where it takes too much."""
        _forget_peak()
        begun, before = time.process_time(), _peak()
        result = read(*arguments)
        taken = seconds, more = time.process_time() - begun, _peak() - before
        runs = min(_runs(case), MOST_RUNS)
        enough = (max(SECONDS, SECONDS_A_RUN * runs), max(MEMORY, MEMORY_A_RUN * runs))
        slow = seconds >= enough[0] and seconds >= enough[0] * _slowness()
        assert not slow and more < enough[1], f"{seconds:.1f} s, {more:,} bytes for {_shown(case, result)}"  # noqa: PT018
        if runs > MANY_RUNS:
            self._taken_a_run = _larger(self._taken_a_run, (seconds / runs, more / runs))
        else:
            self._taken = _larger(self._taken, taken)
        return result

    def figures(self) -> list[tuple[str, str]]:
        (seconds, more), (seconds_a_run, more_a_run) = self._taken, self._taken_a_run
        return [
            ("slowest", f"{seconds:.2f} s"),
            ("most memory", f"{more / 2**20:,.0f} MiB"),
            (
                f"each run of a sweep of over {MANY_RUNS:,}, at most",
                f"{1000 * seconds_a_run:.2f} ms, {more_a_run / 2**10:.1f} KiB",
            ),
        ]


def _slowness() -> float:
    """How many times as long as an ordinary processor this one takes now for a loop, which takes that one 25 ms."""
    begun = time.process_time()
    for _ in range(1_000_000):
        begun += 0.0
    return max(1.0, (time.process_time() - begun) / ORDINARY)


def _larger(first: tuple[float, float], second: tuple[float, float]) -> tuple[float, float]:
    return max(first[0], second[0]), max(first[1], second[1])


def _runs(case: Given) -> int:
    """How many runs a sweep file describes, right or wrong."""
    try:
        tree, _ = parse(Path(case.texts[0]).read_text(), "") if case.kind == "sweep" else (None, ())
        seeds = tree.content.get("seeds") if tree else None
        return combinations(tree, seeds and seeds[1].plain()) if tree else 0
    except (ConfigError, ValueError, AttributeError):  # no YAML, no UTF-8 or no mapping
        return 0


def _read(case: Given) -> Any:
    """What a case gives, or the error that it raises."""
    try:
        return case.read()
    except BaseException as error:
        return error


def _outcome(case: Given, result: Any) -> str:
    """Whether it was valid or refused; raises AssertionError where it was so in a wrong way."""
    if not isinstance(result, BaseException):
        if isinstance(result, Config):
            assert load_config(result.resolved()).identity() == result.identity(), _shown(case, result)
        return "valid"
    assert isinstance(result, _ERRORS.get(case.kind, ConfigError)), _shown(case, repr(result))
    assert 0 < len(str(result)) < 50_000, _shown(case, repr(result))
    assert not _OBEYED.search(str(result)), _shown(case, repr(result))
    if isinstance(result, ConfigError):
        assert result.problems, _shown(case, repr(result))
        lines = _lines(case)
        assert all(_has_place(problem, case, lines) for problem in result.problems), _shown(case, repr(result))
    return "refused"


def _lines(case: Given) -> int:
    """How many lines its file has, in the encoding that gives the most; 0 without a file."""
    if case.kind not in ("config", "sweep"):
        return 0
    text = Path(case.texts[0]).read_bytes()
    return max(len(_LINE_BREAK.split(text.decode(encoding, "replace"))) for encoding in ("utf-8", "latin1"))


def _has_place(problem: Problem, case: Given, lines: int) -> bool:
    """Whether it says where it is: a line and column that the file has, the setting, or the key that is missing."""
    if re.fullmatch(r"\.\.\. and .*\d more", problem.message):
        return True
    if case.kind == "--set":
        return problem.place.startswith("--set ") or (not problem.place and problem.key != "")
    (name,) = case.texts
    match = re.fullmatch(re.escape(name) + r":(\d+):(\d+)", problem.place)
    if match is None:  # the file as a whole, or another one that is the base of a sweep
        return problem.place == name or (case.kind == "sweep" and problem.place.startswith(str(Path(name).parent)))
    return 1 <= int(match[1]) <= lines + 1 and int(match[2]) >= 1  # a text may end where more is to come


def _commands(case: Given, result: Any, path: Path) -> Sequence[Sequence[str]]:
    """The commands that a case can be given to."""
    base, runs = str(path.with_name("base.yaml")), str(path.with_name("runs"))
    if case.kind == "--where":
        return [("ls", runs, "--where", *case.texts)]
    if case.kind == "--set":
        return [("train", "-c", base, "--dry-run", *(word for text in case.texts for word in ("--set", text)))]
    if isinstance(result, Sweep) and len(result.members) > MOST_GIVEN:
        return []
    command = "sweep" if case.kind == "sweep" else "train"
    return [("validate", str(path)), (command, "-c", str(path), "--dry-run", "--out", runs)]


def _called(case: Given, result: Any, command: Sequence[str]) -> None:
    """A command says the same; `called` raises AssertionError where it ends as a bug."""
    ended = called(*command)
    refused, validates = isinstance(result, RnnlabError), command[0] == "validate"
    if refused and not validates:
        assert ended.code == result.exit_code, (command, ended, _shown(case, result))
    if validates and not refused:
        assert ended.code == 0, (command, ended, _shown(case, result))
    assert ended.code == 0 or ended.out or ended.err, (command, _shown(case, result))


def _first_run(folder: Path) -> None:
    """A config to change, and a run to choose."""
    (folder / "base.yaml").write_text("task: addition\n")
    train(load_config({"task": "addition"}, [*TINY[:-1], "name=first"]), out=folder / "runs")


def _one_of(result: Any, draw: random.Random) -> Config | None:
    """A config that can be trained, of what was valid."""
    if isinstance(result, Sweep):
        return draw.choice(result.members).config
    return result if isinstance(result, Config) else None


def _trained(config: Config, folder: Path) -> str:
    """What becomes of a valid config in two updates of a tiny network."""
    tiny = config
    for setting in (*TINY, "name=tiny"):
        with contextlib.suppress(ConfigError):
            tiny = load_config(tiny, [setting])
    try:
        return train(tiny, out=folder / "runs", force=True).status
    except RnnlabError as error:
        return f"refused ({type(error).__name__})"
    except Exception as error:
        raise AssertionError(f"{error!r} for {tiny.resolved()}") from error


def _shown(case: Given, what: Any) -> str:
    text = Path(case.texts[0]).read_bytes() if case.kind in ("config", "sweep") else case.texts
    return f"{case.kind}: {str(text)[:3000]}: {str(what)[:1000]}"


def _forget_peak() -> None:
    """Let the kernel measure the most memory anew, where it can; elsewhere it is that of the whole process."""
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")


def _peak() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
