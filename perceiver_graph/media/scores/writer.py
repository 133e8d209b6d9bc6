"""Plain numbers out, as JSON and as a line for people."""

from __future__ import annotations

from collections.abc import Mapping
from math import isfinite
from typing import Any

import numpy as np
from numpy.typing import NDArray

from perceiver_graph.diagnostics.escape import json
from perceiver_graph.media.equal import told_apart
from perceiver_graph.media.io import Answer, Piece, Writer
from perceiver_graph.media.scores.probabilities import named

Values = NDArray[np.float64]


class MeanWriter(Writer):
    """Says something of the values of every piece, and the same of their mean over all, in which a piece
    that is half padding counts half."""

    def __init__(self, name: str, form: Any) -> None:
        super().__init__(name, form)
        self._sum: Values = np.zeros(())
        self._first = 0.0
        self._weight = 0.0

    def add(self, piece: Piece, results: Mapping[str, NDArray[Any]]) -> dict[str, Any]:
        """Take the result of a piece."""
        values = self.values(results[self._name])
        # Relative to the first, so that the mean of a single one is what it says, to the last bit.
        self._first = self._first or piece.part
        weight = piece.part / self._first
        self._sum, self._weight = self._sum + values * weight, self._weight + weight
        return {self._name: self.answer(values).data}

    def finish(self, said: Mapping[str, Answer]) -> dict[str, Answer]:
        """What the mean says."""
        return {self._name: self.answer(self._sum / self._weight)}

    def values(self, result: NDArray[Any]) -> Values:
        """What the mean is taken of."""
        raise NotImplementedError

    def answer(self, values: Values) -> Answer:
        """What the values say."""
        raise NotImplementedError


class ScoresWriter(MeanWriter):
    """Numbers as they are."""

    def values(self, result: NDArray[Any]) -> Values:
        """The numbers of a piece."""
        return np.asarray(result[0], np.float64)

    def answer(self, values: Values) -> Answer:
        """By name if the spec names them (artifacts may have equal names); a single one as a number, else a
        list."""
        data: Any = float(values.item()) if values.size == 1 else values.tolist()
        if self._form.names is not None and values.ndim == 1:
            called = told_apart([named(i, self._form.names) for i in range(len(values))])
            data = dict(zip(called, map(float, values), strict=True))
        shown = data if isinstance(data, dict) else {"": data}
        return Answer(data, ", ".join(f"{key} {_short(one)}".strip() for key, one in shown.items()))


def _short(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.4g}" if isfinite(value) else "not finite"
    return f"{len(value)} numbers" if len(value) > 8 else json(value, indent=None, end="")
