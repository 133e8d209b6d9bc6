"""Which column of a file of points is what: its names say so, not its place."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from perceiver_graph.diagnostics import DiagnosticError, quote
from perceiver_graph.media.files.numbers.common import Lines, Rows, undecodable
from perceiver_graph.runtime.opening import Source

AXES = ("x", "y", "z")
PACKED = ("rgb", "rgba")
"""Colours in one number, whose bits are their bytes: as a number, it means nothing."""

COLOURS = ("red", "green", "blue", "r", "g", "b")

_UNIT = re.compile(r"\s*[\[(]([^\])]*)[\])]$")
_UNNAMED = re.compile(r"(unnamed: ?\d+)?")
_SHOWN = 12


@dataclass(frozen=True, eq=False)
class Cloud:
    """Points [n, 3 + k]: x, y, z and k features; `names` are those of the columns, if they have any.
    `lines` are their places in a text. `rest` are numbers that are left out since it is not said what
    they mean, and `expression` is what reads them in Python, if that can be said."""

    points: Rows
    names: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    lines: Lines | None = None
    rest: tuple[str, ...] = ()
    expression: str = ""


def plain(name: str) -> str:
    """A column's name without its unit, quotes and signs of a comment, in lower case."""
    return _UNIT.sub("", name.strip().lstrip("/#").strip().strip("\"'").strip()).casefold()


def is_unnamed(name: str) -> bool:
    """Whether a column has no name, as the index has that pandas writes."""
    return _UNNAMED.fullmatch(plain(name)) is not None


def listed(names: Sequence[str]) -> str:
    """Names in a message: `x`, `y`, `z`."""
    shown = ", ".join(quote(name) for name in names[:_SHOWN])
    return shown + ", ..." * (len(names) > _SHOWN)


def arranged(source: Source, points: Rows, names: Sequence[str]) -> Cloud:
    """Points whose columns are named: x, y and z first, then the others as they come, without packed
    colours.

    Raises DiagnosticError (PG507) if not exactly one column each is called x, y and z.
    """
    help = (
        "name the columns of the coordinates x, y and z; without a first row of names, the first "
    )
    order = found(source, names, AXES, f"{help}three columns are taken")
    rest = {*AXES, *PACKED}
    order += [index for index, name in enumerate(names) if plain(name) not in rest]
    taken = tuple(names[index].strip() for index in order)
    notes = [*left_out(names, taken, "packed colours")]
    if order != sorted(order):
        notes.append(f"the columns are taken in the order {', '.join(taken)}")
    units = [unit[1].strip() if (unit := _UNIT.search(name)) else "" for name in taken[:3]]
    if len({*units}) > 1:
        shown = ", ".join(unit or "none" for unit in units)
        notes.append(f"x, y and z have different units ({shown}), and are taken as they are")
    return Cloud(points[:, order], taken, tuple(notes))


def found(source: Source, names: Sequence[str], wanted: Sequence[str], help: str) -> list[int]:
    """Where the columns are that are called so.

    Raises DiagnosticError (PG507) if not exactly one column is, for each.
    """
    called = [plain(name) for name in names]
    wrong = [name for name in wanted if called.count(name) != 1]
    if wrong:
        missing = [name for name in wrong if name not in called]
        fault = f"no column is called {listed(missing)}"
        if not missing:
            fault = f"several columns are called {listed(wrong)}"
        raise undecodable(f"{source}: {fault}", f"its columns: {listed(names)}", help=help)
    return [called.index(name) for name in wanted]


def as_named(
    source: Source, rows: Rows, names: Sequence[str], wanted: Sequence[str]
) -> tuple[Rows, tuple[str, ...]]:
    """Rows whose columns are called as a spec calls the channels, in its order, and how they are taken.

    Raises DiagnosticError (PG507) if not exactly one column each is called so.
    """
    help = f"name the columns as the spec does: {','.join(wanted)}; without a first row of names, they "
    order = found(source, names, wanted, f"{help}are taken in that order")
    taken = [names[index].strip() for index in order]
    notes = left_out(names, taken, "columns that the spec does not name")
    if order != sorted(order):
        notes = (*notes, f"the columns are taken by their names, as {', '.join(taken)}")
    return rows[:, order], notes


def left_out(names: Sequence[str], taken: Sequence[str], what: str) -> tuple[str, ...]:
    """The note on those of the names that are not taken, as they are `what`; none if all are."""
    rest = [name for name in names if name.strip() not in taken]
    if not rest:
        return ()
    return (f"{what} are left out ({listed(rest)}); the others are {', '.join(taken)}",)


def unindexed(values: Rows, names: Sequence[str]) -> tuple[Rows, tuple[str, ...], tuple[str, ...]]:
    """Rows and their names without a first column that has no name, and the note that says so."""
    if len(names) > 1 and is_unnamed(names[0]):
        note = "the first column has no name: it is taken for an index, and left out"
        return values[:, 1:], tuple(names[1:]), (note,)
    return values, tuple(names), ()


def too_narrow(source: Source, width: int) -> DiagnosticError:
    """The diagnostic PG503 for points of fewer than three numbers."""
    return DiagnosticError.of(
        "PG503",
        f"{source} has rows of {width} numbers, and points have at least x, y and z",
        help="give a row of three or more numbers for each point",
    )
