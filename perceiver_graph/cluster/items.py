"""What a batch runs on: files, those of folders and patterns, and the rows of tables.

Each item has a name of its own, which does not depend on what else there is: a batch that is run
again with more files finds again what it has done.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from perceiver_graph.cluster.job import Item
from perceiver_graph.cluster.ledger import LEDGER
from perceiver_graph.cluster.tables import TABLES, read_table
from perceiver_graph.cluster.takes import Takes
from perceiver_graph.diagnostics import DiagnosticError, Report, escape, quote
from perceiver_graph.diagnostics.commands import either, option, shell
from perceiver_graph.media.io import some_of
from perceiver_graph.runtime.opening import Source
from perceiver_graph.runtime.paths import is_path

_MAGIC = "*?["
_COMMAS = (".csv", ".tsv")


@dataclass
class Found:
    """The items of a batch, and what a user should know of them."""

    items: list[Item] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    @property
    def plain(self) -> str | None:
        """The first file of which nothing says what it is for."""
        return next((item.values[0] for item in self.items if item.is_plain), None)


def find_items(inputs: Sequence[str], takes: Takes, out: Path) -> Found:
    """What the arguments of a batch stand for, in order, each once.

    What lies in the folder of the results is left out. Raises DiagnosticError (PG509, PG512, PG520).
    """
    found, report = Found(), Report()
    _refuse_named(inputs, takes)
    for value in inputs:
        try:
            found.items += _of(value, takes, os.path.realpath(out), found.notes)
        except DiagnosticError as error:
            report.extend(error.diagnostics)
    report.raise_if_errors()
    if found.plain is not None:
        _refuse_ambiguous(found.plain, takes)
    found.items = _distinct(found.items, out)
    if not found.items:
        message = (
            f"there is nothing to run on in {some_of(inputs)}" if inputs else "no input is given"
        )
        help = f"name {takes.nouns}, a folder of them, or a table"
        raise DiagnosticError.of("PG520", message, help=help)
    return found


def _refuse_named(inputs: Sequence[str], takes: Takes) -> None:
    """Which input each file is for, a batch is told by the columns of a table."""
    pairs = [value.partition("=") for value in inputs if not is_path(value)]
    known = {*takes.read, *takes.arrays}
    cells = {name: rest for name, equals, rest in pairs if equals and name in known}
    if not cells:
        return
    row = escape.json(_row(cells, inputs, takes), indent=None, end="", as_it_is=True)
    raise DiagnosticError.of(
        "PG520",
        f"a batch does not take {some_of([f'{name}={rest}' for name, rest in cells.items()])}: which input "
        "each file is for, a table says",
        help=f"write a row for each item: {shell('echo', row)[:-1]} >> rows.jsonl`, and name that file",
    )


def _row(cells: dict[str, str], inputs: Sequence[str], takes: Takes) -> dict[str, str]:
    """A row with these cells and all else that an item needs: files that nothing says more of are for
    the inputs that have no cell yet."""
    given = {f"{name}={rest}" for name, rest in cells.items()}
    plain = [
        value for value in inputs if value not in given and is_path(value) and Path(value).is_file()
    ]
    row: dict[str, str] = {}
    for name in [*takes.read, *takes.needed]:
        is_needed = name in takes.needed
        fitting = [one for one in plain if takes.is_array(name, one) == is_needed]
        row[name] = cells.get(name) or next(iter(fitting), "FILE.npy" if is_needed else "FILE")
        plain = [one for one in plain if one != row[name]]
    return row | cells


def _of(value: str, takes: Takes, out: str, notes: list[str]) -> Iterator[Item]:
    path = Path(value)
    if not is_path(value) and any(one in value for one in _MAGIC):
        yield from _matching(value, takes, out)
    elif is_path(value) and path.is_dir():
        yield from _inside(path, takes, out, notes)
    elif path.suffix in TABLES and is_path(value):
        yield from read_table(path, takes)
    else:
        source = Source.of(value)
        if not source.is_file:
            message = (
                f"{source.label} is no file, and a batch that is run again reads its files again"
            )
            raise DiagnosticError.of("PG520", message, help="save it to a file, and name that")
        if path.suffix in _COMMAS and not _takes_tables(path, takes):
            raise _other_table(path, takes)
        if path.suffix in _COMMAS and all(reader.literal for reader in takes.readers):
            notes.append(_read_as_one(path, takes))
        yield takes.item(path.name, path)


def _read_as_one(path: Path, takes: Takes) -> str:
    """That a table of another kind is one text, and how it becomes a table that is read by rows."""
    name = takes.read[0]
    made = _by_rows(path, f"{{{name!r}: row[{name!r}]}}")
    return f"{path} is read as one text; for one a row, write its column {quote(name)} as a table: {made}"


def _takes_tables(path: Path, takes: Takes) -> bool:
    """Whether a table of commas, or a text of it, may be what the model is run on."""
    return any(one.literal or not one.media_types or one.reads(path.name) for one in takes.readers)


def _other_table(path: Path, takes: Takes) -> DiagnosticError:
    """A table of files is no picture, and how it becomes one that is read by rows."""
    names = [
        *takes.read,
        *takes.arrays,
        *(one for one in ("path", "name") if one not in takes.read),
    ]
    made = _by_rows(path, f"{{k: row[k] for k in row if k in {names}}}")
    return DiagnosticError.of(
        "PG520",
        f"{path} is not {takes.nouns}, and tables of them are .jsonl or .parquet",
        help=f"{made}, and name that; of its columns, {', '.join(map(quote, names))} are taken",
    )


def _by_rows(path: Path, row: str) -> str:
    """The command that writes a table of commas as .jsonl."""
    comma = "" if path.suffix == ".csv" else ", delimiter='\\t'"
    rows = f"csv.DictReader(open({str(path)!r}, newline=''){comma})"
    made = shell("python3", "-c", f"import csv, json\nfor row in {rows}: print(json.dumps({row}))")
    return f"{made[1:-1]} > {shell(path.with_suffix('.jsonl'))[1:-1]}"


def _matching(pattern: str, takes: Takes, out: str) -> Iterator[Item]:
    """The files that a pattern stands for; `**` is any number of folders."""
    parts = Path(pattern).parts
    fixed = next(i for i, part in enumerate(parts) if any(one in part for one in _MAGIC))
    base = Path(*parts[:fixed])
    _refuse_closed(base, parts[fixed:-1])
    paths = [path for path in base.glob("/".join(parts[fixed:])) if path.is_file()]
    if not paths:
        help = f"look what there is: {shell('ls', base)}"
        raise DiagnosticError.of("PG520", f"no file matches {quote(pattern)}", help=help)
    for path in sorted(path for path in paths if not _is_within(path, out)):
        yield takes.item(path.relative_to(base).as_posix(), path)


def _refuse_closed(base: Path, parts: Sequence[str]) -> None:
    """Refuse a pattern that leads through a folder which this user may not look into: a pattern leaves
    out what is in it, and says nothing."""
    for count in range(len(parts) + 1):
        for place in base.glob("/".join(parts[:count])) if count else [base]:
            if place.is_dir() and not os.access(place, os.R_OK | os.X_OK):
                raise _unread(str(place), "Permission denied")


def _inside(folder: Path, takes: Takes, out: str, notes: list[str]) -> Iterator[Item]:
    """The files of a folder and of those in it, that are of a kind which is read; hidden ones are not."""
    if os.path.realpath(folder) == out:
        message = f"{folder} is the folder of the inputs and of the results, which get one a file"
        raise DiagnosticError.of("PG520", message, help=_other_folder())
    every = any(not reader.media_types for reader in takes.readers)
    other: list[str] = []
    for place, folders, files in os.walk(folder, onerror=_refuse_unread):
        hidden = {name for name in folders if name.startswith(".")}
        within = {name for name in folders if os.path.realpath(Path(place, name)) == out}
        folders[:] = sorted({*folders} - hidden - within)
        for name in sorted(name for name in files if not name.startswith(".")):
            path = Path(place, name)
            item = takes.item(path.relative_to(folder).as_posix(), path)
            if (
                item.arrays
                if not takes.readers
                else every or any(one.reads(name) for one in takes.readers)
            ):
                yield item
            elif not _is_within(path, out):
                other.append(path.relative_to(folder).as_posix())
    if other:
        notes.append(f"{folder}: left out what is not {takes.nouns}: {some_of(other)}")


def _refuse_unread(error: OSError) -> None:
    """Nothing of a folder is left out because it cannot be looked into."""
    raise _unread(error.filename, error.strerror)


def _unread(place: str, reason: str | None) -> DiagnosticError:
    help = "let this user read it, or name the others"
    return DiagnosticError.of("PG520", f"{place} cannot be read: {reason}", help=help)


def _is_within(path: Path, out: str) -> bool:
    return Path(os.path.realpath(path)).is_relative_to(out)


def _refuse_ambiguous(plain: str, takes: Takes) -> None:
    """A file by itself is for the one input that files are read for; anything else, a table says."""
    if len(takes.readers) > 1:
        message = f"it cannot be told which input {quote(plain)} is for: the model takes "
        names = ", ".join(map(quote, takes.read))
        raise DiagnosticError.of("PG520", f"{message}{names}", help=f"name {takes.table()}")
    for reader in takes.readers:
        try:
            reader.split([plain])
        except DiagnosticError as error:
            help = f"name {takes.table(['FIRST', 'SECOND'])}"
            raise DiagnosticError.of("PG520", error.diagnostics[0].message, help=help) from error


def _distinct(items: Sequence[Item], out: Path) -> list[Item]:
    """The items, each once. Raises DiagnosticError (PG520) where two would have one folder, or one a
    folder where a file of its own lies."""
    seen: dict[str, Item] = {}
    report = Report()
    for item in items:
        before = seen.setdefault(item.name, item)
        if before.given != item.given:
            report.error(
                "PG520",
                f"the results of {some_of(before.given)} and of {some_of(item.given)} would both "
                f"go to {item.name}",
                help="name a folder, or a pattern in quotes, that both are in; in a table, add a column "
                '"name" that is another one in each row',
            )
        elif str(out.absolute() / item.name) in (text.removeprefix("=") for text in item.given):
            message = f"the results of {some_of(item.given)} would go to a folder of that name"
            report.error("PG520", message, help=_other_folder())
        elif item.name == LEDGER:
            message = f"{item.values[0]} is called as what a batch keeps its account in"
            report.error("PG520", message, help="rename it")
    report.raise_if_errors()
    return list(seen.values())


def _other_folder() -> str:
    return f"choose another folder{either(' for the results: ' + option('-o', 'DIR'), '')}"
