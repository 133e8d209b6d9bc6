"""What a diagnostic is: a code, one sentence, the places to blame, and what would work.

Every problem a user can cause travels as a `DiagnosticError` holding one or more `Diagnostic`s; how
they look is the renderers' business (render.py), what a code means is the catalogue's (catalog.py).
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal, TypedDict

from perceiver_graph.diagnostics.catalog import CATALOG
from perceiver_graph.diagnostics.text import singular

Severity = Literal["error", "warning", "note"]

_LINE_BREAK = re.compile(r"\r\n|\r|\n")


@dataclass(frozen=True)
class Source:
    """A text that spans point into: a file, or a command-line value such as `--set a.b=1`.

    Equal sources compare by path and text; both strings cache their hash, so spans stay cheap to
    compare.
    """

    path: str
    text: str = field(repr=False)

    @cached_property
    def lines(self) -> tuple[str, ...]:
        """The lines without their line ends; an empty text has one empty line."""
        return tuple(_LINE_BREAK.split(self.text))

    @cached_property
    def _starts(self) -> tuple[int, ...]:
        return (0, *(match.end() for match in _LINE_BREAK.finditer(self.text)))

    def position(self, index: int) -> tuple[int, int]:
        """The 1-based (line, column) of a character offset; offsets outside the text are clamped."""
        index = min(max(index, 0), len(self.text))
        line = bisect_right(self._starts, index)
        column = index - self._starts[line - 1] + 1
        return line, min(column, len(self.lines[line - 1]) + 1)

    def span(self, start: int, end: int) -> Span:
        """The span of the characters `start` up to, not including, `end`."""
        return Span(self, *self.position(start), *self.position(max(start, end)))


@dataclass(frozen=True)
class Span:
    """A stretch of a source. Lines and columns count from 1; the end column is one past the last
    character."""

    source: Source
    start_line: int
    start_col: int
    end_line: int
    end_col: int

    def __str__(self) -> str:
        return f"{self.source.path}:{self.start_line}:{self.start_col}"

    @property
    def line_text(self) -> str:
        """The source line on which the span starts."""
        return self.source.lines[self.start_line - 1]

    @property
    def text(self) -> str:
        """The spanned text, or the part of it on the first line."""
        end = self.end_col - 1 if self.end_line == self.start_line else None
        return self.line_text[self.start_col - 1 : end]

    @property
    def is_empty(self) -> bool:
        """Whether the span is a point between two characters."""
        return (self.start_line, self.start_col) == (self.end_line, self.end_col)

    @property
    def order(self) -> tuple[str, int, int]:
        """A sort key: by file, then from top to bottom."""
        return self.source.path, self.start_line, self.start_col


@dataclass(frozen=True)
class Label:
    """A span with a few words about it, printed beside its underline (the text may be empty)."""

    span: Span
    text: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "text", singular(self.text))


@dataclass(frozen=True)
class Diagnostic:
    """One problem. `message` alone must make sense: formats with little room print nothing else.

    `notes` are facts (the bindings known so far), `help` is what would work. Raises KeyError for a
    code that the catalogue does not list, so that no message can be printed that `explain` knows
    nothing about.
    """

    code: str
    message: str
    primary: Label | None = None
    secondary: tuple[Label, ...] = ()
    notes: tuple[str, ...] = ()
    help: str | None = None
    severity: Severity = "error"

    def __post_init__(self) -> None:
        # One of a thing is no plural, whatever the number that a message was made with.
        object.__setattr__(self, "message", singular(self.message))
        object.__setattr__(self, "notes", tuple(map(singular, self.notes)))
        object.__setattr__(self, "help", self.help and singular(self.help))
        if self.code not in CATALOG:
            raise KeyError(f"diagnostic code {self.code!r} is not in the catalogue")


class Details(TypedDict, total=False):
    """What else a diagnostic says, as `make` takes it."""

    label: str
    secondary: Sequence[Label]
    notes: Sequence[str]
    help: str | None


def make(
    code: str,
    message: str,
    span: Span | None = None,
    *,
    label: str = "",
    secondary: Sequence[Label] = (),
    notes: Sequence[str] = (),
    help: str | None = None,
    severity: Severity = "error",
) -> Diagnostic:
    """Build a `Diagnostic` from a bare span and the text of its label."""
    primary = Label(span, label) if span is not None else None
    return Diagnostic(code, message, primary, tuple(secondary), tuple(notes), help, severity)
