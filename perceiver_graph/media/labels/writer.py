"""Stretches of a text that have a label, out: a class for each token."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from perceiver_graph.media.io import Answer, Piece, Setting, Writer
from perceiver_graph.media.labels.model import LabelsMedia, LabelsParameters
from perceiver_graph.media.scores.probabilities import named, row_probabilities
from perceiver_graph.media.text.places import places
from perceiver_graph.spec.manifest import OutputEntry


def label_writers(outputs: Mapping[str, OutputEntry], setting: Setting) -> list[Writer]:
    """A writer for each output with a class for every token."""
    found: list[Writer] = []
    for name, entry in outputs.items():
        if isinstance(entry.media, LabelsMedia):
            found.append(LabelsWriter(name, entry.media.labels))
    return found


_MOST_SHOWN = 8


class LabelsWriter(Writer):
    """Neighbouring tokens of the same label make up a stretch; B- begins a new one."""

    def __init__(self, output: str, parameters: LabelsParameters) -> None:
        super().__init__(output)
        self._name = output
        self._names = parameters.names
        names = parameters.names or []
        self._nothing = names.index("O") if "O" in names else 0
        self._found: list[dict[str, Any]] = []

    def add(self, piece: Piece, results: Mapping[str, NDArray[Any]]) -> dict[str, Any]:
        """Take scores [1, length, classes]."""
        values = row_probabilities(results[self._name][0])
        for place in places(piece):
            own = values[place.start : place.stop]
            unknown = np.isnan(own).any(axis=-1, keepdims=True)
            own = np.where(unknown, np.arange(own.shape[-1]) == self._nothing, own)
            for label, first, last in self._runs(own.argmax(axis=-1).tolist()):
                sure = float(own[first : last + 1].max(axis=-1).mean())
                stretch = place.stretch(first, last)
                self._found.append({"label": label, **stretch, "probability": sure})
        return {}

    def _runs(self, classes: Sequence[int]) -> Iterator[tuple[str, int, int]]:
        """The label, first and last token of each stretch."""
        start, label, before = 0, "", self._nothing
        for index, one in enumerate([*classes, self._nothing]):
            name = named(one, self._names)
            kind = "" if one == self._nothing else name.removeprefix("B-").removeprefix("I-")
            if kind != label or (name.startswith("B-") and one != before):
                if label:
                    yield label, start, index - 1
                start, label = index, kind
            before = one

    def finish(self, lines: Sequence[str]) -> dict[str, Answer]:
        """The stretches in order."""
        shown = [f"{one['text']!r} {one['label']}" for one in self._found[:_MOST_SHOWN]]
        if more := len(self._found) - len(shown):
            shown.append(f"{more} more")
        return {self._name: Answer(self._found, ", ".join(shown) or "nothing is labelled")}
