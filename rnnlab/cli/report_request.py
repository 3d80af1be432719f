"""What `rnnlab report` was asked for: checked before anything is read, and written as often as it is wanted."""

from __future__ import annotations

import json
import shlex
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from rnnlab.cli.streams import print_error, stdout_console
from rnnlab.errors import RunFailedError, UsageError
from rnnlab.wording import encodable, shortened

if TYPE_CHECKING:
    from rnnlab.compare.collection import Runs
    from rnnlab.compare.groups import Groups
    from rnnlab.report.channels import Asked
    from rnnlab.report.findings import Findings
    from rnnlab.report.page.run import Thinned

_WRITERS = {"csv": "as_csv", "markdown": "as_markdown", "latex": "as_latex"}


def split(keys: str | None) -> list[str]:
    """The keys of a text such as `model.cell,task.length`."""
    return [key for part in (keys or "").split(",") if (key := part.strip())]


@dataclass(frozen=True)
class ReportRequest:
    """The options of one call."""

    runs: Sequence[str]
    by: Sequence[str]
    sweep: str | None
    where: Sequence[str]
    at: int | None
    success: str | None
    html: str | None
    figures: str | None
    tables: Mapping[str, str | None]
    facet: str | None
    color: str | None
    style: str | None
    x: str | None
    labels: Sequence[str]
    title: str | None
    width: str
    formats: Sequence[str]
    as_json: bool
    trust: bool
    quiet: bool
    follow: bool = False
    reload: int | None = None
    """Seconds after which the page reads itself again."""

    def check(self) -> None:
        """Raise UsageError for options that cannot be, before anything is read."""
        files = {**{f"--{kind}": target for kind, target in self.tables.items()}, "--html": self.html}
        files["--figures"] = self.figures
        if empty := [option for option, target in files.items() if target == ""]:
            raise UsageError(f"{empty[0]} is empty; name the file or folder to write")
        if [*self.tables.values()].count("-") + self.as_json > 1:
            raise UsageError("one thing at a time can go to stdout: give the others a file")
        if kinds := [kind for kind, target in self.tables.items() if target is not None]:
            from rnnlab.report.export import check_ready as check_tables

            check_tables(kinds)
        self._names()
        if self.follow and self.html is None:
            raise UsageError("--follow writes a page anew: name it with --html FILE")
        if self.follow and (self.as_json or "-" in self.tables.values()):
            raise UsageError("--follow writes files: nothing of it can go to stdout")
        if self.figures is not None:
            from rnnlab.report.figures import check_formats, check_width

            check_formats(self.formats)
            check_width(self.width)
        if self.html is not None:
            from rnnlab.report.page import check_ready

            check_ready()

    def write(self) -> None:
        """Read the runs, write the files, and print what is printed."""
        from rnnlab.report.findings import Findings

        chosen = self.chosen()
        check_runs(chosen, self.success)
        groups = self._groups(chosen)
        thinned = None
        if self.html is not None:
            from rnnlab.report.page.run import Thinned

            thinned = Thinned(groups)
        findings = Findings(groups, self.at, self.success, thinned.add if thinned else None, self._names())
        self._check_channels(findings)
        for kind, target in self.tables.items():
            if target is not None:
                self._say(_write_table(kind, findings, target))
        if self.figures is not None:
            self._say(self._write_figures(findings, self.figures))
        if self.html is not None:
            self._say(_write_page(findings, thinned, Path(self.html), self))
        if self.as_json:
            from rnnlab.report.export import as_json

            print(as_json(findings))
        elif not self.quiet and "-" not in self.tables.values():
            _show(findings)

    def chosen(self) -> Runs:
        """The runs that are asked for."""
        from rnnlab.compare.select import choose

        chosen = choose(self.runs, self.where, trust=self.trust)
        return chosen if self.sweep is None else chosen.where(f"sweep = {json.dumps(self.sweep)}")

    def open_page(self) -> None:
        """Open the page in the browser."""
        import webbrowser

        assert self.html is not None
        if not webbrowser.open(Path(self.html).absolute().as_uri()):
            print_error(f"no browser could be opened; {self.html} is the page")

    def _groups(self, chosen: Runs) -> Groups:
        """The runs in groups. Where too much differs, UsageError says which options would do."""
        from rnnlab.compare.suggestions import suggestions
        from rnnlab.report.findings import check_comparable

        def compared(runs: Runs) -> Groups:
            groups = runs.group_by(*self.by)
            check_comparable(groups)
            return groups

        def can_be_compared(runs: Runs) -> bool:
            try:
                return bool(compared(runs))
            except UsageError:
                return False

        try:
            return compared(chosen)
        except UsageError as error:
            found = suggestions(chosen, can_be_compared)
            command = shlex.join(["rnnlab", "report", *self.runs, *self._chosen()])
            lines = [f"\n  {command} {one.options}   # {one.about}" for one in found]
            raise UsageError(f"{error}{'. These can be compared:' if lines else ''}{''.join(lines)}") from error

    @property
    def asked(self) -> Asked:
        """The keys that were given for panels, colours, dashes and the x axis."""
        from rnnlab.report.channels import Asked

        facet, color, style = (
            None if given is None else split(given) for given in (self.facet, self.color, self.style)
        )
        return Asked(facet, color, style, self.x)

    def command(self) -> str:
        """The command that draws the same figures again."""
        return shlex.join(["rnnlab", "report", *self.runs, *self._options()])

    def _chosen(self) -> Iterator[str]:
        if self.by:
            yield from ("--by", ",".join(self.by))
        if self.sweep is not None:
            yield from ("--sweep", self.sweep)
        for condition in self.where:
            yield from ("--where", condition)

    def _options(self) -> Iterator[str]:
        yield from self._chosen()
        one = {"at": self.at, "success": self.success, "facet": self.facet, "color": self.color, "style": self.style}
        one |= {"x": self.x, "title": self.title}
        for name, value in one.items():
            if value is not None:
                yield from (f"--{name}", str(value))
        for name in self.labels:
            yield from ("--label", name)
        if self.width != "column":
            yield from ("--width", self.width)
        if self.trust:
            yield "--trust"
        yield from ("--figures", str(self.figures), "--format", ",".join(self.formats))

    def _names(self) -> dict[str, str]:
        """The names of settings that were given. Raises UsageError."""
        names = {}
        for text in self.labels:
            key, sign, name = text.partition("=")
            if not sign or not key.strip() or not name.strip():
                raise UsageError(f"--label {shortened(repr(text))}: write KEY=NAME, such as model.cell=cell")
            names[key.strip()] = name.strip()
        return names

    def _check_channels(self, findings: Findings) -> None:
        asked = self.asked
        for key in (*(asked.facet or ()), *(asked.color or ()), *(asked.style or ()), *([asked.x] if asked.x else [])):
            findings.axis(key)

    def _write_figures(self, findings: Findings, folder: str) -> list[Path]:
        from rnnlab.report.figures import FigureOptions, write_figures

        options = FigureOptions(self.asked, self.title, self.width)
        return write_figures(
            findings, Path(folder), self.formats, options, self.command(), None if self.quiet else print_error
        )

    def _say(self, paths: list[Path]) -> None:
        for path in () if self.quiet else paths:
            print_error(f"wrote {path}")


