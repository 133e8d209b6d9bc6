"""Diagnostics on a screen: what would help first, lines of its width, and a long list once."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from perceiver_graph.diagnostics import make, render
from perceiver_graph.diagnostics.text import wrapped


def test_text_is_wrapped_between_words_and_not_in_commands() -> None:
    text = "write `perceiver-graph compile SPEC -o DIR` and then " + "word " * 40 + "`a b c`"
    for width in (20, 60, 79):
        lines = wrapped(text, width)
        assert " ".join(lines) == " ".join(text.split())
        assert all(len(line) <= width or "`" in line for line in lines)
        assert any("`perceiver-graph compile SPEC -o DIR`" in line for line in lines)
    assert wrapped("", 10) == [""]


@given(st.text(alphabet="ab` \t", max_size=60), st.integers(1, 30))
def test_nothing_is_lost_where_text_is_wrapped(text: str, width: int) -> None:
    assert "".join("".join(wrapped(text, width)).split()) == "".join(text.split())


def test_help_and_notes_fit_the_screen_and_a_list_stands_there_once() -> None:
    known = "the keys known here are " + ", ".join(f"`key_{n}`" for n in range(40))
    found = [make("PG101", f"unknown key `{k}`", notes=[known, "x"], help="h") for k in "ab"]
    text = render(found, width=72)
    assert max(map(len, text.splitlines())) <= 72
    assert (text.count("`key_7`"), text.count("note: x"), text.count("help: h")) == (1, 2, 2)
    assert text.index("help: h") < text.index("note: the keys")
    assert known in render(found)
    assert render(found, "json").count("`key_7`") == 2
