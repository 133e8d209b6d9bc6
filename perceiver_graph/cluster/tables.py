"""Tables of items: a row has a file, a text or an array for each input of the model.

`.jsonl` has a JSON object on each line, `.parquet` is read with pyarrow where it is installed. Paths
are relative to the table.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

from perceiver_graph.cluster.arrays import written
from perceiver_graph.cluster.job import Item
from perceiver_graph.cluster.takes import Takes, columns
from perceiver_graph.diagnostics import DiagnosticError, quote
from perceiver_graph.diagnostics.commands import shell
from perceiver_graph.diagnostics.words import did_you_mean
from perceiver_graph.runtime.paths import is_path
from perceiver_graph.storage import is_plain

TABLES = (".jsonl", ".parquet")
_PATH, _NAME = "path", "name"
_ARRAYS = "name a file of it (.npy, .npz), or write its numbers as lists"


def read_table(path: Path, takes: Takes) -> Iterator[Item]:
    """The items of a table. Columns are inputs; `path` is the file of a model that reads one, `name`
    is what its results are called. Raises DiagnosticError (PG509, PG520)."""
    rows = _lines(path) if path.suffix == ".jsonl" else _parquet(path)
    folder = path.absolute().parent
    for number, row in enumerate(rows, 1):
        where = f"{path}, row {number}"
        if not isinstance(row, Mapping):
            raise _wrong(f"{where}: it is no object", takes)
        cells = _Cells(takes, folder, where)
        for name, value in row.items():
            cells.add(name, value)
        if not cells.files and not cells.arrays:
            raise _wrong(f"{where}: it names nothing to run on", takes)
        name = _name(row, takes, cells, number)
        yield Item(name, tuple(cells.files), tuple(cells.arrays))


class _Cells:
    """What a row gives: files and texts as those of `run`, and arrays."""

    def __init__(self, takes: Takes, folder: Path, where: str) -> None:
        self.files: list[str] = []
        self.arrays: list[str] = []
        self.paths: list[str] = []
        """What each of them is, without the name of its input; numbers are none."""
        self.folder, self.where = folder, where
        self._takes = takes
        self._columns = columns(takes, (_PATH, _NAME))

    def add(self, name: str, value: Any) -> None:
        """Add what stands in a column. Raises DiagnosticError (PG520)."""
        if name not in self._columns:
            hint = did_you_mean(name, self._columns)
            raise self._wrong(f"{quote(str(name))} is no input of the model", hint)
        if value is None or value == [] or (name == _NAME and _NAME not in self._inputs):
            return
        if value == "":
            raise self._wrong(
                f"{quote(name)} is empty", "leave the row out; null leaves an input out"
            )
        several = value if isinstance(value, list) else [value]
        if all(isinstance(one, str) and one for one in several):
            for one in several:
                self._add_text(name, one)
        elif isinstance(value, list) and name in self._inputs and (text := written(name, value)):
            self.arrays.append(text)
        elif isinstance(value, list) and not isinstance(value[0], str):
            raise self._wrong(f"{quote(name)} has no numbers, or lists of unequal length")
        else:
            raise self._wrong(f"{quote(name)} is no path, no text and no list of numbers")

    def _add_text(self, name: str, text: str) -> None:
        path = _placed(text, self.folder)
        if name == _PATH and _PATH not in self._inputs:
            item = self._takes.item("", Path(path))
            self.files += item.values if not item.arrays else ()
            self.arrays += item.arrays
        elif self._takes.is_array(name, text):
            path = str(self.folder / text)
            self.arrays.append(f"{name}={path}")
        elif name in self._takes.arrays:
            raise self._wrong(f"{quote(name)} is an array, and {quote(text)} is none", _ARRAYS)
        else:
            self.files.append(f"{name}={path}")
        self.paths.append(path)

    @property
    def _inputs(self) -> list[str]:
        return [*self._takes.read, *self._takes.arrays]

    def _wrong(self, message: str, hint: str | None = None) -> DiagnosticError:
        return _wrong(f"{self.where}: {message}", self._takes, hint)


def _placed(value: str, folder: Path) -> str:
    """A path as it holds everywhere; a text as it is."""
    try:
        path = folder / value
    except ValueError:
        return value
    return str(path) if is_path(str(path)) else value


def _name(row: Mapping[str, Any], takes: Takes, cells: _Cells, number: int) -> str:
    """What the results are called: as the row says, as its one file, or by the number of the row."""
    given = row.get(_NAME) if _NAME not in (*takes.read, *takes.arrays) else None
    if given is not None:
        if not (isinstance(given, str) and given and is_plain(given)):
            message = f"{cells.where}: the name {quote(str(given))} is not one of a folder"
            raise DiagnosticError.of("PG520", message, help="write names such as a/b, without ..")
        return given
    if len(cells.paths) == len(cells.files) + len(cells.arrays) == 1:
        path = Path(cells.paths[0])
        if path.is_relative_to(cells.folder):
            name = path.relative_to(cells.folder).as_posix()
            if is_plain(name):
                return name
    return f"{number:06}"


def _lines(path: Path) -> Iterator[object]:
    try:
        with path.open(encoding="utf-8") as stream:
            for number, line in enumerate(stream, 1):
                if line.strip():
                    try:
                        yield json.loads(line)
                    except (ValueError, RecursionError) as error:
                        message = f"{path}:{number} is not JSON: {error}"
                        help = "write an object a line"
                        raise DiagnosticError.of("PG520", message, help=help) from error
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is not UTF-8"
        help = "check the file and its permissions"
        raise DiagnosticError.of("PG520", f"{path}: {reason}", help=help) from error


def _parquet(path: Path) -> Iterator[object]:
    arrow, parquet = arrow_library()
    try:
        with parquet.ParquetFile(path) as file:
            for batch in file.iter_batches():
                yield from batch.to_pylist()
    except (arrow.ArrowException, OSError) as error:
        message = f"{path} is no table in Parquet: {error}"
        raise DiagnosticError.of("PG520", message, help="check the file") from error


def _wrong(message: str, takes: Takes, hint: str | None = None) -> DiagnosticError:
    names = " and ".join(map(quote, [*takes.read, *takes.arrays]))
    help = hint or f"columns are {names}, or {quote(_PATH)} where it is one, and {quote(_NAME)}"
    return DiagnosticError.of("PG520", message, help=help)


def arrow_library() -> tuple[Any, Any]:
    """pyarrow and its module for Parquet. Raises DiagnosticError (PG509) where it is not installed."""
    try:
        return import_module("pyarrow"), import_module("pyarrow.parquet")
    except ImportError as error:
        raise DiagnosticError.of(
            "PG509",
            "tables in Parquet need pyarrow, which is not installed",
            help=f"{shell('pip', 'install', 'pyarrow')}; or write the table as .jsonl",
        ) from error
