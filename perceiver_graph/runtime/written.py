"""Results that say of themselves that a run wrote them: no others are ever replaced.

The summary of a subject has the digests of its files and of itself; an archive of arrays ends with
its own. Whoever changes a file makes it theirs.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from perceiver_graph import limits, storage
from perceiver_graph.diagnostics import DiagnosticError, escape
from perceiver_graph.diagnostics.commands import elsewhere
from perceiver_graph.media.io import some_of

SUMMARY = ".json"
_MARK = b"perceiver-graph run, sha256 "
_DIGITS = 64
ARCHIVE_COMMENT = _MARK + b"0" * _DIGITS
"""The comment of an archive before it is sealed."""
_BLOCK = 2**20


def summary_bytes(summary: Mapping[str, Any], files: Mapping[str, str]) -> bytes:
    """The text of a summary, with the digests of the files that belong to it, and its own."""
    data = {**summary, "files": dict(files)}
    return _encoded({**data, "sha256": hashlib.sha256(_encoded(data)).hexdigest()})


def former_results(folder: Path, stem: str) -> storage.Former:
    """What a former run on a subject of this name wrote to a folder and nobody changed since."""
    path, data = folder / f"{stem}{SUMMARY}", summary_of(folder, stem)
    if data is None:
        return storage.Former()
    return storage.Former({**data["files"], path.name: storage.digest(path)})


def summary_of(folder: Path, stem: str) -> dict[str, Any] | None:
    """What a former run says of its results, None if it is not there or was changed since."""
    path = folder / f"{stem}{SUMMARY}"
    try:
        if not path.is_file() or path.stat().st_size > limits.SUMMARY_BYTES:
            return None
        content = path.read_bytes()
        data: dict[str, Any] = json.loads(content)
        digest, files = data.pop("sha256"), dict(data["files"])
        sound = hashlib.sha256(_encoded(data)).hexdigest() == digest
        sound = sound and _encoded({**data, "sha256": digest}) == content
    except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return None
    names = {f"{stem}{Path(name).suffix}" for name in files}
    return data | {"files": files} if sound and names == set(files) else None


def is_there(folder: Path, stem: str, **said: Any) -> bool:
    """Whether the results of a former run are there, whole and unchanged, and its summary says this."""
    data = summary_of(folder, stem)
    if data is None or any(data.get(name) != value for name, value in said.items()):
        return False
    former = storage.Former(data["files"])
    return all(former.has(folder, name) for name in data["files"])


def of_other_runs(folder: Path, stems: Iterable[str]) -> list[Path]:
    """The summaries in a folder that runs on other subjects have left there."""
    taken = set(stems)
    found = (path for path in sorted(folder.glob(f"*{SUMMARY}")) if path.stem not in taken)
    return [path for path in found if former_results(folder, path.stem).has(folder, path.name)]


def note_of_others(folder: Path, stems: Iterable[str]) -> list[str]:
    """A note on them, if there are any."""
    others = [path.name for path in of_other_runs(folder, stems)]
    return [f"{folder} holds results of other runs, too: {some_of(others)}"] if others else []


def seal(archive: Path) -> None:
    """Write the digest of an archive that was closed with `ARCHIVE_COMMENT` into it."""
    digest = _digest_before_seal(archive)
    with archive.open("r+b") as stream:
        stream.seek(-_DIGITS, 2)
        stream.write(digest.encode())


def refuse_others(path: Path) -> None:
    """Raise DiagnosticError (PG511) if an archive would replace what is none of a run."""
    try:
        if storage.descriptor(path) is None and path.is_file() and not _is_sealed(path):
            raise not_ours(path)
    except OSError as error:
        raise storage.unwritable(path, error) from error


def not_ours(path: Path) -> DiagnosticError:
    """What is said of a file that no run wrote, or that was changed since."""
    return storage.unwritable(
        path,
        "there is a file that no run wrote, or that was changed since",
        help=f"{elsewhere()}, or move the file",
    )


def _is_sealed(path: Path) -> bool:
    with path.open("rb") as stream:
        if path.stat().st_size < len(ARCHIVE_COMMENT):
            return False
        stream.seek(-len(ARCHIVE_COMMENT), 2)
        comment = stream.read()
    mark, digest = comment[: len(_MARK)], comment[len(_MARK) :]
    return mark == _MARK and digest == _digest_before_seal(path).encode()


def _digest_before_seal(path: Path) -> str:
    found, left = hashlib.sha256(), path.stat().st_size - _DIGITS
    with path.open("rb") as stream:
        while left > 0 and (block := stream.read(min(left, _BLOCK))):
            found.update(block)
            left -= len(block)
    return found.hexdigest()


def _encoded(data: Mapping[str, Any]) -> bytes:
    return escape.json(data, as_it_is=True).encode()
