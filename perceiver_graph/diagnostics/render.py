"""Diagnostics as text, in the format that the reader asks for: a person, a log, a program, or a
code review."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Any, Literal, get_args

from perceiver_graph.diagnostics import escape
from perceiver_graph.diagnostics.full import render_full
from perceiver_graph.diagnostics.model import Diagnostic, Span
from perceiver_graph.diagnostics.text import clean

Format = Literal["full", "concise", "json", "github"]
_LONG = 60
FORMATS: tuple[Format, ...] = get_args(Format)


def render(
    diagnostics: Iterable[Diagnostic],
    format: Format = "full",
    color: bool = False,
    width: int | None = None,
) -> str:
    """All diagnostics in one text that ends with a line break, or "" (json: "[]") if there are
    none.

    `full` shows source excerpts and ends with a count, `concise` takes a line each, `json` is an
    array of objects and `github` prints workflow commands, which become annotations of a pull
    request. Only `full` uses colour, and a `width` that text is wrapped at; without colour, everything
    that is not the user's own text is ASCII.
    """
    found = tuple(diagnostics)
    if format == "json":
        return escape.json([_as_json(d) for d in found])
    if format == "github":
        return "".join(_as_github(d) + "\n" for d in found)
    if format == "concise":
        return "".join(_as_line(d) + "\n" for d in found)
    if not found:
        return ""
    shown = (render_full(d, color, width) for d in _told_once(found))
    return "\n".join([*shown, summary(found) + "\n"])


def _told_once(diagnostics: Iterable[Diagnostic]) -> Iterator[Diagnostic]:
    """The diagnostics without long notes that stand on the screen already, as the keys that are known."""
    told: set[str] = set()
    for one in diagnostics:
        notes = tuple(note for note in one.notes if note not in told)
        told.update(note for note in one.notes if len(note) > _LONG)
        yield replace(one, notes=notes)


def summary(diagnostics: Sequence[Diagnostic]) -> str:
    """How many there are of each severity: `2 errors, 1 warning`."""
    counts = [(sum(d.severity == s for d in diagnostics), s) for s in ("error", "warning", "note")]
    return ", ".join(f"{n} {s}{'' if n == 1 else 's'}" for n, s in counts if n)


def _as_line(diagnostic: Diagnostic) -> str:
    place = f"{diagnostic.primary.span}: " if diagnostic.primary else ""
    text = f"{place}{diagnostic.severity}[{diagnostic.code}]: {diagnostic.message}"
    return clean(text).replace("\n", " ")


def _as_json(diagnostic: Diagnostic) -> dict[str, Any]:
    return {
        "code": diagnostic.code,
        "severity": diagnostic.severity,
        "message": diagnostic.message,
        "location": _location(diagnostic.primary.span) if diagnostic.primary else None,
        "label": diagnostic.primary.text if diagnostic.primary else "",
        "secondary": [
            {"location": _location(x.span), "label": x.text} for x in diagnostic.secondary
        ],
        "notes": list(diagnostic.notes),
        "help": diagnostic.help,
    }


def _location(span: Span) -> dict[str, Any]:
    return {
        "path": span.source.path,
        "start": {"line": span.start_line, "column": span.start_col},
        "end": {"line": span.end_line, "column": span.end_col},
    }


def _as_github(diagnostic: Diagnostic) -> str:
    """A workflow command; only the message is shown there, so notes and help become part of it."""
    command = "notice" if diagnostic.severity == "note" else diagnostic.severity
    fields = {"title": f"{diagnostic.code}"}
    if diagnostic.primary:
        span = diagnostic.primary.span
        fields |= {
            "file": span.source.path,
            "line": str(span.start_line),
            "endLine": str(span.end_line),
        }
        if span.start_line == span.end_line:  # columns are refused for annotations of several lines
            fields |= {
                "col": str(span.start_col),
                "endColumn": str(max(span.start_col, span.end_col - 1)),
            }
    parts = [diagnostic.message, *diagnostic.notes, *([diagnostic.help] if diagnostic.help else [])]
    properties = ",".join(f"{key}={_escape(value, ':,')}" for key, value in fields.items())
    return f"::{command} {properties}::{_escape(chr(10).join(parts))}"


def _escape(text: str, more: str = "") -> str:
    for char in "%\r\n" + more:
        text = text.replace(char, f"%{ord(char):02X}")
    return clean(text)
