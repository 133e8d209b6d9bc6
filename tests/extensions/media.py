"""A kind of media: `levels: {gain: 2}` reads the numbers of a text, one a line, and shows others."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from perceiver_graph.media.base import InputMedia, OutputMedia
from perceiver_graph.media.fit import axes, channels
from perceiver_graph.media.io import Answer, Piece, Reader, Reading, Writer, reading
from perceiver_graph.runtime.opening import Source
from perceiver_graph.spec.models.base import Model, PositiveNumber


class LevelsReader(Reader):
    """Reads a text of numbers."""

    noun = "a text of numbers"

    def open(self, values: Sequence[str]) -> Reading:
        """The numbers as an array [1, time, 1]."""
        source = Source.of(values[0], noun=self.noun)
        lines = source.read().decode().splitlines()
        array = np.array(lines, np.float32).reshape(1, -1, 1) * self._form.gain
        return reading(source, pieces=lambda: iter([Piece({self._name: array})]))


class LevelsWriter(Writer):
    """Lists the numbers in the summary."""

    def add(self, piece: Piece, results: Mapping[str, NDArray[Any]]) -> dict[str, Any]:
        """Take the result of a piece."""
        self._found = results[self._name][0, :, 0] * self._form.gain
        return {}

    def finish(self, said: Mapping[str, Answer]) -> dict[str, Answer]:
        """What there is to say."""
        return {self._name: Answer(self._found.tolist(), f"{len(self._found)} numbers")}


class LevelsParameters(Model):
    """Numbers, one on each line."""

    gain: PositiveNumber = 1.0
    """What they are multiplied by."""


class LevelsMedia(InputMedia, OutputMedia):
    """The numbers of a text file."""

    levels: LevelsParameters
    """Their gain; `{}` takes the default."""

    input_checks = output_checks = (axes("time", "channel"), channels(1, "a line has one number"))
    reader, writer, example = LevelsReader, LevelsWriter, "LEVELS.txt"
