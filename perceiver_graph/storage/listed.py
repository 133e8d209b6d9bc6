"""A folder for other programs, with a list of what was written there beside it, and digests."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import Any

from perceiver_graph.diagnostics import escape
from perceiver_graph.storage.folders import FolderKind
from perceiver_graph.storage.listing import NotOurs, digest, files_of, is_plain

LISTING = "perceiver-graph.json"
"""Which files this package wrote, with their digests; other programs do not look at it."""


def write_listing(folder: Path, tool: str) -> None:
    """List all files of a folder, once they are written. Raises OSError."""
    files = {name: digest(folder / name) for name in files_of(folder)}
    listing = {"tool": f"perceiver-graph {tool}", "files": files}
    (folder / LISTING).write_text(escape.json(listing), encoding="utf-8")


def listed_folder(what: str) -> FolderKind:
    """The kind of a folder that has such a list; `what` it is called in messages."""
    return FolderKind(partial(_owned, what), LISTING)


def _owned(what: str, directory: Path) -> dict[str, str]:
    """The digests of the files of a folder, as they were written. Raises `NotOurs` for other folders."""
    path = directory / LISTING
    if not path.is_file():
        raise NotOurs(f"it is not empty and holds no {what}")
    try:
        text = path.read_text(encoding="utf-8")
        data: Any = json.loads(text)
        files = {str(name): str(found) for name, found in data["files"].items()}
        ours = data["tool"].startswith("perceiver-graph ") and all(map(is_plain, files))
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        raise NotOurs(f"its `{LISTING}` is not that of an export") from None
    if not ours or text != escape.json(data):
        raise NotOurs(f"`{LISTING}` in it has changed since it was written")
    return {**files, LISTING: digest(path)}
