"""Whatever is given to the loader, it answers with a document or with diagnostics that can be printed."""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from perceiver_graph.diagnostics import FORMATS, Diagnostic, DiagnosticError, Span, render
from perceiver_graph.spec import Document, parse_spec
from tests.support import spans_of
from tests.test_loader import TEXT

DATA: dict[str, Any] = {
    "perceiver": 1,
    "name": "example",
    "inputs": {
        "image": {
            "shape": {"height": 224, "width": 224, "channel": 3},
            "steps": [{"patch": {"height": 4, "width": 4}}, {"linear": 64}],
            "position": {"fourier": {"bands": 64}},
        }
    },
    "latents": {"count": 512, "width": 1024},
    "process": {"layers": 6},
    "outputs": {"label": {"query": {"learned": {"width": 1024}}, "head": {"linear": 1000}}},
}


def check(text: str, overrides: tuple[str, ...] = ()) -> Document | None:
    """The text is read or refused with diagnostics that can be printed, and every span lies in its source."""
    document: Document | None = None
    diagnostics: tuple[Diagnostic, ...] = ()
    try:
        document = parse_spec(text, "t.yaml", overrides)
    except DiagnosticError as error:
        diagnostics = error.diagnostics
    found = list(spans_of(document.spans)) if document else []
    labels = [label for d in diagnostics for label in (d.primary, *d.secondary)]
    found += [label.span for label in labels if label]
    assert document or any(d.severity == "error" for d in diagnostics)
    assert all(render(diagnostics, format).endswith("\n") for format in FORMATS if diagnostics)
    for span in found:
        assert_inside(span)
    return document


def assert_inside(span: Span) -> None:
    lines = span.source.lines
    assert (1, 1) <= (span.start_line, span.start_col) <= (span.end_line, span.end_col)
    assert span.end_line <= len(lines)
    assert span.start_col <= len(lines[span.start_line - 1]) + 1
    assert span.end_col <= len(lines[span.end_line - 1]) + 1


@given(st.text())
def test_any_text_is_read_or_refused(text: str) -> None:
    check(text)


WORDS = re.findall(r"\w+", TEXT)
SCRAPS = [*WORDS, *"[]{}:,-?&*!|>'\"%@`#\n\t ", ": ", "- ", "null", "~", "true", ".nan", "1e999", "9" * 30,
          "0", "-1", "1.5", "''",
          "{}", "[]", "&a ", "*a", "<<", "!!int ", "---\n", "\x00", "é", "\ud800"]  # fmt: skip


@st.composite
def mutated_texts(draw: st.DrawFn) -> str:
    """A good spec with a few stretches replaced by scraps of YAML."""
    text = draw(st.sampled_from([TEXT, json.dumps(DATA)]))
    for _ in range(draw(st.integers(1, 4))):
        start = draw(st.integers(0, len(text)))
        end = start + draw(st.sampled_from([0, 0, 1, 2, 5, 30]))
        text = text[:start] + draw(st.sampled_from(SCRAPS) | st.characters()) + text[end:]
    return text


@settings(max_examples=300)
@given(mutated_texts())
def test_a_mutated_text_is_read_or_refused(text: str) -> None:
    check(text)


VALUES = st.recursive(
    st.sampled_from(WORDS) | st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5)
    | st.sampled_from([10**99, -(10**99), 1e308, "9" * 4000]),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(st.sampled_from(WORDS) | st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)  # fmt: skip


@st.composite
def mutated_data(draw: st.DrawFn) -> dict[str, Any]:
    """A good spec with some values replaced, keys renamed or entries removed, at any depth."""
    data = copy.deepcopy(DATA)
    for _ in range(draw(st.integers(1, 3))):
        here: Any = data
        while True:
            keys = list(here) if isinstance(here, dict) else list(range(len(here)))
            if not keys:
                break
            key = draw(st.sampled_from(keys))
            if isinstance(here[key], dict | list) and draw(st.booleans()):
                here = here[key]
                continue
            action = draw(st.sampled_from(["replace", "replace", "remove", "add"]))
            value = here.pop(key) if action == "remove" else draw(VALUES)
            if action == "replace":
                here[key] = value
            elif action == "add" and isinstance(here, dict):
                here[draw(st.sampled_from(WORDS) | st.text(max_size=5))] = value
            break
    return data


def as_yaml(data: object) -> str:
    """JSON is YAML but for its names of the numbers that are not finite."""
    text = json.dumps(data, indent=1)
    return text.replace("-Infinity", "-.inf").replace("Infinity", ".inf").replace("NaN", ".nan")


@settings(max_examples=300)
@given(mutated_data())
def test_mutated_data_is_read_or_refused(data: dict[str, Any]) -> None:
    document = check(as_yaml(data))
    if document is not None:
        again = check(as_yaml(document.spec.model_dump(exclude_unset=True)))
        assert again is not None
        assert again.spec == document.spec


@given(st.sampled_from(WORDS), st.text(max_size=10), VALUES)
def test_any_override_is_applied_or_refused(word: str, rest: str, value: object) -> None:
    check(TEXT, (f"{word}{rest}",))
    check(TEXT, (f"{word}.{rest}={as_yaml(value)}",))
    check(TEXT, (f"inputs.image.{word}={as_yaml(value)}",))


def places(data: Any, path: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    """Every key and item of nested data."""
    if isinstance(data, dict | list):
        for key in data if isinstance(data, dict) else range(len(data)):
            yield (*path, key)
            yield from places(data[key], (*path, key))


@pytest.mark.parametrize("value", [1, 0.5, "x", [1, 2], {"a": 1}], ids=repr)
def test_another_kind_of_value_at_any_place_is_read_or_refused(value: object) -> None:
    for path in places(DATA):
        data: Any = copy.deepcopy(DATA)
        around = data
        for key in path[:-1]:
            around = around[key]
        around[path[-1]] = value
        check(as_yaml(data))
