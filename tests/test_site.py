"""The documentation as a site: it builds without a warning, and needs nothing from elsewhere."""

from __future__ import annotations

import json
import re
import runpy
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
import yaml

import perceiver_graph as pg

ROOT = Path(__file__).parents[1]
NOT_FOUND = "404.html"
"""What a server shows for a page that is not there: its links begin at the server's root."""
HOOKS = runpy.run_path(str(ROOT / "docs" / "hooks.py"))


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "-d", str(target)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return target


class Asked(HTMLParser):
    """What a page loads when it is opened, and where its links lead."""

    def __init__(self) -> None:
        super().__init__()
        self.loaded: list[str] = []
        self.links: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = {key: value for key, value in attrs if value}
        if tag in ("script", "img", "iframe") and "src" in found:
            self.loaded.append(found["src"])
        if tag == "link" and found.get("rel") in ("stylesheet", "icon", "preload"):
            self.loaded.append(found["href"])
        if tag == "a" and "href" in found:
            self.links.append(found["href"])


def asked(page: Path) -> Asked:
    parser = Asked()
    parser.feed(page.read_text(encoding="utf-8"))
    return parser


def test_a_page_of_the_site_loads_nothing_from_elsewhere(site: Path) -> None:
    pages = [page for page in site.rglob("*.html") if page.name != NOT_FOUND]
    assert len(pages) > 40
    for page in pages:
        found = asked(page)
        assert found.loaded
        assert 'data-md-component="source"' not in page.read_text(encoding="utf-8")  # asks GitHub
        for path in found.loaded:
            assert not re.match(r"(?:https?:)?//", path), f"{page.name} loads {path}"
            assert (page.parent / path.split("?")[0]).exists(), f"{page.name} loads {path}"


def test_links_between_pages_lead_somewhere(site: Path) -> None:
    for page in site.rglob("*.html"):
        if page.name == NOT_FOUND:
            continue
        for target in asked(page).links:
            path = target.split("#")[0]
            if path and not re.match(r"[a-z]+:", path):
                assert (page.parent / path).exists(), f"{page.name} leads to {target}"


def test_what_the_search_knows(site: Path) -> None:
    found = json.loads((site / "search" / "search_index.json").read_text(encoding="utf-8"))
    titles = {entry["title"] for entry in found["docs"]}
    assert {"First steps", "perceiver-graph", "text: which of 20 languages"} <= titles


def test_the_api_has_every_public_name() -> None:
    shown = (ROOT / "docs" / "api.md").read_text(encoding="utf-8")
    named = {line.rsplit(".", 1)[1] for line in shown.splitlines() if line.startswith(":::")}
    assert set(pg.__all__) - {"__version__"} <= named


@pytest.mark.parametrize(
    ("page", "target", "wanted"),
    [
        ("README.md", "docs/tasks/README.md", "tasks/README.md"),
        ("README.md", "CONTRIBUTING.md", "contributing.md"),
        ("README.md", "benchmarks", "benchmarks.md"),
        ("README.md", "specs/kinetics.yaml", f"{HOOKS['SOURCES']}/specs/kinetics.yaml"),
        ("docs/tasks/kinetics.md", "../pictures/kinetics.png", "../pictures/kinetics.png"),
        ("docs/tasks/kinetics.md", "../../README.md", "../index.md"),
        ("recipes/text/README.md", "../README.md", "README.md"),
    ],
)
def test_a_link_as_it_holds_on_the_site(page: str, target: str, wanted: str) -> None:
    assert HOOKS["link"](page, target) == wanted


def test_the_model_of_a_page_is_put_beside_it_where_it_was_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done = HOOKS["on_post_build"]
    made, site = tmp_path / "in-browser", tmp_path / "site"
    monkeypatch.setitem(done.__globals__, "IN_BROWSER", made)
    site.mkdir()
    done({"site_dir": str(site)})
    assert not list(site.iterdir())
    made.mkdir()
    (made / "files.js").write_text("new")
    for _ in range(2):  # a site that is built again
        done({"site_dir": str(site)})
    assert (site / "in-browser" / "files.js").read_text() == "new"


def test_a_link_to_nothing_is_an_error() -> None:
    with pytest.raises(ValueError, match=r"README\.md has a link to docs/none\.md"):
        HOOKS["link"]("README.md", "docs/none.md")


def test_the_citation_names_the_project_and_its_papers() -> None:
    found: dict[str, Any] = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert {"cff-version", "message", "title", "authors"} <= found.keys()
    assert found["license"] == "Apache-2.0"
    assert [each["url"] for each in found["references"]] == [
        "https://arxiv.org/abs/2103.03206",
        "https://arxiv.org/abs/2107.14795",
    ]
