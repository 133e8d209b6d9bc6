"""Boxes out: what is where in a picture, as JSON and drawn on the picture."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from perceiver_graph.media.base import settings_of
from perceiver_graph.media.boxes.drawing import draw_boxes
from perceiver_graph.media.boxes.model import BoxesParameters
from perceiver_graph.media.image.reader import Picture
from perceiver_graph.media.image.resizing import Region
from perceiver_graph.media.io import Answer, Piece, Setting, Writer, some_of
from perceiver_graph.media.scores.probabilities import named, row_probabilities
from perceiver_graph.spec.manifest import OutputEntry

_MOST_SHOWN = 8


class BoxesWriter(Writer):
    """Boxes whose best class is sure enough, surest first."""

    suffixes = (".png",)

    def __init__(self, name: str, form: BoxesParameters) -> None:
        super().__init__(name, form)
        self.outputs = (name, form.classes)
        self._picture: Picture | None = None
        self._found: list[dict[str, Any]] = []

    @classmethod
    def of(cls, outputs: Mapping[str, OutputEntry], setting: Setting) -> list[Writer]:
        """A writer for each output of boxes, with that of their classes, if that is decoded whole."""
        every = ((name, settings_of(entry.media)) for name, entry in outputs.items() if entry.media)
        return [cls(name, form) for name, form in every if form.classes in setting.whole]

    def add(self, piece: Piece, results: Mapping[str, NDArray[Any]]) -> dict[str, Any]:
        """Take boxes [1, count, 4] and scores [1, count, classes + 1]."""
        self._picture = piece.origin(Picture)
        values = row_probabilities(results[self._form.classes][0])[:, :-1]
        best, sure = values.argmax(axis=-1), values.max(axis=-1)
        order = np.argsort(-sure, kind="stable")
        finite = np.isfinite(results[self._name][0]).all(axis=-1)
        for index in order[(sure >= self._form.threshold)[order] & finite[order]].tolist():
            box = _corners(results[self._name][0, index], self._picture)
            label = named(int(best[index]), self._form.names)
            self._found.append({"label": label, "probability": float(sure[index]), "box": box})
        return {}

    def finish(self, said: Mapping[str, Answer]) -> dict[str, Answer]:
        """Draw the boxes, and say what was found."""
        captions = [f"{one['label']} {one['probability']:.0%}" for one in self._found]
        if self._picture is not None:
            boxes = [one["box"] for one in self._found]
            draw_boxes(self.path(".png"), self._picture.pixels, boxes, captions)
        nothing = f"nothing with a probability of {self._form.threshold:g} or more"
        return {self._name: Answer(self._found, some_of(captions) or nothing)}


def _corners(box: NDArray[Any], picture: Picture | None) -> list[float]:
    """Left, top, right and bottom in pixels of the picture (in [0, 1] without one)."""
    height, width = picture.pixels.shape[:2] if picture else (1, 1)
    region = picture.region if picture else Region(0, 0, 1, 1)
    x, y, wide, high = (float(value) for value in box)
    sides = [
        (region.left + region.width * (x - wide / 2), width),
        (region.top + region.height * (y - high / 2), height),
        (region.left + region.width * (x + wide / 2), width),
        (region.top + region.height * (y + high / 2), height),
    ]
    return [round(min(max(side, 0.0), float(most)), 2) for side, most in sides]