def check_runs(runs: Runs, success: str | None) -> None:
    """Check the rule and the runs before the gradients are read. Raises UsageError."""
    from rnnlab.config.stop import stop_rule

    if success is not None:
        try:
            stop_rule(success)
        except ValueError as error:
            raise UsageError(f"--success: {error}") from error
    if not len(runs):
        left = "".join(f"; left out: {name}: {reason}" for name, reason in list(runs.left_out.items())[:3])
        hint = f": {runs.unmet}" if runs.unmet else "; `rnnlab ls` lists what there is"
        raise UsageError(f"there is no run to report on{left or hint}")


def _write_table(kind: str, findings: Findings, target: str) -> list[Path]:
    from rnnlab.report import export

    text: str = getattr(export, _WRITERS[kind])(findings)
    if target == "-":
        print(text, end="")
        return []
    write_file(Path(target), encodable(text).encode())
    return [Path(target)]


def write_file(path: Path, data: bytes) -> None:
    """Write a file whole or not at all. Raises UsageError."""
    from rnnlab.atomic import atomic, clear_drafts

    if not path.parent.is_dir():
        raise UsageError(f"{path} cannot be written: there is no folder {path.parent}")
    clear_drafts(path.parent, path.name)
    try:
        with atomic(path) as file:
            file.write(data)
    except RunFailedError as error:
        raise UsageError(str(error)) from error
    except OSError as error:  # a name that no file can have
        raise UsageError(f"{shortened(str(path))} cannot be written: {error.strerror}") from error


def _write_page(findings: Findings, thinned: Thinned | None, path: Path, request: ReportRequest) -> list[Path]:
    from rnnlab.report.page import page

    text = page(findings, thinned, request.asked, request.title, request.reload)
    write_file(path, encodable(text).encode())
    return [path]


def _show(findings: Findings) -> None:
    from rnnlab.report.terminal.comparison import report as render
    from rnnlab.report.terminal.summary import supports_unicode

    console = stdout_console()
    console.print(render(findings, console.width, unicode=supports_unicode(sys.stdout.encoding)))
