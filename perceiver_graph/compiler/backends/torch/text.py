"""Python as it is built, statements with what stands under them, and as it is printed.

A formatter leaves the lines as they are, whatever the length of the names in them.
"""

from __future__ import annotations

import io
import textwrap
import tokenize
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TypeAlias

from perceiver_graph.diagnostics import escape

WIDTH = 100
INDENT = "    "


class Docstring(str):
    """What a docstring says."""

    __slots__ = ()


@dataclass(frozen=True)
class Commented:
    """A statement with a comment behind it."""

    text: str
    comment: str


Statement: TypeAlias = "str | Commented | tuple[Statement, ...]"
"""A `str` is a statement, a comment or an empty line; a tuple is a header with what stands under it."""


def method(
    name: str, arguments: Iterable[str], result: str, summary: str, *body: Statement
) -> Statement:
    """A method; its arguments are those beside `self`."""
    header = f"def {name}({', '.join(['self', *arguments])}) -> {result}:"
    return (header, Docstring(summary), *body)


def spaced(methods: Iterable[Statement]) -> Iterator[Statement]:
    """Each after an empty line."""
    for found in methods:
        yield from ("", found)


def printed(statements: Iterable[Statement], depth: int = 0) -> Iterator[str]:
    """The lines of statements."""
    for found in statements:
        match found:
            case Docstring():
                yield from docstring(found, depth)
            case Commented(text, comment):
                yield from statement(text, depth, comment)
            case (header, *body):
                yield from printed([header], depth)
                yield from printed(body, depth + 1)
            case "":
                yield ""
            case str():
                yield from statement(found, depth)


def statement(text: str, depth: int, comment: str = "") -> list[str]:
    """A statement on one line, or where that is too long with what its longest bracket holds on a
    line of its own, or else one a line; the comment behind it, or else before."""
    pad = INDENT * depth
    line = f"{pad}{text}  # {comment}" if comment else pad + text
    if len(line) <= WIDTH or text.startswith("#"):
        return [line]
    before = [f"{pad}# {comment}"] if comment else []
    found = max(_brackets(text), key=lambda places: places[-1] - places[0], default=[])
    items = [text[start + 1 : end].strip() for start, end in pairwise(found)]
    if len(pad + text) <= WIDTH or not any(items):
        return [*before, pad + text]
    together = pad + INDENT + text[found[0] + 1 : found[-1]]
    if text[found[0]] == "(" and text[found[0] - 1].isidentifier() and len(together) <= WIDTH:
        inner = [together]
    else:
        comma = "" if items[1:] == [] and " for " in items[0] else ","
        inner = [line for item in items if item for line in statement(item + comma, depth + 1)]
    return [*before, pad + text[: found[0] + 1], *inner, pad + text[found[-1] :]]


def _brackets(text: str) -> list[list[int]]:
    """The brackets that stand in no others: where each opens, the commas right inside, its end."""
    found: list[list[int]] = []
    depth = 0
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type == tokenize.OP:
            depth -= token.string in ")]}"
            if depth == 0 and token.string in "([{":
                found.append([])
            if (depth == 0 and token.string in "([{)]}") or (depth == 1 and token.string == ","):
                found[-1].append(token.start[1])
            depth += token.string in "([{"
    return found


def docstring(text: str, depth: int) -> list[str]:
    """A docstring of one line where it fits, or else of lines that end before the width."""
    pad = INDENT * depth
    text = escape.docstring(text)
    if len(line := f'{pad}"""{text}"""') <= WIDTH and "\n" not in text:
        return [line]
    room = WIDTH - len(pad) - (0 if "\n" in text else 3)  # where the quotes alone do not fit
    lines: list[str] = []
    for paragraph in f'"""{text}'.split("\n"):
        lines += textwrap.wrap(paragraph, room, break_long_words=False, break_on_hyphens=False) or [
            ""
        ]
    return [*(pad + line if line else line for line in lines), f'{pad}"""']


def call(head: str, *items: object, **keywords: object) -> str:
    """`head(items, key=value)`."""
    named = (f"{key}={value}" for key, value in keywords.items())
    return f"{head}({', '.join([*map(str, items), *named])})"


def several(items: Sequence[object]) -> str:
    """A tuple: `(1, 2)`, `(1,)`."""
    return f"({', '.join(map(str, items))}{',' if len(items) == 1 else ''})"


def quoted(name: str) -> str:
    """A string, of text without quotes in it."""
    return f'"{name}"'


def strings(names: Iterable[str]) -> str:
    """A tuple of strings."""
    return several([*map(quoted, names)])


def entries(found: Mapping[str, object]) -> str:
    """A dict by names, of what is Python already."""
    return f"{{{', '.join(f'{quoted(name)}: {value}' for name, value in found.items())}}}"
