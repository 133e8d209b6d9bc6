"""Class scores out: the best classes, as JSON and as a line for people."""

from __future__ import annotations

from typing import Any

from numpy.typing import NDArray

from perceiver_graph.media.io import Answer
from perceiver_graph.media.scores.probabilities import (
    best_classes,
    independent_probabilities,
    probabilities,
)
from perceiver_graph.media.scores.writer import MeanWriter, Values


class ClassesWriter(MeanWriter):
    """The best classes of every piece, and over all by the mean of the probabilities."""

    def values(self, result: NDArray[Any]) -> Values:
        """The probabilities of the scores of a piece."""
        of = independent_probabilities if self._form.multi_label else probabilities
        return of(result)

    def answer(self, values: Values) -> Answer:
        """The best of them."""
        best = best_classes(values, self._form.top, self._form.names)
        line = ", ".join(f"{one['name']} {one['probability']:.1%}" for one in best)
        bars = [(one["name"], one["probability"]) for one in best]
        return Answer(best or None, line or "no class: the scores are not finite", bars)
