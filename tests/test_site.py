"""The documentation as a site: every page is there, every link leads somewhere, nothing comes from elsewhere."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parent.parent
needs_zensical = pytest.mark.skipif(
    importlib.util.find_spec("zensical") is None, reason="zensical is not installed (the extra `site`)"
)


@pytest.fixture
def site(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    spec = importlib.util.spec_from_file_location("site_tool", ROOT / "tools" / "site.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@needs_zensical
def test_the_site_is_built_and_everything_in_it_leads_somewhere() -> None:
    command = [sys.executable, str(ROOT / "tools" / "site.py")]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stderr
    assert "every link and anchor in them leads somewhere" in done.stdout
    text = (ROOT / "site" / "api" / "cells.html").read_text(encoding="utf-8")
    assert "The minimal gated unit" in text
    found = {item["location"] for item in json.loads((ROOT / "site" / "search.json").read_text())["items"]}
    assert any(place.startswith("docs/records.html") for place in found)


def test_every_page_of_the_documentation_is_on_the_site_and_in_its_navigation(site: ModuleType) -> None:
    """The titles of the reference are its file names."""
    nav = (ROOT / "zensical.toml").read_text(encoding="utf-8")
    pages = [*site.PAGES.values(), *(f"docs/{path.name.lower()}" for path in (ROOT / "docs").glob("*.md"))]
    pages += [f"api/{site.slug(title)}.md" for title in site.API]
    assert [page for page in pages if f'"{page}"' not in nav] == []


@pytest.mark.parametrize(
    ("body", "fault"),
    [
        ('<a href="gone.html">', "a.html: gone.html is not there"),
        ('<a href="b.html#gone">', "a.html: b.html#gone: b.html has no such anchor"),
        ('<a href="#gone">', "a.html: #gone: a.html has no such anchor"),
        ('<script src="https://example.org/x.js"></script>', "a.html loads https://example.org/x.js"),
        ('<img src="https://example.org/x.png">', "a.html loads https://example.org/x.png"),
        ('<p id="here"><a href="#here"><a href="b.html#there"><a href="https://example.org/"><a href=".">', None),
    ],
)
def test_what_leads_nowhere_is_noticed(body: str, fault: str | None, site: ModuleType, tmp_path: Path) -> None:
    (tmp_path / "a.html").write_text(body)
    (tmp_path / "b.html").write_text('<h1 id="there">')
    (tmp_path / "index.html").write_text("")
    (tmp_path / "search.json").write_text('{"items": [{}]}')
    assert site.faults_of(tmp_path) == ([fault] if fault else [])


def test_a_site_without_search_is_a_fault(site: ModuleType, tmp_path: Path) -> None:
    (tmp_path / "search.json").write_text('{"items": []}')
    (fault,) = site.faults_of(tmp_path)
    assert "there is nothing to search" in fault
