"""Stretches of a text out: labelled ones (a class for each token), and answers (start and end)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from perceiver_graph.media.io import Answer, Piece, Writer
from perceiver_graph.media.scores.probabilities import probabilities
from perceiver_graph.media.span.model import SpanParameters
from perceiver_graph.media.text.places import places


class SpanWriter(Writer):
    """The most probable answers: a start and an end, not before it, in the last text."""

    def __init__(self, name: str, form: SpanParameters) -> None:
        super().__init__(name, form)
        self._found: list[dict[str, Any]] = []

    def add(self, piece: Piece, results: Mapping[str, NDArray[Any]]) -> dict[str, Any]:
        """Take scores [1, length, 2]."""
        place = places(piece)[-1]
        own = results[self._name][0, place.start : place.stop]
        if not len(own):
            return {}
        starts, ends = probabilities(own[:, 0]), probabilities(own[:, 1])
        joint = np.triu(np.nan_to_num(np.outer(starts, ends)))
        joint -= np.triu(joint, self._form.longest)
        seen: dict[tuple[int, int], dict[str, Any]] = {}
        for flat in np.argsort(-joint, axis=None, kind="stable").tolist():
            first, last = divmod(flat, len(own))
            if joint[first, last] <= 0 or len(seen) >= self._form.top:
                break
            stretch = place.stretch(first, last)
            key = stretch["start"], stretch["stop"]
            seen.setdefault(key, {**stretch, "probability": float(joint[first, last])})
        self._found = list(seen.values())
        return {}

    def finish(self, said: Mapping[str, Answer]) -> dict[str, Answer]:
        """The answers, best first."""
        best = self._found[0] if self._found else None
        line = f"{best['text']} {best['probability']:.1%}" if best else "there is nothing to find"
        return {self._name: Answer(self._found, line)}
