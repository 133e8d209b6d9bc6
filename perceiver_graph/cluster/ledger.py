"""What became of each item, written as it becomes so: `batch.jsonl` in the folder of results.

A line an item, appended whole; the last line for an item holds. A line that a crash cut off is dropped
when the file is opened again. Only one process writes, which a lock sees to.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Self

from perceiver_graph.cluster.job import Item, Outcome
from perceiver_graph.diagnostics.commands import elsewhere
from perceiver_graph.runtime.written import SUMMARY
from perceiver_graph.storage import unwritable
from perceiver_graph.storage.locks import lock

LEDGER = "batch.jsonl"


class Ledger:
    """The ledger of a folder, a context manager. Raises DiagnosticError (PG511)."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._path = folder / LEDGER
        self._done: dict[str, str] = {}

    def __enter__(self) -> Self:
        try:
            flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
            self._handle = os.open(self._path, flags, 0o666)
        except OSError as error:
            raise unwritable(self._path, error) from error
        try:
            if lock(self._handle) is False:
                fault = "another batch writes its results there"
                raise unwritable(self._folder, fault, f"wait for it to end, or {elsewhere()}")
            self._read()
        except BaseException:
            os.close(self._handle)
            raise
        return self

    def __exit__(self, *error: object) -> None:
        os.close(self._handle)

    def has(self, item: Item) -> bool:
        """Whether an item is done, as it is now, and its results have not been taken away."""
        if self._done.get(item.name) != item.key:
            return False
        folder = self._folder / item.name
        return any(name.endswith(SUMMARY) for name in _listed(folder))

    def write(self, outcome: Outcome) -> None:
        """Add what became of an item. Raises DiagnosticError (PG511)."""
        try:
            line = f"{outcome.text}\n".encode()
            while line:
                line = line[os.write(self._handle, line) :]
        except OSError as error:
            raise unwritable(self._path, error) from error

    def _read(self) -> None:
        """Read what is there, and go on behind the last line that is whole."""
        end = 0
        with os.fdopen(os.dup(self._handle), "rb") as stream:
            for line in stream:
                if not line.endswith(b"\n"):
                    break
                try:
                    found = Outcome.of(line.decode())
                except (ValueError, KeyError, TypeError) as error:
                    fault = "there is a file that no batch wrote"
                    raise unwritable(self._path, fault, f"{elsewhere()}, or move it") from error
                end += len(line)
                if found.state == "failed":
                    self._done.pop(found.name, None)
                else:
                    self._done[found.name] = found.key
        os.lseek(self._handle, end, os.SEEK_SET)
        os.ftruncate(self._handle, end)


def _listed(folder: Path) -> list[str]:
    try:
        return os.listdir(folder)  # noqa: PTH208 - of a million folders
    except OSError:
        return []
