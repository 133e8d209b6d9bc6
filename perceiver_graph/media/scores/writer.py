"""Plain numbers out, as JSON and as a line for people."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import isfinite
from typing import Any

import numpy as np
from numpy.typing import NDArray

from perceiver_graph.diagnostics.escape import json
from perceiver_graph.media.io import Answer, Piece, Setting, Writer
from perceiver_graph.media.scores.model import ScoresMedia, ScoresParameters
from perceiver_graph.media.scores.probabilities import (
    named,
)
from perceiver_graph.spec.manifest import OutputEntry


def score_writers(outputs: Mapping[str, OutputEntry], setting: Setting) -> list[Writer]:
    """A writer for each output of plain numbers."""
    return [
        ScoresWriter(name, entry.media.scores)
        for name, entry in outputs.items()
        if isinstance(entry.media, ScoresMedia)
    ]


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
