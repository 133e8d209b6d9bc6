"""The full format: message, the source lines to blame with underlines, help and notes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from perceiver_graph.diagnostics import escape
from perceiver_graph.diagnostics.model import Diagnostic, Label, Source
from perceiver_graph.diagnostics.text import Window, clean, wrapped

_COLORS = {
    "error": "1;31",
    "warning": "1;33",
    "note": "1;36",
    "help": "1;32",
    "gutter": "1;34",
    "message": "1",
}


@dataclass(frozen=True)
class Painter:
    """Wraps text in colours where they are wanted; leaves plain text alone."""

    color: bool

    def __call__(self, style: str, text: str) -> str:
        return f"\x1b[{_COLORS[style]}m{text}\x1b[0m" if self.color and text else text


def render_full(diagnostic: Diagnostic, color: bool = False, width: int | None = None) -> str:
    """One diagnostic with excerpts of its sources; ends with a line break. What would help stands before
    what else there is to know; both are wrapped at `width` columns, if it is given."""
    paint = Painter(color)
    labels = [*([diagnostic.primary] if diagnostic.primary else []), *diagnostic.secondary]
    pad = max((len(str(label.span.start_line)) for label in labels), default=1)
    head = paint(diagnostic.severity, f"{diagnostic.severity}[{diagnostic.code}]")
    lines = [head + paint("message", f": {escape.line(diagnostic.message)}")]
    for number, source in enumerate(dict.fromkeys(label.span.source for label in labels)):
        here = [label for label in labels if label.span.source == source]
        arrow = "-->" if number == 0 else ":::"
        lines.append(" " * pad + paint("gutter", arrow) + f" {escape.line(here[0].span)}")
        lines.extend(_excerpt(source, here, diagnostic, pad, paint))
    for kind, texts in (
        ("help", [diagnostic.help] if diagnostic.help else []),
        ("note", diagnostic.notes),
    ):
        for text in texts:
            lines.extend(_remark(kind, clean(text), pad, paint, width))
    return "\n".join(line.rstrip() for line in lines) + "\n"


def _excerpt(
    source: Source, labels: list[Label], diagnostic: Diagnostic, pad: int, paint: Painter
) -> Iterator[str]:
    """The labelled lines of one source from top to bottom, `...` standing for what lies between."""
    empty = " " * pad + paint("gutter", " |")
    yield empty
    previous = 0
    for number in sorted({label.span.start_line for label in labels}):
        if previous and number == previous + 2:
            yield _source_line(
                number - 1, Window.around(source.lines[number - 2], 0).text, pad, paint
            )
        elif previous and number > previous + 2:
            yield " " * pad + " ..."
        previous = number
        for window, inside in _windows(
            source.lines[number - 1], [x for x in labels if x.span.start_line == number]
        ):
            yield _source_line(number, window.text, pad, paint)
            for label in inside:
                yield f"{empty} {_underline(window, label, diagnostic, paint)}"


def _source_line(number: int, text: str, pad: int, paint: Painter) -> str:
    return f"{paint('gutter', f'{number:>{pad}} |')} {text}"


def _windows(line: str, labels: list[Label]) -> list[tuple[Window, list[Label]]]:
    """The labels of one line, shown together unless the line is so long that they do not fit one window."""
    found: list[tuple[Window, list[Label]]] = []
    for label in labels:
        index = label.span.start_col - 1
        for window, inside in found:
            if window.covers(index):
                inside.append(label)
                break
        else:
            found.append((Window.around(line, index), [label]))
    return found


def _underline(window: Window, label: Label, diagnostic: Diagnostic, paint: Painter) -> str:
    span = label.span
    is_primary = label is diagnostic.primary
    start = span.start_col - 1
    end = span.end_col - 1 if span.end_line == span.start_line else len(span.line_text)
    marks = window.underline(start, end, "^" if is_primary else "-")
    text = f"{marks} {escape.line(label.text)}" if label.text else marks
    indent = len(text) - len(text.lstrip(" "))
    return text[:indent] + paint(diagnostic.severity if is_primary else "gutter", text[indent:])


def _remark(kind: str, text: str, pad: int, paint: Painter, width: int | None) -> Iterator[str]:
    indent = pad + 3 + len(kind) + 2
    first, *rest = text.split("\n")
    begun, *more = wrapped(first, width - indent) if width else [first]
    yield " " * pad + paint("gutter", " = ") + paint(kind, kind) + f": {begun}"
    for line in (*more, *rest):
        yield " " * indent + line
