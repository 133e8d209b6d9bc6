"""Text as bytes: the same ids and texts as the tokenizer of transformers."""

from __future__ import annotations

from functools import cache
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perceiver_graph.media.text.tokens import (
    FIRST_BYTE,
    MASK,
    SPECIAL,
    UNCOUNTED,
    VOCABULARY,
    character_offsets,
    count_masks,
    decode,
    encode,
    expand_masks,
    plain_ids,
)

TEXTS = st.lists(
    st.text(st.characters(codec="utf-8"), max_size=12)
    | st.sampled_from([*SPECIAL, "[MASK", "[mask]", "é", "日本", "🙂", " ", "\n"])
).map("".join)


@cache
def theirs() -> Any:
    from transformers import PerceiverTokenizer

    return PerceiverTokenizer()


@given(TEXTS)
def test_ids_are_those_of_transformers(text: str) -> None:
    assert list(encode(text).ids) == theirs()(text)["input_ids"]


@given(TEXTS, TEXTS)
def test_pairs_are_those_of_transformers(first: str, second: str) -> None:
    found = encode(first, second)
    assert list(found.ids) == theirs()(first, second)["input_ids"]
    for text, start, stop in zip(found.texts, found.starts, found.stops, strict=True):
        assert list(found.ids[start:stop]) == plain_ids(text)
    assert len(found.inside()) == len(found.ids) - 3


@given(st.lists(st.integers(0, VOCABULARY - 1)))
def test_texts_are_those_of_transformers(ids: list[int]) -> None:
    kept = [one for one in ids if one >= FIRST_BYTE]
    assert decode(ids, skip_special=True) == decode(kept)
    assert decode(kept) == theirs().decode(kept)
    assert decode(ids) == theirs().convert_tokens_to_string(theirs().convert_ids_to_tokens(ids))


@given(TEXTS)
def test_a_text_comes_back(text: str) -> None:
    assert decode(plain_ids(text)) == text


@given(TEXTS)
def test_offsets_lead_back_to_the_characters(text: str) -> None:
    offsets = character_offsets(text)
    assert len(offsets) == len(plain_ids(text)) + 1
    assert offsets == sorted(offsets)
    assert offsets[-1] == len(text)
    for place, one in zip(offsets[:-1], plain_ids(text), strict=True):
        if one < FIRST_BYTE:
            assert text[place:].startswith(SPECIAL[one])
        else:
            assert one - FIRST_BYTE in text[place].encode()


def test_the_sentence_of_the_tutorial() -> None:
    text = "This is an incomplete sentence where some words are missing."
    ids = encode(text).ids
    assert len(ids) == 62
    assert decode(ids[52:61]) == " missing."


def test_a_mask_can_stand_for_several_bytes() -> None:
    text = "words are[MASK*9]"
    assert encode(expand_masks(text)).masked == list(range(10, 19))
    assert expand_masks("[MASK*0]") == ""
    assert count_masks("[MASK*999999999]") < UNCOUNTED == count_masks("[MASK*99999999999]")
    assert expand_masks("[MASK*] [MASK*x] [MASK]") == "[MASK*] [MASK*x] [MASK]"
    assert plain_ids("[MASK]") == [MASK]


def test_what_is_no_character_becomes_a_question_mark() -> None:
    assert decode(plain_ids("a\ud800b")) == "a?b"
    assert len(character_offsets("a\ud800b")) == 4


def test_what_is_no_id_is_refused() -> None:
    for one in (-1, VOCABULARY):
        with pytest.raises(ValueError, match="0 to 261"):
            decode([one])
