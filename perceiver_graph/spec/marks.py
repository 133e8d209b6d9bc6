"""From the parser's marks to spans that cover what a reader would underline, and no blanks after it."""

from __future__ import annotations

import re
from collections.abc import Sequence

import yaml

from perceiver_graph.diagnostics.model import Source, Span
from perceiver_graph.spec.spans import SpanNode

_TAG = re.compile(r"(?:&\S+\s+)?(![^\s,\[\]{}]*)")
_PROPERTIES = re.compile(r"(?:[&!]\S*(?:\s+|$))*")  # the anchor and the tag before a value


class Marks:
    """Spans of the events of one source."""

    def __init__(self, source: Source) -> None:
        self.source = source

    def at(self, index: int) -> Span:
        """A single character."""
        return self.source.span(index, index + 1)

    def event(self, event: yaml.Event) -> Span:
        """A scalar, an alias or a document marker."""
        start, end = _start(event), _end(event)
        if isinstance(event, yaml.ScalarEvent) and (event.anchor or event.tag):
            properties = _PROPERTIES.match(self.source.text, start, end)
            start = properties.end() if properties else start
        return self.source.span(start, start + len(self.source.text[start:end].rstrip()))

    def tag(self, event: yaml.Event) -> Span:
        """The tag before a value."""
        found = _TAG.match(self.source.text, _start(event))
        return self.source.span(*found.span(1)) if found else self.at(_start(event))

    def collection(
        self, start: yaml.CollectionStartEvent, end: yaml.Event, parts: Sequence[SpanNode]
    ) -> Span:
        """From bracket to bracket; in block style, where the end mark is far off, to the last part's end."""
        if start.flow_style or not parts:
            return self.source.span(_start(start), _end(end))
        last = parts[-1].value
        return Span(self.source, *self.source.position(_start(start)), last.end_line, last.end_col)


def _start(event: yaml.Event) -> int:
    return event.start_mark.index if event.start_mark else 0


def _end(event: yaml.Event) -> int:
    return event.end_mark.index if event.end_mark else 0
