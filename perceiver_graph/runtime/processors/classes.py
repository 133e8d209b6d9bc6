"""Class scores as a short list for people: the best few, by name, with probabilities."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike


def top_classes(
    logits: ArrayLike, top: int = 5, names: Sequence[str] | None = None
) -> list[dict[str, Any]]:
    """The `top` most probable classes of `logits` [n], best first, as plain JSON values.

    Each is `{"index", "name", "probability"}`: the probability is that of the softmax over all n
    classes, the name `names[index]`, or `class 17` where there is none. Ties keep their order.
    Raises ValueError unless `logits` is one vector (leading axes of size 1 are dropped).
    """
    scores = np.atleast_1d(np.asarray(logits, dtype=np.float64))
    if scores.size == 0 or scores.size != scores.shape[-1]:
        raise ValueError(f"class scores are one vector, and not of shape {scores.shape}")
    scores = scores.reshape(-1)
    weights = np.exp(scores - scores.max())
    probabilities = weights / weights.sum()
    best = np.argsort(-probabilities, kind="stable")[:top]
    return [
        {
            "index": int(index),
            "name": names[index] if names and index < len(names) else f"class {index}",
            "probability": float(probabilities[index]),
        }
        for index in best
    ]
