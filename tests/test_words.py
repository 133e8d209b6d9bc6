"""Near misses: one rule for every name that is looked up, and one way to ask."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perceiver_graph.diagnostics.words import closest, did_you_mean, nearest, question

KEYS = ("count", "width", "max_resolution", "PerceiverForMaskedLM", "PG204", "PG214")


@pytest.mark.parametrize(
    ("word", "meant"),
    [
        ("widht", "width"),
        ("WIDTH", "width"),
        ("max-resolution", "max_resolution"),
        ("Max-Resolutoin", "max_resolution"),
        ("perceiver_for_maskedlm", "PerceiverForMaskedLM"),
        ("pg204", "PG204"),
        ("204", "PG204"),
        ("bands", None),
        ("", None),
    ],
)
def test_the_nearest_word(word: str, meant: str | None) -> None:
    assert nearest(word, KEYS) == meant
    assert did_you_mean(word, KEYS) == (f"did you mean `{meant}`?" if meant else None)


def test_words_need_not_be_texts() -> None:
    assert nearest(16, [1, 160]) == "160"
    assert nearest(True, ["true"]) == "true"


def test_several_guesses_come_likeliest_first() -> None:
    assert closest("imag", ["images", "audio", "image"], 3) == ("image", "images")
    assert closest("imag", ["images", "audio", "image"]) == ("image",)
    assert closest("IMAGE", ["images", "image"], 3) == ("image",)


def test_words_that_differ_in_case_are_all_known() -> None:
    assert closest("IMAGE", ["image", "Image", "image"], 3) == ("image", "Image")
    assert closest("imagd", ["image", "Image", "audio"], 3) == ("image", "Image")
    assert nearest("imagd", ["image", "Image", "audio"]) == "image"


def test_the_question() -> None:
    assert question([]) is None
    assert question(["a", "b", "a"]) == "did you mean `a` or `b`?"
    assert question(["abcdefgh"], 6) == "did you mean `abc...`?"


def test_an_endless_word_is_compared_in_part() -> None:
    assert nearest("width" * 100_000, KEYS) is None


@given(st.text(), st.lists(st.text(), max_size=6), st.integers(1, 4))
def test_guesses_are_known_words(word: str, known: list[str], most: int) -> None:
    found = closest(word, known, most)
    assert len(found) <= most
    assert len(set(found)) == len(found)
    assert set(found) <= set(known)
    if 0 < len(word) <= 80 and word in known:
        assert found
