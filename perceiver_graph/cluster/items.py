"""What a batch runs on: files, those of folders and patterns, and the rows of tables.

Each item has a name of its own, which does not depend on what else there is: a batch that is run
again with more files finds again what it has done.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from mimetypes import guess_type
from pathlib import Path

from perceiver_graph.cluster.job import Item
from perceiver_graph.cluster.ledger import LEDGER
from perceiver_graph.cluster.tables import TABLES, read_table
from perceiver_graph.diagnostics import DiagnosticError, Report, quote
from perceiver_graph.diagnostics.commands import shell
from perceiver_graph.media.io import Reader, some_of
from perceiver_graph.runtime.opening import Source
from perceiver_graph.runtime.paths import is_path

_MAGIC = "*?["


@dataclass
class Found:
    """The items of a batch, and what a user should know of them."""

    items: list[Item] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def find_items(inputs: Sequence[str], readers: Sequence[Reader], out: Path) -> Found:
    """What the arguments of a batch stand for, in order, each once.

    What lies in the folder of the results is left out. Raises DiagnosticError (PG509, PG512, PG520).
    """
    found, report = Found(), Report()
    for value in inputs:
        try:
            found.items += _of(value, readers, os.path.realpath(out), found.notes)
        except DiagnosticError as error:
            report.extend(error.diagnostics)
    report.raise_if_errors()
    _refuse_ambiguous(found.items, readers)
    found.items = _distinct(found.items)
    if not found.items:
        message = (
            f"there is nothing to run on in {some_of(inputs)}" if inputs else "no input is given"
        )
        nouns = " or ".join(reader.noun for reader in readers)
        raise DiagnosticError.of(
            "PG520", message, help=f"name {nouns}, a folder of them, or a table"
        )
    return found


def _of(value: str, readers: Sequence[Reader], out: str, notes: list[str]) -> Iterator[Item]:
    path = Path(value)
    if not is_path(value) and any(one in value for one in _MAGIC):
        yield from _matching(value, out)
    elif is_path(value) and path.is_dir():
        yield from _inside(path, readers, out, notes)
    elif path.suffix in TABLES and is_path(value):
        yield from read_table(path, [name for reader in readers for name in reader.inputs])
    else:
        source = Source.of(value)
        if not source.is_file:
            message = (
                f"{source.label} is no file, and a batch that is run again reads its files again"
            )
            raise DiagnosticError.of("PG520", message, help="save it to a file, and name that")
        yield Item(path.name, (str(path.absolute()),))


def _matching(pattern: str, out: str) -> Iterator[Item]:
    """The files that a pattern stands for; `**` is any number of folders."""
    parts = Path(pattern).parts
    fixed = next(i for i, part in enumerate(parts) if any(one in part for one in _MAGIC))
    base = Path(*parts[:fixed])
    paths = [path for path in base.glob("/".join(parts[fixed:])) if path.is_file()]
    if not paths:
        help = f"look what there is: {shell('ls', base)}"
        raise DiagnosticError.of("PG520", f"no file matches {quote(pattern)}", help=help)
    for path in sorted(path for path in paths if not _is_within(path, out)):
        yield Item(path.relative_to(base).as_posix(), (str(path.absolute()),))


def _inside(folder: Path, readers: Sequence[Reader], out: str, notes: list[str]) -> Iterator[Item]:
    """The files of a folder and of those in it, that are of a kind which is read; hidden ones are not."""
    kinds = [kind for reader in readers for kind in reader.media_types]
    every = any(not reader.media_types for reader in readers)
    other: list[str] = []
    for place, folders, files in os.walk(folder):
        hidden = {name for name in folders if name.startswith(".")}
        within = {name for name in folders if os.path.realpath(Path(place, name)) == out}
        folders[:] = sorted({*folders} - hidden - within)
        for name in sorted(name for name in files if not name.startswith(".")):
            path = Path(place, name)
            if every or (guess_type(name)[0] or "").startswith(tuple(kinds)):
                yield Item(path.relative_to(folder).as_posix(), (str(path.absolute()),))
            elif not _is_within(path, out):
                other.append(path.relative_to(folder).as_posix())
    if other:
        what = " or ".join(reader.noun for reader in readers)
        notes.append(f"{folder}: left out what is not {what}: {some_of(other)}")


def _is_within(path: Path, out: str) -> bool:
    return Path(os.path.realpath(path)).is_relative_to(out)


def _refuse_ambiguous(items: Sequence[Item], readers: Sequence[Reader]) -> None:
    """A file by itself is for the one input that files are read for; anything else, a table says."""
    plain = next((i.values[0] for i in items if len(i.values) == 1 and is_path(i.values[0])), None)
    if plain is None:
        return
    names = [quote(name) for reader in readers for name in reader.inputs]
    example = "{" + ", ".join(f'"{n}": "FILE"' for reader in readers for n in reader.inputs) + "}"
    help = f"name a table (.jsonl, .parquet) with rows such as {example}"
    if len(readers) > 1:
        message = f"it cannot be told which input {quote(plain)} is for: the model takes "
        raise DiagnosticError.of("PG520", f"{message}{', '.join(names)}", help=help)
    try:
        readers[0].split([plain])
    except DiagnosticError as error:
        help = help.replace('"FILE"', '["FIRST", "SECOND"]')
        raise DiagnosticError.of("PG520", error.diagnostics[0].message, help=help) from error


def _distinct(items: Sequence[Item]) -> list[Item]:
    """The items, each once. Raises DiagnosticError (PG520) where two would have one folder."""
    seen: dict[str, Item] = {}
    report = Report()
    for item in items:
        before = seen.setdefault(item.name, item)
        if before.values != item.values:
            report.error(
                "PG520",
                f"the results of {some_of(before.values)} and of {some_of(item.values)} would both "
                f"go to {item.name}",
                help="name a folder, or a pattern in quotes, that both are in; in a table, give each "
                'row a "name"',
            )
        elif item.name == LEDGER:
            message = f"{item.values[0]} is called as what a batch keeps its account in"
            report.error("PG520", message, help="rename it")
    report.raise_if_errors()
    return list(seen.values())
