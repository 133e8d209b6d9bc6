"""Stretches of a text that have a label, out: a class for each token."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from perceiver_graph.media.io import Answer, Piece, Writer, some_of
from perceiver_graph.media.labels.model import LabelsParameters
from perceiver_graph.media.scores.probabilities import named, row_probabilities
from perceiver_graph.media.text.places import places


class LabelsWriter(Writer):
    """Neighbouring letters of the same label make up a stretch; B- begins a new one.

    A letter of several bytes has the label of the first one.
    """

    def __init__(self, name: str, form: LabelsParameters) -> None:
        super().__init__(name, form)
        names = form.names or []
        self._nothing = names.index("O") if "O" in names else 0
        self._found: list[dict[str, Any]] = []

    def add(self, piece: Piece, results: Mapping[str, NDArray[Any]]) -> dict[str, Any]:
        """Take scores [1, length, classes]."""
        values = row_probabilities(results[self._name][0])
        for place in places(piece):
            letters = place.letters()
            own = values[place.start : place.stop][letters]
            unknown = np.isnan(own).any(axis=-1, keepdims=True)
            own = np.where(unknown, np.arange(own.shape[-1]) == self._nothing, own)
            for label, first, last in self._runs(own.argmax(axis=-1).tolist()):
                sure = float(own[first : last + 1].max(axis=-1).mean())
                stretch = place.stretch(letters[first], letters[last])
                self._found.append({"label": label, **stretch, "probability": sure})
        return {}

    def _runs(self, classes: Sequence[int]) -> Iterator[tuple[str, int, int]]:
        """The label, first and last letter of each stretch."""
        start, label = 0, ""
        for index, one in enumerate([*classes, self._nothing]):
            name = named(one, self._form.names)
            kind = "" if one == self._nothing else name.removeprefix("B-").removeprefix("I-")
            if kind != label or (kind and name.startswith("B-")):
                if label:
                    yield label, start, index - 1
                start, label = index, kind

    def finish(self, said: Mapping[str, Answer]) -> dict[str, Answer]:
        """The stretches in order."""
        shown = some_of([f"{one['text']!r} {one['label']}" for one in self._found])
        return {self._name: Answer(self._found, shown or "nothing is labelled")}
