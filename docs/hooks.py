"""What the site has beside docs/: README.md as its home, pages of other folders, links that hold there,
and the model that runs on a page.

Hooks of MkDocs, which mkdocs.yml names; `make docs` builds the site.
"""

from __future__ import annotations

import posixpath
import re
import shutil
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files

ROOT = Path(__file__).parents[1]
SOURCES = "https://github.com/perceiver-graph/perceiver-graph/blob/main"
IN_BROWSER = ROOT / "build" / "in-browser"
"""The model that runs on a page, with its engine, where `make in-browser` has made it."""
LINK = re.compile(r"(?<=\]\()(?!https?://|mailto:|#)([^)\s#]+)(#[^)\s]*)?(?=\))")


def pages() -> dict[str, str]:
    """Where each page of the repository is on the site, by its path in the repository."""
    found = {
        "README.md": "index.md",
        "CONTRIBUTING.md": "contributing.md",
        "benchmarks/README.md": "benchmarks.md",
        "recipes/README.md": "recipes/README.md",
    }
    for card in sorted(ROOT.glob("recipes/*/README.md")):
        found[card.relative_to(ROOT).as_posix()] = f"recipes/{card.parent.name}.md"
    for page in sorted(ROOT.glob("docs/**/*.md")):
        path = page.relative_to(ROOT).as_posix()
        found[path] = path.removeprefix("docs/")
    return found


def on_config(config: Any) -> Any:
    """List the tasks and the cards of trained models, so that nobody has to keep a list of them."""
    listed = pages().values()
    for section in config.nav:
        for title, folder in (("Tasks", "tasks/"), ("Trained models", "recipes/")):
            if title in section:
                inside = [path for path in listed if path.startswith(folder)]
                found = sorted(inside, key=lambda path: (not path.endswith("README.md"), path))
                section[title] = [*found, *section[title]]
    return config


def on_files(files: Files, config: Any) -> Files:
    """Take in the pages that lie outside of docs/."""
    for path, page in pages().items():
        if not path.startswith("docs/"):
            files.append(File.generated(config, page, content=(ROOT / path).read_text("utf-8")))
    return files


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Links as they hold on the site."""
    here = {page: path for path, page in pages().items()}[page.file.src_uri]
    return LINK.sub(lambda found: link(here, found[1]) + (found[2] or ""), markdown)


def on_post_build(config: Any) -> None:
    """Put the model beside the pages that runs on one of them, if it is there."""
    if IN_BROWSER.exists():
        target = Path(config["site_dir"]) / IN_BROWSER.name
        shutil.copytree(IN_BROWSER, target, dirs_exist_ok=True)


def link(path: str, target: str) -> str:
    """A link of a file of the repository as it holds on the site: to a page there, or to the sources.

    Raises ValueError if nothing is at its end.
    """
    found = posixpath.normpath(posixpath.join(posixpath.dirname(path), target))
    if not (ROOT / found).exists():
        raise ValueError(f"{path} has a link to {target}, and there is no {found}")
    listed = pages()
    if f"{found}/README.md" in listed:
        found = f"{found}/README.md"
    if found in listed:
        return posixpath.relpath(listed[found], posixpath.dirname(listed[path]) or ".")
    if found.startswith("docs/"):  # a picture
        return posixpath.relpath(
            found.removeprefix("docs/"), posixpath.dirname(listed[path]) or "."
        )
    return f"{SOURCES}/{found}"
