"""Class scores and plain numbers out, as JSON and as a line for people."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import isfinite
from typing import Any

import numpy as np
from numpy.typing import NDArray

from perceiver_graph.diagnostics.escape import json
from perceiver_graph.runtime.kinds.base import Answer, Piece, Setting, Writer
from perceiver_graph.runtime.processors.classes import (
    best_classes,
    independent_probabilities,
    named,
    probabilities,
)
from perceiver_graph.spec.manifest import OutputEntry
from perceiver_graph.spec.models.media import (
    ClassesMedia,
    ClassesParameters,
    ScoresMedia,
    ScoresParameters,
)


def class_writers(outputs: Mapping[str, OutputEntry], setting: Setting) -> list[Writer]:
    """A writer for each output of class scores."""
    found: list[Writer] = []
    for name, entry in outputs.items():
        if isinstance(entry.media, ClassesMedia):
            found.append(ClassesWriter(name, entry.media.classes))
    return found


def score_writers(outputs: Mapping[str, OutputEntry], setting: Setting) -> list[Writer]:
    """A writer for each output of plain numbers."""
    return [
        ScoresWriter(name, entry.media.scores)
        for name, entry in outputs.items()
        if isinstance(entry.media, ScoresMedia)
    ]


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


class ScoresWriter(Writer):
    """Numbers as they are; over several pieces, their mean."""

    def __init__(self, output: str, parameters: ScoresParameters) -> None:
        super().__init__(output)
        self._name = output
        self._names = parameters.names
        self._sum: NDArray[np.float64] = np.zeros(())
        self._count = 0

    def add(self, piece: Piece, results: Mapping[str, NDArray[Any]]) -> dict[str, Any]:
        """Take the numbers of a piece."""
        values = results[self._name][0].astype(np.float64)
        self._sum, self._count = self._sum + values, self._count + 1
        return {self._name: self._labelled(values)}

    def finish(self, lines: Sequence[str]) -> dict[str, Answer]:
        """The numbers of the whole."""
        found = self._labelled(self._sum / self._count)
        shown = found if isinstance(found, dict) else {"": found}
        line = ", ".join(f"{key} {_short(value)}".strip() for key, value in shown.items())
        return {self._name: Answer(found, line)}

    def _labelled(self, values: NDArray[np.float64]) -> Any:
        """By name if the spec names them; a single one as a number, else a list."""
        if self._names is not None and values.ndim == 1:
            return {named(index, self._names): float(value) for index, value in enumerate(values)}
        return float(values.item()) if values.size == 1 else values.tolist()


def _short(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.4g}" if isfinite(value) else "not finite"
    return f"{len(value)} numbers" if len(value) > 8 else json(value, indent=None, end="")
