"""Writes docs/BENCHMARKS.md, and its figure, from results.json, page.md (the page without its figures) and tried.md.

`make bench` does it, and `python benchmarks/write.py` after a change of the prose; a test holds the page to it. With
--quick the page goes to stdout, and nothing is written but by --page.
"""

from __future__ import annotations

import argparse
import itertools
import json
import re
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from figure import draw
from scale import STAGES
from targets import targets

HERE = Path(__file__).parent
RESULTS = HERE / "results.json"
PAGE = HERE.parent / "docs" / "BENCHMARKS.md"

UNDER = ["healthy (ms)", "products (ms)", "healthy / products"]

Row = dict[str, Any]


def page(figures: Path = RESULTS) -> str:
    """The whole page, with the figures of that file."""
    results = json.loads(figures.read_text(encoding="utf-8"))
    parts = {**tables(results), "targets": target_table(results), "machine": machine(results)}
    parts["tried"] = without_comment((HERE / "tried.md").read_text(encoding="utf-8")).strip()
    template = without_comment((HERE / "page.md").read_text(encoding="utf-8"))
    return re.sub(r"\{(\w+)\}", lambda found: parts.get(found[1], "Not measured yet."), template).lstrip()


def without_comment(text: str) -> str:
    """Without the comment that says what the file is."""
    return re.sub(r"\A<!--.*?-->\s*", "", text, flags=re.DOTALL)


def tables(results: dict[str, Any]) -> dict[str, str]:
    """A Markdown table of each section that is there."""
    of = {"single": single, "fleets": fleets, "memory": memory, "vanishing": vanishing, "sweeps": sweeps}
    of |= {"reports": reports, "probes": probes, "watch": watch, "growth": growth}
    return {name: of[name](section["rows"]) for name, section in results.items() if section["rows"]}


def single(rows: list[Row]) -> str:
    columns = ["rnnlab", "loop", "loop, flushed", "torch", "torch, flushed", "jax"]
    heads = [*(f"{name} (ms)" for name in columns), *columns[1:], *UNDER]
    lines = [[one["cell"], shape(one), *times(one, columns), *ratios(one, columns[1:]), *under(one)] for one in rows]
    return table(["cell", "B, T, H"], heads, lines) + turns(rows)


def fleets(rows: list[Row]) -> str:
    columns = ["fleet", "one by one", "loop, one by one", "vmap"]
    heads = [*(f"{name} (ms)" for name in columns), *columns[1:], *UNDER]
    lines = []
    for one in rows:
        shown = [*times(one, columns), *ratios(one, columns[1:]), *under(one)]
        lines.append([one["cell"], shape(one), str(one["runs"]), *shown])
    return table(["cell", "B, T, H", "runs"], heads, lines) + turns(rows)


def memory(rows: list[Row]) -> str:
    heads = ["peak", "before", "grown", "buffers", "grown a timestep (KiB)", "buffers a timestep (KiB)"]
    lines = []
    for one in rows:
        grown = one["peak"] - one["before"]
        sizes = [mib(value) for value in (one["peak"], one["before"], grown, one["buffers"])]
        each = [f"{value / one['T'] / 1024:.1f}" for value in (grown, one["buffers"])]
        lines.append([one["cell"], shape(one), *sizes, *each])
    return table(["cell", "B, T, H"], [f"{head} (MiB)" for head in heads[:4]] + heads[4:], lines) + slopes(rows)


def slopes(rows: list[Row]) -> str:
    """What one more timestep costs, between rows that differ in nothing but T."""
    said = []
    for a, b in itertools.pairwise(rows):
        if all(a[name] == b[name] for name in ("cell", "B", "H")) and b["T"] > a["T"] >= 500:
            grown, kept = ((b[name] - a[name]) / (b["T"] - a["T"]) / 1024 for name in ("peak", "buffers"))
            said.append(f"{grown:.1f} from T = {a['T']:,} to {b['T']:,}")
    if not said:
        return ""
    return f"\n\nOne more timestep takes, in KiB: {', '.join(said)}; the buffers account for {kept:.1f}."


