"""Lays out Python text the way `ruff format` does, so that emitted files need no formatter.

Only what the backend emits is covered: statements whose last bracket is split where a line is full.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from perceiver_graph.diagnostics import escape

WIDTH = 100
INDENT = "    "
_CLOSING = {"(": ")", "[": "]", "{": "}"}


@dataclass(frozen=True)
class Group:
    """`head` followed by an opening bracket, items separated by commas, and the closing bracket.

    Without a head it is a list, a dict or a tuple (of more than one item).
    """

    head: str
    items: tuple[Piece, ...]
    bracket: str = "("
    tail: str = ""
    """What follows the closing bracket."""


Piece = str | Group


@dataclass(frozen=True)
class Expr:
    """An expression. One that is no `atom` needs brackets as an operand or before a dot."""

    piece: Piece
    atom: bool = True

    @property
    def text(self) -> str:
        return flat(self.piece)

    @property
    def operand(self) -> str:
        return self.text if self.atom else f"({self.text})"


def flat(piece: Piece) -> str:
    """The piece on one line."""
    if isinstance(piece, str):
        return piece
    items = ", ".join(map(flat, piece.items))
    return f"{piece.head}{piece.bracket}{items}{_CLOSING[piece.bracket]}{piece.tail}"


def call(head: str, *items: Piece, **keywords: str) -> Group:
    """`head(items, key=value)`."""
    return Group(head, (*items, *(f"{key}={value}" for key, value in keywords.items())))


def lay_out(piece: Piece, depth: int, prefix: str = "", suffix: str = "") -> list[str]:
    """The lines of a statement `prefix piece suffix`, `depth` levels in.

    One line where it fits. Else the bracket is opened: the arguments of a call on a line of their
    own, or one line per item, each with a comma after it.
    """
    pad = INDENT * depth
    line = f"{pad}{prefix}{flat(piece)}{suffix}"
    if len(line) <= WIDTH or isinstance(piece, str) or not piece.items:
        return [line]
    first = f"{pad}{prefix}{piece.head}{piece.bracket}"
    last = f"{pad}{_CLOSING[piece.bracket]}{piece.tail}{suffix}"
    inner = pad + INDENT + ", ".join(map(flat, piece.items))
    is_call = piece.bracket == "(" and piece.head
    if is_call and len(inner) <= WIDTH:
        return [first, inner, last]
    alone = is_call and len(piece.items) == 1
    body = [line for item in piece.items for line in _item(item, depth + 1, "" if alone else ",")]
    return [first, *body, last]


def _item(item: Piece, depth: int, suffix: str) -> list[str]:
    """An item of an opened bracket; of `"key": Group(...)` the group is split."""
    return lay_out(item, depth, suffix=suffix)


def keyed(key: str, value: Piece) -> Piece:
    """An entry of a dict, or a keyword argument (with `=` at the end of the key)."""
    if isinstance(value, str):
        return key + value
    return Group(key + value.head, value.items, value.bracket, value.tail)


def docstring(text: str, depth: int) -> list[str]:
    """A docstring of one line where it fits; else the first paragraph is its summary line."""
    pad = INDENT * depth
    text = escape.docstring(text)
    line = f'{pad}"""{text}"""'
    if len(line) <= WIDTH and "\n" not in text:
        return [line]
    paragraphs = text.split("\n")
    lines: list[str] = []
    room = WIDTH - len(pad)
    if len(paragraphs) == 1:  # a single line that leaves no room for the closing quotes is broken
        room -= 3 if len(line) <= WIDTH + 3 else 0
    for paragraph in paragraphs:
        start = '"""' if not lines else ""
        wrapped = textwrap.wrap(
            start + paragraph,
            room,
            break_long_words=False,
            break_on_hyphens=False,
            subsequent_indent=" " * (len(paragraph) - len(paragraph.lstrip())),
            drop_whitespace=True,
        )
        lines += [pad + part for part in wrapped] or [""]
    return [*lines, f'{pad}"""']


def block(lines: Iterable[str], depth: int) -> list[str]:
    """Lines moved `depth` levels in; empty ones stay empty."""
    return [INDENT * depth + line if line else line for line in lines]


def comma_tuple(items: Sequence[object]) -> str:
    """`(1, 2)`, and `(1,)` for a single item."""
    inner = ", ".join(map(str, items))
    return f"({inner},)" if len(items) == 1 else f"({inner})"


def strings(names: Sequence[str]) -> Piece:
    """A tuple of strings."""
    quoted = tuple(f'"{name}"' for name in names)
    return Group("", quoted) if len(quoted) > 1 else comma_tuple(quoted) if quoted else "()"
