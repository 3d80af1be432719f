"""Builds the documentation as a site into site/, and checks every link and anchor in it; `make site`.

The pages are the Markdown files of the repository, with links between them as they will be on the site, and an API
reference from the docstrings of what a user imports. Zensical builds them; a page fetches nothing from elsewhere. Its
search needs a server: `python -m http.server --directory site`.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urldefrag, urlparse

ROOT = Path(__file__).parent.parent
SITE = ROOT / "site"
SOURCE = ROOT / "build" / "site"
PAGES = {"README.md": "index.md", "CONTRIBUTING.md": "contributing.md", "CHANGELOG.md": "changelog.md"}
"""Pages outside docs/, and where they are on the site."""
API = {
    "train, sweep and read": ["rnnlab", "rnnlab.runs.run", "rnnlab.compare.collection", "rnnlab.compare.groups"],
    "watch": ["rnnlab.watching.session", "rnnlab.watching.checked"],
    "cells": ["rnnlab.cells", "rnnlab.cells.base"],
    "initializers": ["rnnlab.inits", "rnnlab.inits.base"],
    "tasks": ["rnnlab.tasks", "rnnlab.tasks.base"],
    "probes": ["rnnlab.probes", "rnnlab.probes.base", "rnnlab.probes.schedules"],
    "penalties": ["rnnlab.penalties", "rnnlab.penalties.base"],
    "clips and optimizers": ["rnnlab.clips", "rnnlab.optimizers"],
    "analysis": ["rnnlab.analysis.curve", "rnnlab.analysis.intervals", "rnnlab.analysis.verdict"],
    "errors": ["rnnlab.errors"],
}
"""Pages of the reference, and the modules of each. A package stands for its modules too."""


def main() -> None:
    """Write the pages, build the site, and end with what is wrong in it, if anything is."""
    sources = write_pages()
    shutil.rmtree(SITE, ignore_errors=True)
    command = [sys.executable, "-m", "zensical", "build", "--clean", "--strict", "-f", str(ROOT / "zensical.toml")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"zensical: {done.stdout}{done.stderr}")
    if faults := faults_of(SITE):
        raise SystemExit("\n".join(faults))
    print(f"{SITE.relative_to(ROOT)}/index.html: {sources} pages, every link and anchor in them leads somewhere")


def write_pages() -> int:
    """Write the Markdown that the site is built from; return how many pages it is."""
    shutil.rmtree(SOURCE, ignore_errors=True)
    places = {ROOT / name: place for name, place in PAGES.items()}
    places |= {path: f"docs/{path.name.lower()}" for path in sorted((ROOT / "docs").glob("*.md"))}
    for path, place in places.items():
        write(place, with_links(path, place, places))
    shutil.copytree(ROOT / "docs" / "figures", SOURCE / "docs" / "figures")
    for title, modules in API.items():
        write(f"api/{slug(title)}.md", reference(title, modules))
    write("api/index.md", index())
    return len(places) + len(API) + 1


def write(place: str, text: str) -> None:
    path = SOURCE / place
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def slug(title: str) -> str:
    return re.sub(r"[^a-z]+", "-", title.lower())


def with_links(path: Path, place: str, places: dict[Path, str]) -> str:
    """The page's text; its links lead to pages of the site, and to copies of other files of the repository."""
    up = "../" * place.count("/")

    def moved(match: re.Match[str]) -> str:
        target, hash_, anchor = match[2].partition("#")
        if not target or re.match(r"[a-z]+:", target):
            return match[0]
        there = (path.parent / target).resolve()
        if there in places:
            return f"{match[1]}({up}{places[there]}{hash_}{anchor})"
        if there.is_dir() or "figures" in there.parts:
            return match[0]
        copy = f"files/{there.relative_to(ROOT).as_posix()}"
        (SOURCE / copy).parent.mkdir(parents=True, exist_ok=True)
        # A browser shows what ends in .txt, and offers to save other files.
        shown = copy if there.suffix in (".svg", ".csv") else f"{copy}.txt"
        shutil.copyfile(there, SOURCE / shown)
        return f"{match[1]}({up}{shown})"

    return re.sub(r"(\[[^\]]*\])\(([^)\s]+)\)", moved, path.read_text(encoding="utf-8"))


def reference(title: str, modules: list[str]) -> str:
    """A page of the reference; mkdocstrings puts the docstrings in."""
    blocks = [block(module) for name in modules for module in (name, *submodules(name))]
    return "\n\n".join([f"# {title.capitalize()}", *dict.fromkeys(blocks)]) + "\n"


def block(module: str) -> str:
    """The members of a package are shown with the modules that they are written in, but for rnnlab's own."""
    package = module != "rnnlab" and ROOT.joinpath(*module.split(".")).is_dir()
    return f"::: {module}" + ("\n    options:\n      members: []" if package else "")


def submodules(name: str) -> list[str]:
    """The modules in a package that hold parts."""
    folder = ROOT.joinpath(*name.split("."))
    if name == "rnnlab" or not folder.is_dir():
        return []
    return [f"{name}.{path.stem}" for path in sorted(folder.glob("*.py")) if path.stem != "__init__"]


def index() -> str:
    lines = ["# Reference", "", "From the docstrings of what a user imports.", ""]
    return "\n".join(lines + [f"- [{title}]({slug(title)}.md)" for title in API]) + "\n"


class Page(HTMLParser):
    """The links and the anchors of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.links: list[str] = []
        self.loaded: set[str] = set()
        self.anchors: set[str] = set()
        self.feed(text)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        of = dict(attributes)
        self.anchors |= {value for name in ("id", "name") if (value := of.get(name))}
        self.links += [value for name in ("href", "src") if (value := of.get(name)) is not None]
        loads = tag in ("script", "img", "iframe") or (tag == "link" and of.get("rel") in ("stylesheet", "preconnect"))
        self.loaded |= {value for name in ("href", "src") if loads and (value := of.get(name)) is not None}


def faults_of(site: Path) -> list[str]:
    """What leads nowhere, comes from elsewhere, or cannot be searched."""
    pages = {path: Page(path.read_text(encoding="utf-8")) for path in sorted(site.rglob("*.html"))}
    faults = [
        fault for path, page in pages.items() for link in page.links if (fault := fault_of(link, path, pages, site))
    ]
    if not (search := site / "search.json").exists() or not json.loads(search.read_text())["items"]:
        faults.append(f"{search}: there is nothing to search")
    return sorted(set(faults))


def fault_of(link: str, path: Path, pages: dict[Path, Page], site: Path) -> str:
    """Why this link of that page leads nowhere; empty where it leads somewhere, or away from the site."""
    address, anchor = urldefrag(link)
    if urlparse(link).scheme:
        return f"{path.relative_to(site)} loads {link}" if link in pages[path].loaded else ""
    parts = unquote(address)
    there = path if not parts else (site / parts.lstrip("/") if parts.startswith("/") else path.parent / parts)
    there = there.resolve()
    there = there / "index.html" if there.is_dir() else there
    where = f"{path.relative_to(site)}: {link}"
    if not there.exists():
        return f"{where} is not there"
    if anchor and there in pages and unquote(anchor) not in pages[there].anchors:
        return f"{where}: {there.relative_to(site)} has no such anchor"
    return ""


if __name__ == "__main__":
    main()
