"""Writes an artifact: a folder that appears whole or not at all, and is known again."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from perceiver_graph import limits, storage
from perceiver_graph.diagnostics import escape
from perceiver_graph.spec.manifest import MANIFEST_NAME, FileEntry, Manifest

_DIGEST = re.compile(r"[0-9a-f]{64}")


def file_entries(directory: Path) -> dict[str, FileEntry]:
    """Every file under a folder with its size and SHA-256, in order of name."""
    entries = {}
    for path in sorted(p for p in directory.rglob("*") if p.is_file()):
        name = path.relative_to(directory).as_posix()
        entries[name] = FileEntry(sha256=storage.digest(path), bytes=path.stat().st_size)
    return entries


def write_manifest(directory: Path, manifest: Manifest) -> None:
    """Write manifest.json, the last file of an artifact."""
    data = manifest.model_dump(mode="json", exclude_none=True)
    (directory / MANIFEST_NAME).write_text(_text(data), encoding="utf-8")


def owned_files(directory: Path) -> dict[str, str]:
    """The digests of an artifact's files, as its manifest lists them, and of the manifest itself.

    That a file is called manifest.json says nothing: many web projects have one. Manifests of other
    releases are known too. Raises `NotOurs` for a folder that is no artifact, and OSError.
    """
    path = directory / MANIFEST_NAME
    if not path.is_file():
        raise storage.NotOurs("it is not empty and holds no artifact")
    if path.stat().st_size > limits.MANIFEST_BYTES:
        raise storage.NotOurs(f"its `{MANIFEST_NAME}` is not that of an artifact")
    try:
        text = path.read_text(encoding="utf-8")
        data: Any = json.loads(text)
        files = {name: entry["sha256"] for name, entry in data["files"].items()}
        ours = isinstance(data["format"], int) and data["tool"].startswith("perceiver-graph ")
        known = all(storage.is_plain(n) and _DIGEST.fullmatch(d) for n, d in files.items())
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        ours = known = False
    if not (ours and known and files and MANIFEST_NAME not in files):
        raise storage.NotOurs(f"its `{MANIFEST_NAME}` is not that of an artifact")
    if text != _text(data):
        raise storage.NotOurs(f"`{MANIFEST_NAME}` in it has changed since it was written")
    return {**files, MANIFEST_NAME: storage.digest(path)}


def _text(data: Any) -> str:
    return escape.json(data, indent=1)


def _interim(directory: Path, prefix: str) -> str:
    """The manifest of an artifact whose other files lie under `prefix` for the time being."""
    data = json.loads((directory / MANIFEST_NAME).read_text(encoding="utf-8"))
    data["files"] = {f"{prefix}/{name}": entry for name, entry in data["files"].items()}
    for program in data["programs"].values():
        program["file"] = f"{prefix}/{program['file']}"
    return _text(data)


ARTIFACT = storage.FolderKind(owned_files, MANIFEST_NAME, _interim)