def vanishing(rows: list[Row]) -> str:
    heads = ["dL/dh_0, healthy", "dL/dh_0, vanishing"]
    names = ["rnnlab, healthy", "rnnlab, vanishing", "loop, healthy", "loop, vanishing"]
    heads += [*(f"{name} (ms)" for name in names), "rnnlab: vanishing / healthy", "loop: vanishing / healthy"]
    lines = []
    for one in rows:
        norms = [f"1e{one['log10_norm'][kind]:.0f}" for kind in ("healthy", "vanishing")]
        lines.append([one["cell"], shape(one), *norms, *times(one, names), *ratios(one, ["rnnlab", "loop"])])
    return table(["cell", "B, T, H"], heads, lines) + turns(rows)


def target_table(results: dict[str, Any]) -> str:
    lines = [[one.what, one.reached, one.worst] for one in targets(results)]
    return table(["target", "reached", "worst figure"], [], lines)


def machine(results: dict[str, Any]) -> str:
    """What the figures were taken on: once, or for each section where they differ."""
    said = {name: described(section["on"]) for name, section in results.items()}
    if len(set(said.values())) == 1:
        return f"Figures of {next(iter(said.values()))}."
    return "\n".join(f"- {name}: {words}" for name, words in said.items()) or "Nothing has been measured yet."


def described(on: Row) -> str:
    versions = ", ".join(f"{name} {version}" for name, version in on["versions"].items())
    cpu = f"{on['cpu']} ({on['instructions']}), {on['cores']} cores, {on['threads']} threads"
    return f"{on['date']}: {cpu}, {on['system']}, Python {on['python']}, {versions}, float32"


def shape(row: Row) -> str:
    return f"{row['B']}, {row['T']}, {row['H']}"


def times(row: Row, names: Iterable[str]) -> list[str]:
    """Milliseconds; a dash for what was left out."""
    return [number(row["ms"].get(name)) for name in names]


def under(row: Row) -> list[str]:
    """The columns of the floor: a healthy update, the lower floor and whose products it is, how many times it."""
    lower = f"{number(row['ms'][row['floor']])} {row['floor'].rpartition(' ')[2]}"
    return [*times(row, ["healthy"]), lower, *ratios(row, ["floor"])]


def ratios(row: Row, names: Iterable[str]) -> list[str]:
    return ["-" if row["ratios"].get(name) is None else f"{row['ratios'][name]:.2f}" for name in names]


def number(value: float | None) -> str:
    """Three digits, and no exponent."""
    return "-" if value is None else f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def mib(size: float) -> str:
    return f"{size / 2**20:,.0f}"


def turns(rows: list[Row]) -> str:
    """How many turns the medians are of."""
    counts = sorted({row["repeats"] for row in rows})
    between = f"{counts[0]} turns"
    if len(counts) > 1:
        between = f"{counts[0]} to {counts[-1]} turns (fewer where they take seconds)"
    left_out = sorted({f"{name} ({seconds:.0f} s)" for row in rows for name, seconds in row.get("skipped", {}).items()})
    dash = f" Left out as too slow, an update: {', '.join(left_out)}." if left_out else ""
    return f"\n\nMedians of {between}.{dash}"


def sweeps(rows: list[Row]) -> str:
    heads = [f"{name} (s)" for name in STAGES] + ["a run (ms)", "most memory (MiB)"]
    lines = []
    for one in rows:
        seconds = [f"{one[name]['s']:.2f}" for name in STAGES]
        most = max(one[name]["MiB"] for name in STAGES if name != "train")
        lines.append([f"{one['runs']:,}", *seconds, f"{1000 * one['train']['s'] / one['runs']:.1f}", f"{most:.0f}"])
    return table(["runs"], heads, lines)


