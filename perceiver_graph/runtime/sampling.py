"""Which token comes next, by the scores that a model gives all of them."""

from __future__ import annotations

from dataclasses import dataclass
from numbers import Real
from typing import Any

import numpy as np
from numpy.typing import NDArray

from perceiver_graph.diagnostics.arguments import whole, wrong_kind

SEEDS = 2**64
"""So many there are: what PyTorch takes."""


@dataclass(frozen=True)
class Sampling:
    """How a token is drawn. Temperature comes first, then `top_k`, then `top_p`."""

    temperature: float = 1.0
    """What scores are divided by: 0 takes the most probable token, always."""
    top_p: float = 1.0
    """Of the most probable tokens, as few as have this share together are drawn from (Holtzman et al.,
    2020)."""
    top_k: int | None = None
    """So many of the most probable are drawn from; None: all."""

    def __post_init__(self) -> None:
        """Raises TypeError or ValueError for what is no such number."""
        for name, value in (("temperature", self.temperature), ("top_p", self.top_p)):
            if isinstance(value, bool) or not isinstance(value, Real):
                raise wrong_kind(name, "a number", value)
        if not 0 <= self.temperature < np.inf:
            raise ValueError(f"temperature must be 0 or more and finite, not {self.temperature:g}")
        if not 0 < self.top_p <= 1:
            raise ValueError(f"top_p must be above 0 and at most 1, not {self.top_p:g}")
        if self.top_k is not None:
            whole("top_k", "a whole number, 1 or more", self.top_k, 1)

    def probabilities(self, scores: NDArray[Any]) -> NDArray[np.float64]:
        """How probable each token is to be drawn. Shapes: [batch, vocabulary] -> the same.

        Of tokens that are as probable as each other, the first are kept.
        """
        rows = np.arange(len(scores))[:, None]
        logits: NDArray[np.float64] = np.asarray(scores, np.float64)
        if self.temperature == 0:
            chosen: NDArray[np.float64] = np.zeros_like(logits)
            chosen[rows[:, 0], logits.argmax(axis=-1)] = 1
            return chosen
        with np.errstate(over="ignore"):  # next to 0 only the most probable token is left
            logits = (logits - logits.max(axis=-1, keepdims=True)) / self.temperature
        found: NDArray[np.float64] = np.exp(logits)
        found /= found.sum(axis=-1, keepdims=True)
        if self.top_k is None and self.top_p == 1:
            return found
        order = np.argsort(-found, axis=-1, kind="stable")
        ranked = found[rows, order]
        if self.top_k is not None:
            ranked[:, self.top_k :] = 0
            ranked /= ranked.sum(axis=-1, keepdims=True)
        before = ranked.cumsum(axis=-1) - ranked
        ranked[before >= self.top_p] = 0
        found[rows, order] = ranked / ranked.sum(axis=-1, keepdims=True)
        return found

    def draw(self, scores: NDArray[Any], rng: np.random.Generator) -> NDArray[np.int64]:
        """A token for each row. Shapes: [batch, vocabulary] -> [batch]."""
        if self.temperature == 0:
            best: NDArray[np.int64] = np.argmax(scores, axis=-1).astype(np.int64)
            return best
        below = self.probabilities(scores).cumsum(axis=-1)
        drawn = rng.random((len(scores), 1)) * below[:, -1:]
        found: NDArray[np.int64] = np.sum(below <= drawn, axis=-1, dtype=np.int64)
        return found
