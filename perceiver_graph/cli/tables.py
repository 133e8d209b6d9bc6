"""Tables for people: aligned text that fits the width of the screen, in a pipe as on a terminal."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import zip_longest

from perceiver_graph.cli import screen
from perceiver_graph.diagnostics.text import clean

NO_BREAK = "\u00a0"
"""Between words of a cell that belong together; printed as a space."""
_GAP = "  "
_LEAST_NAME = 24
"""Characters that a column of names has at least."""
_LONGEST_WORD = 40
"""Characters of what is kept whole in a column that is meant to be narrower."""


@dataclass(frozen=True)
class Column:
    """A column of a table. Text wider than `width` is wrapped; numbers stand on the right."""

    title: str
    width: int = 0
    right: bool = False
    with_last: bool = False
    """Whether it stands beside the column before it, also where a table is cut."""


@dataclass(frozen=True)
class Table:
    """Rows under titles; every cell is text."""

    columns: Sequence[Column]
    rows: Sequence[Sequence[str]]

    def print(self) -> None:
        """Print it; titles are bold on a terminal."""
        for line, is_title in self._lines(screen.width()):
            screen.exactly(f"{screen.bold(line) if is_title else line}\n")

    def lines(self, width: int) -> Iterator[str]:
        """The table as plain text of at most so many columns, if its words and numbers allow it.

        Where it is too wide, 1. the widest columns of text are wrapped between words; 2. what is too
        wide even then is cut into several tables, each of which begins with the first column.
        """
        return (line for line, _ in self._lines(width))

    def _lines(self, width: int) -> Iterator[tuple[str, bool]]:
        for number, part in enumerate(self._parts(width)):
            if number:
                yield "", False
            yield from self._part(part, width)

    def _parts(self, width: int) -> list[list[int]]:
        """Which columns stand together: as few tables as possible, and then as equal as possible."""
        parts = self._filled(width)
        for less in range(width - 1, 0, -1):
            narrower = self._filled(less)
            if len(narrower) > len(parts):
                break
            parts = narrower
        return parts

    def _filled(self, width: int) -> list[list[int]]:
        """Columns as narrow as they can be, as many in each table as go beside the first."""
        parts: list[list[int]] = [[0]]
        for index in range(1, len(self.columns)):
            if self.columns[index].with_last and len(parts[-1]) > 1:
                parts[-1].append(index)
                continue
            group = [index]
            while group[-1] + 1 < len(self.columns) and self.columns[group[-1] + 1].with_last:
                group.append(group[-1] + 1)
            if (
                _total(self._least[each] for each in [*parts[-1], *group]) > width
                and len(parts[-1]) > 1
            ):
                parts.append([0])
            parts[-1].append(index)
        return parts

    def _part(self, part: Sequence[int], width: int) -> Iterator[tuple[str, bool]]:
        widths = {index: self._most[index] for index in part}
        while _total(widths.values()) > width:
            loose = [index for index in part if widths[index] > self._least[index]]
            if not loose:
                break
            widths[max(loose, key=lambda index: widths[index])] -= 1
        cells = [
            [column.title for column in self.columns],
            *([_clean(cell) for cell in row] for row in self.rows),
        ]
        for number, row in enumerate(cells):
            folded = [_fold(row[index], widths[index]) for index in part]
            for texts in zip_longest(*folded, fillvalue=""):
                aligned = (
                    text.rjust(widths[index])
                    if self.columns[index].right
                    else text.ljust(widths[index])
                    for index, text in zip(part, texts, strict=True)
                )
                yield _GAP.join(aligned).rstrip().replace(NO_BREAK, " "), number == 0

    @cached_property
    def _texts(self) -> list[list[str]]:
        """The texts of each column, its title first. As the widths below, worked out once a table: each
        is asked for again and again while columns are laid out."""
        return [
            [column.title, *(_clean(row[index]) for row in self.rows)]
            for index, column in enumerate(self.columns)
        ]

    @cached_property
    def _most(self) -> list[int]:
        """The width of each column where there is room."""
        return [
            _wanted(column, texts) for column, texts in zip(self.columns, self._texts, strict=True)
        ]

    @cached_property
    def _least(self) -> list[int]:
        """The least width of each: names and numbers are whole, other text breaks between words."""
        return [self._narrowest(index) for index in range(len(self.columns))]

    def _narrowest(self, index: int) -> int:
        column, texts = self.columns[index], self._texts[index]
        if column.right or (index == 0 and not column.width):
            return self._most[index]
        if index == 0:  # names that break at their dots, if they must
            pieces = (piece for text in texts for piece in re.split(r"[ \n.]", text))
            return min(self._most[0], max(_LEAST_NAME, *map(len, pieces)))
        return min(self._most[index], max(map(_longest, texts)))


def _wanted(column: Column, texts: Sequence[str]) -> int:
    wanted = column.width
    if wanted:
        longest = max(_longest(text.replace(NO_BREAK, " ")) for text in texts)
        wanted = max(wanted, min(_LONGEST_WORD, longest))
    return max(len(line) for text in texts for line in _fold(text, wanted))


def _clean(cell: str) -> str:
    """What is no text is shown, and steers nothing."""
    return NO_BREAK.join(map(clean, cell.split(NO_BREAK)))


def _total(widths: Iterable[int]) -> int:
    found = list(widths)
    return sum(found) + len(_GAP) * (len(found) - 1)


def _longest(text: str) -> int:
    return max(map(len, re.split("[ \n]", text)))


def _fold(text: str, width: int) -> list[str]:
    lines = text.splitlines() or [""]
    if not width:
        return lines
    return [
        part
        for line in lines
        for part in textwrap.wrap(_loosened(line, width), width, break_on_hyphens=False) or [""]
    ]


def _loosened(line: str, width: int) -> str:
    """Words that belong together are parted, between words, where they do not fit together; names at
    their dots."""
    return " ".join(
        word if len(word) <= width else _at_dots(word.replace(NO_BREAK, " "), width)
        for word in line.split(" ")
    )


def _at_dots(name: str, width: int) -> str:
    """A long name as pieces, each as long as fits."""
    found = [""]
    for piece in re.findall(r"[^.]*\.?", name):
        found = (
            [*found[:-1], found[-1] + piece] if len(found[-1] + piece) < width else [*found, piece]
        )
    return " ".join(filter(None, found))
