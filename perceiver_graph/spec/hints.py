"""Pieces of advice that several kinds of errors about a spec give."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from perceiver_graph.diagnostics.model import Diagnostic, Label, Span, make
from perceiver_graph.diagnostics.text import quote
from perceiver_graph.spec.absent import Absent
from perceiver_graph.spec.grammar import Schema
from perceiver_graph.spec.spans import Path

_NOTHING = {"none", "no", "null", "false", "off"}


def left_out(value: Any, path: Path, parent: Schema | None) -> str | None:
    """What to do instead of `position: none`."""
    if parent is None or not path or str(value).casefold() not in _NOTHING:
        return None
    optional = path[-1] in parent.keys and path[-1] not in parent.required
    return f"leave {quote(path[-1])} out" if optional else None


def forms_of(schema: Schema | None) -> str:
    """The alternatives as they are written: `{mean: ...}`, `latents`."""
    names = schema.alternatives if schema else ()
    words = schema.words if schema else ()
    return ", ".join(f"`{name}`" if name in words else f"`{{{name}: ...}}`" for name in names)


def not_there(word: str, entry: Absent, span: Span) -> Diagnostic:
    """PG111 for a word that the language does not have."""
    yet = " (yet)" if entry.yet else ""
    message = f"{quote(word)} is not in the language{yet}: {entry.what}"
    return make("PG111", message, span, help=entry.instead)


def once(diagnostics: Iterable[Diagnostic]) -> Iterable[Diagnostic]:
    """The diagnostics with those that say the same of several places made one."""
    groups: dict[object, list[Diagnostic]] = {}
    for one in diagnostics:
        same = (one.code, one.message) if one.code == "PG111" else id(one)
        groups.setdefault(same, []).append(one)
    for first, *others in groups.values():
        places = (Label(one.primary.span, "here, too") for one in others if one.primary)
        yield replace(first, secondary=(*first.secondary, *places))
