"""Tables of items: a row has a file, or a text, for each input of the model.

`.jsonl` has a JSON object on each line, `.parquet` is read with pyarrow where it is installed. Paths
are relative to the table.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

from perceiver_graph.cluster.job import Item
from perceiver_graph.diagnostics import DiagnosticError, quote
from perceiver_graph.diagnostics.commands import shell
from perceiver_graph.diagnostics.words import did_you_mean
from perceiver_graph.runtime.paths import is_path
from perceiver_graph.storage import is_plain

TABLES = (".jsonl", ".parquet")
_PATH, _NAME = "path", "name"


def read_table(path: Path, inputs: Sequence[str]) -> Iterator[Item]:
    """The items of a table. Columns are inputs; `path` is the file of a model that reads one, `name`
    is what its results are called. Raises DiagnosticError (PG509, PG520)."""
    rows = _lines(path) if path.suffix == ".jsonl" else _parquet(path)
    folder = path.absolute().parent
    for number, row in enumerate(rows, 1):
        where = f"{path}, row {number}"
        if not isinstance(row, Mapping):
            raise _wrong(f"{where}: it is no object", inputs)
        found = _values(row, inputs, where)
        texts = [(name, _placed(value, folder)) for name, value in found]
        values = tuple(text if name == _PATH else f"{name}={text}" for name, text in texts)
        yield Item(_name(row, inputs, texts, folder, number, where), values)


def _values(row: Mapping[str, Any], inputs: Sequence[str], where: str) -> list[tuple[str, str]]:
    """The values of a row by input, one that has several each by itself."""
    columns = [*inputs, *({_PATH, _NAME} - {*inputs})]
    found: list[tuple[str, str]] = []
    for name, value in row.items():
        if name not in columns:
            hint = did_you_mean(name, columns)
            raise _wrong(f"{where}: {quote(str(name))} is no input of the model", inputs, hint)
        if value is None or (name == _NAME and _NAME not in inputs):
            continue
        several = value if isinstance(value, list) else [value]
        if not all(isinstance(one, str) and one for one in several):
            raise _wrong(f"{where}: {quote(str(name))} is no path and no text", inputs)
        found += [(name, one) for one in several]
    if not found:
        raise _wrong(f"{where}: it names nothing to run on", inputs)
    return found


def _placed(value: str, folder: Path) -> str:
    """A path as it holds everywhere; a text as it is."""
    try:
        path = folder / value
    except ValueError:
        return value
    return str(path) if is_path(str(path)) else value


def _name(
    row: Mapping[str, Any],
    inputs: Sequence[str],
    texts: Sequence[tuple[str, str]],
    folder: Path,
    number: int,
    where: str,
) -> str:
    """What the results are called: as the row says, as its one file, or by the number of the row."""
    given = row.get(_NAME) if _NAME not in inputs else None
    if given is not None:
        if not (isinstance(given, str) and given and is_plain(given)):
            message = f"{where}: the name {quote(str(given))} is not one of a folder"
            raise DiagnosticError.of("PG520", message, help="write names such as a/b, without ..")
        return given
    text = texts[0][1]
    if len(texts) == 1 and Path(text).is_relative_to(folder):
        name = Path(text).relative_to(folder).as_posix()
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
    try:
        parquet = import_module("pyarrow.parquet")
    except ImportError as error:
        raise DiagnosticError.of(
            "PG509",
            "tables in Parquet need pyarrow, which is not installed",
            help=f"{shell('pip', 'install', 'pyarrow')}; or write the table as .jsonl",
        ) from error
    arrow = import_module("pyarrow")
    try:
        with parquet.ParquetFile(path) as file:
            for batch in file.iter_batches():
                yield from batch.to_pylist()
    except (arrow.ArrowException, OSError) as error:
        message = f"{path} is no table in Parquet: {error}"
        raise DiagnosticError.of("PG520", message, help="check the file") from error


def _wrong(message: str, inputs: Sequence[str], hint: str | None = None) -> DiagnosticError:
    names = " and ".join(map(quote, inputs))
    help = hint or f"columns are {names}, or {quote(_PATH)} where it is one, and {quote(_NAME)}"
    return DiagnosticError.of("PG520", message, help=help)
