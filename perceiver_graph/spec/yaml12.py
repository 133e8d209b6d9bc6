"""YAML text to plain data and the spans of everything in it: YAML 1.2, core schema, nothing
executable.

PyYAML's scanner and parser deliver events; this file turns them into data. Working from events
keeps every limit (nesting, number of values, aliases) in one place and applies it before anything
is built.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import Any

import yaml
from yaml.parser import Parser
from yaml.reader import Reader
from yaml.scanner import Scanner

from perceiver_graph import limits
from perceiver_graph.diagnostics.commands import command
from perceiver_graph.diagnostics.errors import DiagnosticError, Report
from perceiver_graph.diagnostics.model import Label, Source
from perceiver_graph.diagnostics.text import quote
from perceiver_graph.spec.lone_numbers import instead_of_a_number
from perceiver_graph.spec.marks import Marks
from perceiver_graph.spec.scalars import NumberTooLargeError, resolve
from perceiver_graph.spec.spans import SpanNode, SpanTree
from perceiver_graph.spec.yaml_errors import syntax_error

# What YAML does not allow, and the line separators that YAML 1.1 and 1.2 (and editors) disagree
# about.
_FORBIDDEN = re.compile(
    "[^\t\n\r\x20-\x7e\xa0-\u2027\u202a-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]|(?<!^)\ufeff"
)
_SURROGATE = re.compile("[\ud800-\udfff]")


def parse_yaml(source: Source, start: int = 0) -> tuple[Any, SpanTree]:
    """The data of a YAML text, made of dict, list, str, int, float, bool and None, and where it
    stands.

    The text is read from the character `start` on, as if blanks were before it.

    Raises DiagnosticError (PG003 to PG014, PG105) with everything that is wrong with the text.
    """
    text = source.text
    if (
        len(text) > limits.SPEC_BYTES
        or len(text.encode("utf-8", "surrogatepass")) > limits.SPEC_BYTES
    ):
        raise too_large(source.path)
    if found := _FORBIDDEN.search(text):
        raise DiagnosticError.of(
            "PG003",
            f"character U+{ord(found[0]):04X} is not allowed in YAML",
            source.span(found.start(), found.end()),
            label="not allowed",
            help='inside double quotes it can be written as an escape, for example "\\u0000"',
        )
    return _Builder(source, start).document()


def too_large(path: str) -> DiagnosticError:
    """The error for a text over the limit, here for the code that reads files."""
    return DiagnosticError.of(
        "PG005",
        f"{quote(path, 400)} is larger than {limits.SPEC_BYTES:,} bytes",
        help="a spec is a few kilobytes of YAML; weights and data are given separately",
    )


class _Events(Reader, Scanner, Parser):
    """PyYAML's event stream without its resolver and constructor, which follow YAML 1.1."""

    def __init__(self, text: str) -> None:
        Reader.__init__(self, text)
        Scanner.__init__(self)
        Parser.__init__(self)


@dataclass(frozen=True)
class _Built:
    """A finished value, its spans, and how many values it stands for with aliases written out."""

    data: Any
    node: SpanNode
    size: int


