"""What a batch has left, as one table: a row an item, a column an output.

It is made anew from the folders of the items, so that it has what earlier runs have done, too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from perceiver_graph.cluster.job import Outcome
from perceiver_graph.cluster.ledger import LEDGER
from perceiver_graph.cluster.tables import TABLES, arrow_library
from perceiver_graph.diagnostics import DiagnosticError, escape, quote
from perceiver_graph.runtime.results import ARRAYS
from perceiver_graph.runtime.written import SUMMARY, summary_of
from perceiver_graph.storage import staged_file, unwritable

_OWN = ("name", "state", "code", "message", "source")
"""Columns that are no outputs."""
_ROWS = 1000
Row = dict[str, Any]


def require_table(path: Path) -> None:
    """Raise DiagnosticError (PG509, PG511, PG520) for a table that could not be written later."""
    if path.suffix not in TABLES:
        help = f"name one that ends in {' or '.join(TABLES)}"
        raise DiagnosticError.of("PG520", f"{quote(path)} is the name of no table", help=help)
    if path.suffix != ".jsonl":
        arrow_library()
    if not path.absolute().parent.is_dir():
        raise unwritable(path, f"there is no folder {quote(path.parent)}")


def write_table(path: Path, out: Path, names: Iterable[str]) -> None:
    """Write the results of some items in the folder of a batch, whole or not at all.

    Raises DiagnosticError (PG509, PG511).
    """
    failed, names = _failed(out / LEDGER), list(names)

    def rows() -> Iterator[Row]:
        return (_row(out, name, failed.get(name)) for name in names)

    with staged_file(path) as temporary:
        if path.suffix == ".jsonl":
            with temporary.open("w", encoding="utf-8") as stream:
                for row in rows():
                    stream.write(f"{escape.json(_plain(row), indent=None, end='')}\n")
        else:
            _write_parquet(temporary, rows)


def _failed(ledger: Path) -> dict[str, Outcome]:
    """Why items failed, of those whose last run did."""
    found: dict[str, Outcome] = {}
    with ledger.open(encoding="utf-8") as lines:
        for outcome in map(Outcome.of, lines):
            found.pop(outcome.name, None)
            if outcome.state == "failed":
                found[outcome.name] = outcome
    return found


def _row(out: Path, name: str, failed: Outcome | None) -> Row:
    if failed is not None:
        return {"name": name, "state": "failed", "code": failed.code, "message": failed.message}
    row: Row = {"name": name, "state": "done"}
    for path in (out / name).glob(f"*{SUMMARY}"):
        summary = summary_of(out / name, path.stem)
        if summary is not None:
            row["source"] = summary["source"]
            row |= {_column(output): answer for output, answer in summary["outputs"].items()}
            row |= _arrays(path.with_suffix(ARRAYS))
    return row


def _arrays(path: Path) -> Row:
    """The outputs that no media writes: their numbers in a row, and their sizes."""
    if not path.exists():
        return {}
    found: Row = {}
    with np.load(path) as archive:
        for output, array in archive.items():
            found[_column(output)] = array.ravel()
            found[f"{_column(output)}.shape"] = list(array.shape)
    return found


def _column(output: str) -> str:
    return f"output.{output}" if output in _OWN else output


def _plain(row: Row) -> Row:
    return {n: v.tolist() if isinstance(v, np.ndarray) else v for n, v in row.items()}


def _write_parquet(path: Path, rows: Callable[[], Iterator[Row]]) -> None:
    """In two passes: what columns there are, and of what, all rows together say."""
    arrow, parquet = arrow_library()
    schema = arrow.schema([(name, arrow.string()) for name in _OWN[:-1]])
    for some in _parts(rows()):
        schema = arrow.unify_schemas([schema, _table(arrow, some).schema], **_PERMISSIVE)
    with parquet.ParquetWriter(path, schema) as writer:
        for some in _parts(rows()):
            writer.write_table(arrow.Table.from_pylist(some, schema=schema))


_PERMISSIVE = {"promote_options": "permissive"}


def _parts(rows: Iterator[Row]) -> Iterator[list[Row]]:
    while some := list(islice(rows, _ROWS)):
        yield some


def _table(arrow: Any, rows: list[Row]) -> Any:
    names = dict.fromkeys(name for row in rows for name in row)
    return arrow.Table.from_pylist([{name: row.get(name) for name in names} for row in rows])
