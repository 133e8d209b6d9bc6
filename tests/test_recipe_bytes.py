"""The recipe of masked bytes: what is masked, what is asked of it, and what it is measured by."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from perceiver_graph.media.text.tokens import CLS, FIRST_BYTE, MASK, PAD, SEP
from recipes.base import Arrays
from recipes.bytes.ngram import NGrams
from recipes.bytes.recipe import BYTES, LENGTH, Recipe, masked

TEXTS = st.lists(st.binary(min_size=1, max_size=12).filter(lambda text: 0 not in text), min_size=1)


@given(TEXTS.filter(lambda texts: any(len(text) > 1 for text in texts)), st.binary(max_size=4))
def test_ngrams_are_counted(texts: list[bytes], before: bytes) -> None:
    """By the definition, every place counted by itself; what has never been read says nothing more."""
    order = 3
    joined = (b"\0" * order).join([b"", *texts])
    wanted = np.full(256, 1 / 256)
    for count in range(min(order, len(before) + 1)):
        context = before[len(before) - count :]
        start = range(count, len(joined)) if count else range(len(joined))
        times = Counter(joined[i] for i in start if joined[i - count : i] == context)
        if not times:
            break
        counted = np.array([times[byte] for byte in range(256)])
        wanted = (counted + len(times) * wanted) / (counted.sum() + len(times))
    if 0 not in before:
        np.testing.assert_allclose(NGrams(texts, order).after(before), wanted)


def test_bytes_are_masked_and_what_stood_there_is_kept() -> None:
    text = "The quick brown fox jumps over the lazy dog, and so on and so forth, quite often."
    batch = masked([text], np.random.default_rng(0))
    ids, wanted = batch["text"][0], batch["wanted"][0]
    assert (ids.shape, wanted.shape) == ((LENGTH,), (LENGTH,))
    holes = wanted >= 0
    assert 5 < holes.sum() < 25
    assert set(ids[holes]) == {MASK}
    whole = np.where(holes, wanted, ids)
    assert bytes((whole[1 : len(text) + 1] - FIRST_BYTE).tolist()).decode() == text
    assert (ids[0], ids[len(text) + 1]) == (CLS, SEP)
    assert set(ids[len(text) + 2 :]) == {PAD}
    assert batch["text.attention_mask"][0].sum() == len(text) + 2


@pytest.fixture
def recipe(tmp_path: Path) -> Recipe:
    found = Recipe(tmp_path)
    found.data.mkdir(parents=True)
    page = "a page of words, and some more words of it " * 20
    found.data.joinpath("pages.json").write_text(json.dumps({"train": [page], "test": [page]}))
    return found


def test_examples_are_whole_batches(recipe: Recipe) -> None:
    examples = recipe.examples()
    for number in range(20):
        one = examples[number]
        assert {name: ids.shape for name, ids in one.items()} == {
            "text": (1, LENGTH),
            "text.attention_mask": (1, LENGTH),
            "wanted": (1, LENGTH),
        }
        assert 26 <= one["text.attention_mask"].sum() <= LENGTH
    assert {len(text) for text in recipe.tests} == {BYTES}


def test_who_knows_all_bytes_has_them_all_right_and_who_guesses_has_not(recipe: Recipe) -> None:
    def guesses(inputs: Arrays) -> dict[str, np.ndarray]:
        return {"text": np.eye(262, dtype=np.float32)[np.full((1, LENGTH), FIRST_BYTE + ord("o"))]}

    told, over = recipe.measure(guesses)
    share = np.mean([text.count("o") for text in recipe.tests]) / BYTES
    assert told.value == pytest.approx(100 * share, abs=5)
    assert over.value == told.value - recipe.expected
    assert recipe.expected > 95  # the page repeats itself