class _Builder:
    """Turns the events of one source into data; problems that leave the rest readable are collected."""

    def __init__(self, source: Source, start: int) -> None:
        self.source = source
        self.marks = Marks(source)
        self.report = Report()
        self.events = _Events(" " * start + source.text[start:])
        self.anchors: dict[str, _Built | None] = {}  # None while the anchored value is being read
        self.values = 0

    def document(self) -> tuple[Any, SpanTree]:
        """The only document of the source."""
        try:
            built = self._document()
        except yaml.MarkedYAMLError as error:
            self.report.add(syntax_error(self.source, error))
        except (ValueError, OverflowError):  # an escape or a directive with an absurd number
            span = self.marks.at(self.events.get_mark().index)
            self.report.error("PG006", "number in an escape or a directive is out of range", span)
        except DiagnosticError as error:
            self.report.extend(error.diagnostics)
        self.report.raise_if_errors()
        return built.data, SpanTree(built.node)

    def _document(self) -> _Built:
        self._next()  # the start of the stream
        start = self._next()
        if isinstance(start, yaml.StreamEndEvent):
            raise self._empty()
        built = self._value(self._next(), 1)
        if built.data is None and built.node.value.is_empty:
            raise self._empty()
        self._next()  # the end of the document
        after = self._next()
        if not isinstance(after, yaml.StreamEndEvent):
            self.report.error(
                "PG012",
                "a second document starts here",
                self.marks.event(after),
                help="keep one spec in a file: move what follows to another",
            )
        return built

    def _empty(self) -> DiagnosticError:
        return DiagnosticError.of(
            "PG004",
            f"{quote(self.source.path, 400)} is empty",
            help=f"{command('new', 'NAME')} writes a spec to start from",
        )

    def _next(self) -> yaml.Event:
        event: yaml.Event = self.events.get_event()  # type: ignore[no-untyped-call]
        return event

    def _value(self, event: yaml.Event, depth: int) -> _Built:
        """Read the value that begins with `event`, inside `depth - 1` lists and mappings."""
        if isinstance(event, yaml.AliasEvent):
            return self._alias(event)
        if not isinstance(event, yaml.ScalarEvent | yaml.CollectionStartEvent):
            raise TypeError(f"a value cannot begin with {event!r}")
        self._count(1, event)
        if event.tag is not None:
            span = self.marks.tag(event)
            self.report.error(
                "PG008",
                f"tag {quote(span.text)} is not allowed",
                span,
                help="write the plain value without a tag",
            )
        if event.anchor is not None:
            self.anchors[event.anchor] = None
        if isinstance(event, yaml.ScalarEvent):
            built = self._scalar(event)
        elif depth > limits.SPEC_DEPTH:
            raise DiagnosticError.of(
                "PG010",
                f"lists and mappings are nested more than {limits.SPEC_DEPTH} levels deep",
                self.marks.event(event),
            )
        elif isinstance(event, yaml.SequenceStartEvent):
            built = self._list(event, depth)
        else:
            built = self._mapping(event, depth)
        if event.anchor is not None:
            self.anchors[event.anchor] = built
        return built

    def _count(self, number: int, event: yaml.Event) -> None:
        self.values += number
        if self.values > limits.SPEC_VALUES:
            raise DiagnosticError.of(
                "PG011",
                f"the document has more than {limits.SPEC_VALUES:,} values when aliases are written out",
                self.marks.event(event),
            )

    def _alias(self, event: yaml.AliasEvent) -> _Built:
        span = self.marks.event(event)
        name = event.anchor or ""
        if name not in self.anchors:
            raise DiagnosticError.of(
                "PG006",
                f"alias {quote('*' + name)} has no anchor",
                span,
                label=f"no {quote('&' + name)} before this",
                help="put text that begins with `*` in quotes",
            )
        built = self.anchors[name]
        if built is None:
            raise DiagnosticError.of(
                "PG014", f"alias {quote('*' + name)} stands inside its own value", span
            )
        self._count(built.size, event)
        return replace(built, node=replace(built.node, value=span, key=None))

    def _scalar(self, event: yaml.ScalarEvent) -> _Built:
        span = self.marks.event(event)
        data: Any = event.value
        if event.implicit[0]:  # plain, not quoted
            try:
                data = resolve(event.value)
            except NumberTooLargeError:
                message = "number is too large to be represented"
                self.report.error("PG105", message, span, label="too large")
        elif _SURROGATE.search(data):
            data = _joined_surrogates(data)
            if _SURROGATE.search(data):
                self.report.error(
                    "PG006",
                    "an escape in this text is half of a surrogate pair, not a character",
                    span,
                )
        return _Built(data, SpanNode(span), 1)

    def _list(self, start: yaml.SequenceStartEvent, depth: int) -> _Built:
        items: list[_Built] = []
        while not isinstance(event := self._next(), yaml.SequenceEndEvent):
            items.append(self._value(event, depth + 1))
        span = self.marks.collection(start, event, [item.node for item in items])
        node = SpanNode(span, children={index: item.node for index, item in enumerate(items)})
        return _Built([item.data for item in items], node, 1 + sum(item.size for item in items))

    def _mapping(self, start: yaml.CollectionStartEvent, depth: int) -> _Built:
        data: dict[str, Any] = {}
        children: dict[str | int, SpanNode] = {}
        parts: list[SpanNode] = []
        size = 1
        while not isinstance(event := self._next(), yaml.MappingEndEvent):
            key = self._value(event, depth + 1)
            value = self._value(self._next(), depth + 1)
            size += key.size + value.size
            parts += [key.node, value.node]
            if self._is_good_key(event, key, children):
                data[key.data] = value.data
                children[key.data] = replace(value.node, key=key.node.value)
        node = SpanNode(self.marks.collection(start, event, parts), children=children)
        return _Built(data, node, size)

    def _is_good_key(
        self, event: yaml.Event, key: _Built, earlier: dict[str | int, SpanNode]
    ) -> bool:
        span = key.node.value
        if isinstance(event, yaml.AliasEvent) or not isinstance(key.data, str):
            quotable = isinstance(event, yaml.ScalarEvent) and span.text
            self.report.error(
                "PG013",
                "a key must be text",
                span,
                label="this is an alias" if isinstance(event, yaml.AliasEvent) else _kind(key.data),
                help=instead_of_a_number(span)
                or (f'put it in quotes: "{span.text}"' if quotable else None),
            )
        elif key.data == "<<" and isinstance(event, yaml.ScalarEvent) and event.implicit[0]:
            self.report.error(
                "PG009",
                "merge keys are not part of YAML 1.2",
                span,
                help="write the keys out, or use an alias for the whole value",
            )
        elif key.data in earlier:
            first = earlier[key.data].key
            self.report.error(
                "PG007",
                f"key {quote(key.data)} is given twice",
                span,
                label="given again here",
                secondary=[Label(first, "first given here")] if first else [],
                help="remove one of the two",
            )
        else:
            return True
        return False


def _joined_surrogates(text: str) -> str:
    """JSON writes a character beyond U+FFFF as two escapes."""
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "surrogatepass")


def _kind(data: Any) -> str:
    if data is None:
        return "this is null or empty"
    names = {bool: "true or false", list: "a list", dict: "a mapping"}
    return f"this is {names.get(type(data), 'a number')}"
