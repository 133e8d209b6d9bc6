"""Class scores as a short list for people: the best few, by name, with probabilities."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray


def probabilities(logits: ArrayLike) -> NDArray[np.float64]:
    """The softmax of one vector of scores [n] (leading axes of size 1 are dropped).

    Raises ValueError unless it is one vector.
    """
    return row_probabilities(_vector(logits))


def row_probabilities(logits: ArrayLike) -> NDArray[np.float64]:
    """The softmax along the last axis, float64 of the same shape; NaN where scores overflowed."""
    scores = np.asarray(logits, dtype=np.float64)
    with np.errstate(invalid="ignore"):
        weights = np.exp(scores - scores.max(axis=-1, keepdims=True))
        return np.asarray(weights / weights.sum(axis=-1, keepdims=True))


def independent_probabilities(logits: ArrayLike) -> NDArray[np.float64]:
    """The sigmoid of each of one vector of scores [n]. Raises ValueError as `probabilities`."""
    return np.asarray(np.exp(-np.logaddexp(0.0, -_vector(logits))))


def named(index: int, names: Sequence[str] | None) -> str:
    """What a class is called: `class 17` where there is no name."""
    return names[index] if names and index < len(names) else f"class {index}"


def best_classes(
    values: NDArray[np.float64], top: int = 5, names: Sequence[str] | None = None
) -> list[dict[str, Any]]:
    """The `top` highest of `values` [n], best first, as plain JSON values; NaN is left out.

    Each is `{"index", "name", "probability"}`. Ties keep their order.
    """
    order = np.argsort(-values, kind="stable")
    best = order[~np.isnan(values[order])][:top]
    return [
        {"index": int(index), "name": named(index, names), "probability": float(values[index])}
        for index in best
    ]


def _vector(logits: ArrayLike) -> NDArray[np.float64]:
    scores = np.atleast_1d(np.asarray(logits, dtype=np.float64))
    if scores.size == 0 or scores.size != scores.shape[-1]:
        raise ValueError(f"class scores are one vector, and not of shape {scores.shape}")
    return scores.reshape(-1)
