"""Where files are kept that can be made anew: in the cache of this user, and bounded."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

from perceiver_graph.diagnostics import DiagnosticError
from perceiver_graph.storage.files import staged_file

FOLDER_VARIABLE = "PERCEIVER_GRAPH_CACHE"
_DIGEST = hashlib.sha256().digest_size


def cache_folder() -> Path:
    """Where what is compiled is kept: PERCEIVER_GRAPH_CACHE, else in the cache of this user."""
    if given := os.environ.get(FOLDER_VARIABLE):
        return Path(given)
    root = os.environ.get("XDG_CACHE_HOME")
    return (Path(root) if root else Path.home() / ".cache") / "perceiver-graph"


class Cache:
    """A folder of files that are not worth a word: what cannot be kept or found is made anew.

    A file begins with the digest of its key and the rest, so that of one that was damaged, or has the
    name of another one, nothing is used. With each new one, those used longest ago are removed until
    all take at most `most` bytes.
    """

    def __init__(self, name: str, most: int) -> None:
        self._name = name
        self._most = most

    def read(self, key: str) -> bytes | None:
        """What was kept under a key; None where nothing was, or it is damaged."""
        try:
            path = self._path(key)
            content = path.read_bytes()
            os.utime(path)
        except (OSError, RuntimeError):  # RuntimeError: nobody knows where home is
            return None
        digest, rest = content[:_DIGEST], content[_DIGEST:]
        return rest if _digest(key, rest) == digest else None

    def keep(self, key: str, content: bytes) -> None:
        """Keep it, if it is not too large and the folder can be written to."""
        if len(content) > self._most // 4:
            return
        try:
            path = self._path(key)
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            with staged_file(path) as temporary, temporary.open("wb") as stream:
                stream.write(_digest(key, content))
                stream.write(content)
            self._forget(path)
        except (OSError, RuntimeError, DiagnosticError):
            return

    def _path(self, key: str) -> Path:
        return cache_folder() / self._name / key

    def _forget(self, new: Path) -> None:
        found = [(path, path.stat()) for path in new.parent.iterdir() if path.is_file()]
        room = self._most
        for path, status in sorted(found, key=lambda one: one[1].st_mtime_ns, reverse=True):
            room -= status.st_size
            if room < 0 and path != new:
                path.unlink(missing_ok=True)


def _digest(key: str, content: bytes) -> bytes:
    """Of what is kept under a key."""
    found = hashlib.sha256(key.encode() + b"\n")
    found.update(content)
    return found.digest()
