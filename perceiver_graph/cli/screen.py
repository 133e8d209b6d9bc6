"""What goes to the terminal: numbers for people, headings, and progress where somebody is watching.

Nothing but weight of type and progress differs between a terminal and a pipe. Whatever a name, a path
or a summary holds, it is shown and steers nothing: commands print through this module alone.
"""

from __future__ import annotations

import os
import shutil
import sys
import textwrap
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, TextIO

from perceiver_graph.cli import streams
from perceiver_graph.diagnostics import escape
from perceiver_graph.diagnostics.text import clean

_WIDEST, _NARROWEST, _IN_A_PIPE = 100, 40, 80
_UNITS = ("bytes", "kB", "MB", "GB", "TB")
_PREFIXES = ("", "k", "M", "G", "T", "P")
_GAP = "  "
_BLOCKS = "\u258f\u258e\u258d\u258c\u258b\u258a\u2589\u2588"
"""An eighth of a column, two eighths, .. a whole one."""


def on_terminal() -> bool:
    """Whether a person watches the output."""
    return sys.stdout.isatty()


def styled(stream: TextIO | None = None) -> bool:
    """Whether escape sequences may style the text: on a terminal that knows them, unless NO_COLOR is set.

    See no-color.org: any value but an empty one counts.
    """
    stream = sys.stdout if stream is None else stream
    return stream.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def bold(text: str) -> str:
    """The text in bold where it may be styled."""
    return f"\x1b[1m{text}\x1b[0m" if text and styled() else text


def width() -> int:
    """The columns that text may fill: those of the terminal or of COLUMNS, and 80 in a pipe."""
    columns = shutil.get_terminal_size((_IN_A_PIPE, 24)).columns
    return max(_NARROWEST, min(_WIDEST, columns))


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


def stripe(part: float, columns: int) -> str:
    """A bar whose length is this part of so many columns, to an eighth of one; nothing is too small to
    be seen. Where the output cannot show blocks, whole columns of `#`."""
    eighths = max(1, round(8 * columns * min(part, 1))) if part > 0 else 0
    whole, rest = divmod(eighths, 8)
    text = _BLOCKS[-1] * whole + (_BLOCKS[rest - 1] if rest else "")
    try:
        text.encode(sys.stdout.encoding or "utf-8")
    except UnicodeEncodeError:
        return "#" * max(round(eighths / 8), min(eighths, 1))
    return text


def heading(text: str, rest: str = "") -> None:
    """A line that begins a section; bold on a terminal."""
    print(f"{bold(escape.line(text))}{escape.line(_GAP + rest if rest else '')}")


def paragraph(text: str) -> None:
    """Print running text, wrapped."""
    lines(textwrap.wrap(clean(text), width()))


def say(text: object = "") -> None:
    """Print one line of plain text, whatever is in it."""
    print(escape.line(text))


def exactly(text: str) -> None:
    """Print what is for programs, or has been made harmless already, as it is."""
    print(text, end="")


@contextmanager
def running_text() -> Iterator[Callable[[str], None]]:
    """A function that prints a part of a text at once. A pipe gets the text as it is; on a terminal it
    steers nothing, and a line that was begun is ended."""
    column = 0

    def show(text: str) -> None:
        nonlocal column
        if on_terminal():
            text = "\t".join(map(clean, text.split("\t")))
        print(text, end="", flush=True)
        column = len(text.rpartition("\n")[2]) + (0 if "\n" in text else column)

    try:
        yield show
    finally:
        if column and on_terminal():
            print(flush=True)


def lines(text: Iterable[str]) -> None:
    """Print lines of plain text."""
    for line in text:
        say(line)


def rows(pairs: Iterable[tuple[str, str]]) -> None:
    """Print names, and in a column beside them what there is to say of each."""
    pairs = list(pairs)
    widest = max((len(name) for name, _ in pairs), default=0)
    lines(f"  {name.ljust(widest)}  {text}" for name, text in pairs)


def arrays(found: Mapping[str, Any]) -> None:
    """Print the names of arrays with what they are."""
    rows((name, f"{array.dtype} {list(array.shape)}") for name, array in found.items())


def notes(texts: Iterable[str]) -> None:
    """What a user should know of a run that went well; on stderr, results being on stdout."""
    for text in texts:
        streams.say(f"note: {escape.line(text)}\n")


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
