"""Folders of large files that can be made anew, kept in the cache of this user for processes to map.

Of a file that is mapped, all processes of a machine have the same pages: it is in memory once.
"""

from __future__ import annotations

import errno
import json
import os
import shutil
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from perceiver_graph.diagnostics import escape
from perceiver_graph.storage.caches import cache_folder
from perceiver_graph.storage.files import unwritable
from perceiver_graph.storage.listing import digest
from perceiver_graph.storage.locks import alone_in

_LIST = "files.json"
_DEAD = 3600.0  # seconds after which nobody is writing any more
_ELSEWHERE = (
    "free space, or name another place in the environment, PERCEIVER_GRAPH_CACHE=DIR; or do "
    "without what is kept there"
)


class KeptFolders:
    """Folders by key, whole or not at all. With each new one, those used longest ago are removed until
    all take at most `most` bytes; who has mapped their files keeps them as long as it lives."""

    def __init__(self, name: str, most: int) -> None:
        self._name = name
        self._most = most

    def find(self, key: str) -> dict[str, tuple[str, int]] | None:
        """SHA-256 and bytes of each file that was kept under a key, None where nothing was."""
        try:
            path = self.place(key) / _LIST
            found = json.loads(path.read_text(encoding="ascii"))
            os.utime(path)
            return {str(name): (str(sha256), int(size)) for name, (sha256, size) in found.items()}
        except (OSError, RuntimeError, ValueError, TypeError, AttributeError):
            return None

    def make(
        self, key: str, write: Callable[[Path], None], room: int
    ) -> dict[str, tuple[str, int]]:
        """The same, written first by `write` if nothing was kept, which takes up to `room` bytes.
        Processes that want the same wait for the one that writes it. Raises DiagnosticError (PG511)."""
        try:
            root = self.place(key).parent
        except RuntimeError as error:
            raise unwritable(self._name, "nobody knows where home is", _ELSEWHERE) from error
        try:
            root.mkdir(parents=True, exist_ok=True, mode=0o700)
            with alone_in(root):
                return self.find(key) or self._made(key, root, write, room)
        except OSError as error:
            raise unwritable(root, error, _ELSEWHERE) from error

    def drop(self, key: str) -> None:
        """Forget what was kept under a key: it is damaged."""
        shutil.rmtree(self.place(key), ignore_errors=True)

    def place(self, key: str) -> Path:
        """Where it lies."""
        return cache_folder() / self._name / key

    def _made(
        self, key: str, root: Path, write: Callable[[Path], None], room: int
    ) -> dict[str, tuple[str, int]]:
        for left in root.glob(".*.new"):  # by one that died in the middle
            if left.stat().st_mtime < time.time() - _DEAD:
                shutil.rmtree(left, ignore_errors=True)
        if (free := shutil.disk_usage(root).free) < room:
            raise OSError(errno.ENOSPC, f"it takes {room:,} bytes, and {free:,} are free")
        stage = Path(tempfile.mkdtemp(prefix=".", suffix=".new", dir=root))
        try:
            write(stage)
            found = {one.name: (digest(one), one.stat().st_size) for one in stage.iterdir()}
            (stage / _LIST).write_text(escape.json(found, indent=None, end=""), encoding="ascii")
            self.drop(key)  # what is left of a damaged one
            stage.rename(self.place(key))
        finally:
            shutil.rmtree(stage, ignore_errors=True)
        self._forget(root, key)
        return found

    def _forget(self, root: Path, new: str) -> None:
        used = {path.parent: path.stat().st_mtime_ns for path in root.glob(f"*/{_LIST}")}
        room = self._most
        for folder in sorted(used, key=lambda one: used[one], reverse=True):
            room -= sum(path.stat().st_size for path in folder.iterdir())
            if room < 0 and folder.name != new:
                shutil.rmtree(folder, ignore_errors=True)
