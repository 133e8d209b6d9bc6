"""YAML that is written reads back as what it was, whatever the texts in it."""

from __future__ import annotations

from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from perceiver_graph.compiler.importing.yaml_text import spec_text
from perceiver_graph.diagnostics.model import Source
from perceiver_graph.spec.render import render_yaml
from perceiver_graph.spec.yaml12 import parse_yaml

# Words that one of the two versions of YAML takes for something else than text, and characters
# that they disagree about.
WORDS = (
    *("1e3", "0o17", "0x1F", ".5e1", "010", "12:30", "on", "No", "null", "~", "", "<<", "=", "-"),
    *("2001-01-01", "1_000", "+.inf", ".NaN", "true", "9" * 200, "a: b", "a #b", "- a", "? a"),
    *("!!int 1", "&a", "*a", "%TAG", "@a", "`a`", "'", '"', "{a}", "[a]", "a,b", "---", "...", "|"),
    *("a\u0085b", "a\u2028b", "a\u2029b", "\ufeffa", "a\u200eb", "a\nb", " a ", "\ta", "a\r\nb"),
    *("\x00", "\x1b[31m", "\x7f", "\xa0", "\U0001f600", "x " * 80, "\n\n", "a\\", "#a", "a:", ":a"),
)
texts = st.one_of(st.sampled_from(WORDS), st.text(st.characters(exclude_categories=["Cs"])))
names = texts.filter(lambda text: 0 < len(text) < 100)
values = st.recursive(
    st.one_of(
        texts, st.integers(), st.booleans(), st.floats(allow_nan=False, allow_infinity=False)
    ),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(names, inner, max_size=3)),
    max_leaves=6,
)


def read(text: str) -> Any:
    return parse_yaml(Source("spec.yaml", text))[0]


@pytest.mark.parametrize("word", WORDS)
@pytest.mark.parametrize("write", [render_yaml, lambda data: spec_text(data, {})])
def test_words_that_look_like_something_else_stay_texts(write: Any, word: str) -> None:
    data = {"name": word, "names": [word, "a"], "inner": {"b": {"c": word}}}
    assert read(write(data)) == data


@settings(max_examples=40)
@given(st.dictionaries(names, values, min_size=1, max_size=3), texts)
def test_every_text_reads_back(data: dict[str, Any], comment: str) -> None:
    text = render_yaml(data, comment=comment)
    assert read(text) == data


@settings(max_examples=40)
@given(st.dictionaries(texts, texts, min_size=1, max_size=3))
def test_other_readers_of_yaml_see_the_same_texts(data: dict[str, Any]) -> None:
    assert yaml.safe_load(render_yaml(data)) == data


@settings(max_examples=40)
@given(st.dictionaries(names, values, min_size=1, max_size=3), texts)
def test_an_imported_spec_reads_back(data: dict[str, Any], remark: str) -> None:
    (first, *_) = data
    assert read(spec_text(data, {(first,): remark})) == data
