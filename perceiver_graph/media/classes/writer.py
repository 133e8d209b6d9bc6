"""Class scores and plain numbers out, as JSON and as a line for people."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from perceiver_graph.media.classes.model import ClassesMedia, ClassesParameters
from perceiver_graph.media.io import Answer, Piece, Setting, Writer
from perceiver_graph.media.scores.probabilities import (
    best_classes,
    independent_probabilities,
    probabilities,
)
from perceiver_graph.spec.manifest import OutputEntry


def class_writers(outputs: Mapping[str, OutputEntry], setting: Setting) -> list[Writer]:
    """A writer for each output of class scores."""
    found: list[Writer] = []
    for name, entry in outputs.items():
        if isinstance(entry.media, ClassesMedia):
            found.append(ClassesWriter(name, entry.media.classes))
    return found


class ClassesWriter(Writer):
    """The best classes of every piece, and over all by the mean of the probabilities."""

    def __init__(self, output: str, parameters: ClassesParameters) -> None:
        super().__init__(output)
        self._name = output
        self._form = parameters
        self._sum: NDArray[np.float64] = np.zeros(())
        self._count = 0

    def add(self, piece: Piece, results: Mapping[str, NDArray[Any]]) -> dict[str, Any]:
        """Take the scores of a piece."""
        of = independent_probabilities if self._form.multi_label else probabilities
        values = of(results[self._name])
        self._sum, self._count = self._sum + values, self._count + 1
        return {self._name: self._best(values) or None}

    def finish(self, lines: Sequence[str]) -> dict[str, Answer]:
        """The best classes of the whole."""
        best = self._best(self._sum / self._count)
        line = ", ".join(f"{one['name']} {one['probability']:.1%}" for one in best)
        return {self._name: Answer(best or None, line or "no class: the scores are not finite")}

    def _best(self, values: NDArray[np.float64]) -> list[dict[str, Any]]:
        return best_classes(values, self._form.top, self._form.names)
