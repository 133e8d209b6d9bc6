"""Which token is drawn, against probabilities worked out by hand."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

from perceiver_graph.runtime.sampling import Sampling

# Probabilities 1/8, 1/2, 1/8, 1/4: whatever is added to the scores changes nothing.
SCORES = np.log(np.array([[1, 4, 1, 2]])) + 7


@pytest.mark.parametrize(
    ("sampling", "expected"),
    [
        (Sampling(), [1 / 8, 1 / 2, 1 / 8, 1 / 4]),
        (Sampling(temperature=0), [0, 1, 0, 0]),
        (Sampling(temperature=0, top_p=0.1, top_k=3), [0, 1, 0, 0]),
        # exp(s / 0.5) is the square: 1, 16, 1, 4 of 22.
        (Sampling(temperature=0.5), [1 / 22, 16 / 22, 1 / 22, 4 / 22]),
        (Sampling(top_k=1), [0, 1, 0, 0]),
        (Sampling(top_k=2), [0, 2 / 3, 0, 1 / 3]),
        (Sampling(top_k=3), [1 / 7, 4 / 7, 0, 2 / 7]),  # of two alike the first
        (Sampling(top_k=9), [1 / 8, 1 / 2, 1 / 8, 1 / 4]),
        (Sampling(top_p=0.5), [0, 1, 0, 0]),  # a half is enough
        (Sampling(top_p=0.51), [0, 2 / 3, 0, 1 / 3]),
        (Sampling(top_p=0.75), [0, 2 / 3, 0, 1 / 3]),
        (Sampling(top_p=0.8), [1 / 7, 4 / 7, 0, 2 / 7]),
        # After top_k the shares are 2/3 and 1/3.
        (Sampling(top_k=2, top_p=0.66), [0, 1, 0, 0]),
        (Sampling(top_k=2, top_p=0.67), [0, 2 / 3, 0, 1 / 3]),
        # After the temperature 16/22 is more than 0.7.
        (Sampling(temperature=0.5, top_p=0.7), [0, 1, 0, 0]),
    ],
)
def test_probabilities(sampling: Sampling, expected: list[float]) -> None:
    found = sampling.probabilities(np.concatenate([SCORES, SCORES - 100]))
    np.testing.assert_allclose(found, [expected, expected], atol=1e-12)


def test_draws_are_as_frequent_as_they_are_probable() -> None:
    many = np.repeat(SCORES, 20_000, axis=0)
    drawn = Sampling(top_k=3).draw(many, np.random.default_rng(0))
    shares = np.bincount(drawn, minlength=4) / len(drawn)
    np.testing.assert_allclose(shares, [1 / 7, 4 / 7, 0, 2 / 7], atol=0.01)
    assert drawn.dtype == np.int64
    again = Sampling(top_k=3).draw(many, np.random.default_rng(0))
    np.testing.assert_array_equal(drawn, again)


def test_the_last_token_can_be_drawn_and_one_without_probability_never() -> None:
    class Highest:
        def random(self, shape: tuple[int, int]) -> np.ndarray:
            return np.full(shape, np.nextafter(1, 0))

    scores = np.array([[0.0, 0.0, -1e9], [0.0, -1e9, 0.0]])
    assert Sampling().draw(scores, Highest()).tolist() == [1, 2]  # type: ignore[arg-type]


def test_scores_that_are_far_apart_overflow_nothing() -> None:
    with warnings.catch_warnings(action="error"):
        for temperature in (1e-3, 1e-320):
            scores = np.array([[0, 3e38, -3e38]], np.float32)
            found = Sampling(temperature=temperature).probabilities(scores)
            assert found.tolist() == [[0, 1, 0]]


@pytest.mark.parametrize(
    "wrong",
    [
        {"temperature": -0.1},
        {"temperature": np.nan},
        {"temperature": np.inf},
        {"top_p": 0},
        {"top_p": 1.1},
        {"top_k": 0},
    ],
)
def test_what_is_no_such_number(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        Sampling(**wrong)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match=next(iter(wrong))):
        Sampling(**dict.fromkeys(wrong, "much"))  # type: ignore[arg-type]