def reports(rows: list[Row]) -> str:
    heads = ["rows", "CSV (MB)", "report (s)", "again (s)", "most memory (MiB)", "kept (MB)"]
    heads += ["page (s)", "page (MB)", "opens (s)", "ls (s)"]
    lines = []
    for one in rows:
        most = max(part["MiB"] for part in one.values() if isinstance(part, dict))
        opens = "-" if one["opens"] is None else f"{one['opens']:.1f}"
        line = [f"{one['runs']:,}", f"{one['rows']:,}", f"{one['csv'] / 1e6:.0f}", f"{one['report']['s']:.1f}"]
        line += [f"{one['again']['s']:.1f}", f"{most:.0f}", f"{one['kept'] / 1e6:.0f}", f"{one['page']['s']:.1f}"]
        lines.append([*line, f"{one['page bytes'] / 1e6:.1f}", opens, f"{one['ls again']['s']:.1f}"])
    return table(["runs"], heads, lines)


def probes(rows: list[Row]) -> str:
    """A row a probe, with a pair of columns for each cell; above them the update."""
    heads = [head for one in rows for head in (f"{one['cell']} (ms)", f"{one['cell']}, updates")]
    names = dict.fromkeys(name for one in rows for name in [*one["ms"], *one.get("skipped", {})])
    lines = []
    for name in names:
        cells = ([*times(one, [name]), "1" if name == "update" else ratios(one, [name])[0]] for one in rows)
        lines.append([name, *(text for pair in cells for text in pair)])
    shapes = ", ".join(dict.fromkeys(shape(one) for one in rows))
    return f"B, T, H: {shapes}.\n\n" + table(["probe"], heads, lines) + turns(rows)


def watch(rows: list[Row]) -> str:
    names = ["unwatched", "not recorded", "recorded"]
    heads = [*(f"{name} (ms)" for name in names), *names[1:], "hooks (ms)", "hooks / update"]
    lines = []
    for one in rows:
        hooks = one["hooks"] / 1e3
        shown = [*times(one, names), *ratios(one, names[1:]), f"{hooks:.3f}", f"{hooks / one['ms']['unwatched']:.2%}"]
        lines.append([one["cell"], shape(one), *shown])
    return table(["cell", "B, T, H"], heads, lines) + turns(rows)


def growth(rows: list[Row]) -> str:
    heads = ["time", "time, last two", "memory", "memory, last two", "from (ms)", "to (ms)", "from (MiB)", "to (MiB)"]
    lines = []
    for one in rows:
        fits = [f"{one['exponents'][kind][part]:.2f}" for kind in ("time", "memory") for part in ("all", "last")]
        ends = [number(one["ms"][end]) for end in (0, -1)] + [f"{one['bytes'][end] / 2**20:.2f}" for end in (0, -1)]
        values = ", ".join(f"{value:,}" for value in one["values"])
        fixed = ", ".join(f"{name} {value}" for name, value in one["base"].items() if name != one["of"])
        lines.append([one["cell"], one["of"], values, fixed, *fits, *ends])
    drawn = "\n\n![Time and memory of an update against T, B, H and R](figures/growth.svg)"
    return table(["cell", "grows", "values", "others"], heads, lines) + drawn


def table(left: Sequence[str], right: Sequence[str], lines: Iterable[Sequence[str]]) -> str:
    """A Markdown table, its right columns aligned as numbers."""
    rule = ["---"] * len(left) + ["---:"] * len(right)
    return "\n".join("| " + " | ".join(line) + " |" for line in [[*left, *right], rule, *lines])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path, default=RESULTS, help="the figures (default benchmarks/results.json)")
    parser.add_argument("--page", type=Path, help="where the page goes (default docs/BENCHMARKS.md)")
    parser.add_argument("--quick", action="store_true", help="to stdout, unless --page says where")
    options = parser.parse_args()
    if into := options.page or (None if options.quick else PAGE):
        into.write_text(page(options.json), encoding="utf-8")
        if rows := json.loads(options.json.read_text(encoding="utf-8")).get("growth", {}).get("rows"):
            draw(rows, into.parent / "figures" / "growth.svg")
    else:
        sys.stdout.write(page(options.json))


if __name__ == "__main__":
    main()
