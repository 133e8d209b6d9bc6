"""What goes to the terminal: numbers for people, tables, and progress where somebody is watching.

rich is loaded on a terminal only; in a pipe the same rows come as aligned plain text. Whatever a name,
a path or a summary holds, it is shown and steers nothing: commands print through this module alone.
"""

from __future__ import annotations

import sys
import textwrap
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import zip_longest

from perceiver_graph.diagnostics import escape
from perceiver_graph.diagnostics.text import clean

WIDTH = 100
_UNITS = ("bytes", "kB", "MB", "GB", "TB")
_PREFIXES = ("", "k", "M", "G", "T", "P")
_GAP = "  "


def on_terminal() -> bool:
    """Whether a person watches the output."""
    return sys.stdout.isatty()


def count(value: int | str) -> str:
    """A number with thousands separators; a symbolic size as its expression."""
    return f"{value:,}" if isinstance(value, int) else value


def size(number: int) -> str:
    """Bytes in decimal units: 452 MB."""
    return _scaled(number, _UNITS)


def scaled(number: int) -> str:
    """A count of operations: 252 G."""
    return _scaled(number, _PREFIXES).rstrip()


def _scaled(number: float, units: Sequence[str]) -> str:
    """Three digits and the unit; each unit is a thousand of the one before."""
    index = 0
    while number >= 999.5 and index < len(units) - 1:
        number, index = number / 1000, index + 1
    return f"{number:.0f} {units[index]}" if number >= 99.5 else f"{number:.3g} {units[index]}"


@dataclass(frozen=True)
class Column:
    """A column of a table. Text wider than `width` is wrapped; numbers stand on the right."""

    title: str
    width: int = 0
    right: bool = False


@dataclass(frozen=True)
class Table:
    """Rows under titles; every cell is text."""

    columns: Sequence[Column]
    rows: Sequence[Sequence[str]]

    def print(self) -> None:
        """Print it, in colour on a terminal."""
        if on_terminal():
            self._print_rich()
        else:
            lines(self.lines())

    def lines(self) -> Iterator[str]:
        """The table as plain text."""
        cells = [[column.title for column in self.columns], *map(_cleaned, self.rows)]
        folded = [
            [_fold(c, text) for c, text in zip(self.columns, row, strict=True)] for row in cells
        ]
        widths = [
            max(len(line) for row in folded for line in row[i]) for i in range(len(self.columns))
        ]
        for row in folded:
            for parts in zip_longest(*row, fillvalue=""):
                aligned = (
                    part.rjust(width) if column.right else part.ljust(width)
                    for part, width, column in zip(parts, widths, self.columns, strict=True)
                )
                yield _GAP.join(aligned).rstrip()

    def _print_rich(self) -> None:
        from rich.console import Console
        from rich.table import Table as RichTable
        from rich.text import Text

        table = RichTable(
            box=None, pad_edge=False, padding=(0, len(_GAP), 0, 0), header_style="bold"
        )
        for column in self.columns:
            table.add_column(
                Text(column.title),
                justify="right" if column.right else "left",
                max_width=column.width or None,
            )
        for row in self.rows:
            table.add_row(*(Text(cell) for cell in _cleaned(row)))
        console = Console()
        console.print(table, width=min(WIDTH, console.width))


def _cleaned(row: Sequence[str]) -> list[str]:
    """Cells may have several lines, which `_fold` tells apart."""
    return [clean(cell) for cell in row]


def _fold(column: Column, text: str) -> list[str]:
    lines = text.splitlines() or [""]
    if not column.width:
        return lines
    return [part for line in lines for part in textwrap.wrap(line, column.width) or [""]]


def heading(text: str, rest: str = "") -> None:
    """A line that begins a section; bold on a terminal."""
    bold, plain = ("\x1b[1m", "\x1b[0m") if on_terminal() else ("", "")
    print(f"{bold}{escape.line(text)}{plain}{escape.line(_GAP + rest if rest else '')}")


def paragraph(text: str) -> None:
    """Print running text, wrapped."""
    lines(textwrap.wrap(clean(text), WIDTH))


def say(text: object = "") -> None:
    """Print one line of plain text, whatever is in it."""
    print(escape.line(text))


def exactly(text: str) -> None:
    """Print what is for programs, or has been made harmless already, as it is."""
    print(text, end="")


def lines(text: Iterable[str]) -> None:
    """Print lines of plain text."""
    for line in text:
        say(line)


def notes(texts: Iterable[str]) -> None:
    """What a user should know of a run that went well; on stderr, results being on stdout."""
    for text in texts:
        print(f"note: {escape.line(text)}", file=sys.stderr)


def next_step(*commands: str) -> None:
    """What to do next, for a person; a program that reads the output does not need it."""
    if on_terminal():
        say()
        for command in commands:
            say(f"next: {command}")


@contextmanager
def progress() -> Iterator[Callable[[str], None]]:
    """A function that says what begins now: a spinner on a terminal, nothing elsewhere."""
    if not sys.stderr.isatty():
        yield lambda _: None
        return
    from rich.console import Console
    from rich.text import Text

    with Console(stderr=True).status(Text("checking")) as status:
        yield lambda text: status.update(Text(escape.line(text)))


@contextmanager
def bar(title: str) -> Iterator[Callable[..., None]]:
    """A function that takes what is done, the total or None, and what it is about.

    It moves a progress bar on a terminal, and does nothing elsewhere.
    """
    if not sys.stderr.isatty():
        yield lambda done, total, about="": None
        return
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        Progress,
        TaskProgressColumn,
        TextColumn,
        TimeRemainingColumn,
    )

    # A name may hold what rich takes for mark-up: the description is plain text.
    about = TextColumn("{task.description}", markup=False)
    columns = about, BarColumn(), TaskProgressColumn(), TimeRemainingColumn()
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task(title, total=None)

        def advance(done: float, total: float | None, about: str = "") -> None:
            description = escape.line(f"{title} {about}".rstrip())
            progress.update(task, completed=done, total=total, description=description)

        yield advance
