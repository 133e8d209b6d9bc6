"""How what is read is named for its input, as who is told writes it: in a command, or in Python."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from perceiver_graph.diagnostics import escape
from perceiver_graph.diagnostics.commands import either, option


def as_given(*words: str) -> str:
    """`INPUT=VALUE` of each word as it is given: `left=a.png`, or `program.read(left="a.png")`."""
    values: dict[str, list[str]] = {}
    for name, _, value in (word.partition("=") for word in words):
        values.setdefault(name, []).append(value)
    return either(option(*words), read_by(values))


def read_by(values: Mapping[str, Sequence[str]]) -> str:
    """The call of Python that reads these for the inputs by name."""
    each = {name: [*map(in_python, given)] for name, given in values.items()}
    written = {n: v[0] if len(v) == 1 else f"[{', '.join(v)}]" for n, v in each.items()}
    given = (f"{n}={v}" if n.isidentifier() else f"**{{{n!r}: {v}}}" for n, v in written.items())
    return f"`program.read({', '.join(given)})`"


def in_python(text: str) -> str:
    """A text as Python has it."""
    return escape.json(text, indent=None, as_it_is=True, end="")
