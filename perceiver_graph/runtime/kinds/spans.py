"""Stretches of a text out: labelled ones (a class for each token), and answers (start and end)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from perceiver_graph.runtime.kinds.base import Answer, Piece, Setting, Writer
from perceiver_graph.runtime.processors.classes import named, probabilities, row_probabilities
from perceiver_graph.runtime.processors.text import Encoded, character_offsets
from perceiver_graph.spec.manifest import OutputEntry
from perceiver_graph.spec.models.media import (
    LabelsMedia,
    LabelsParameters,
    SpanMedia,
    SpanParameters,
)

_MOST_SHOWN = 8


def label_writers(outputs: Mapping[str, OutputEntry], setting: Setting) -> list[Writer]:
    """A writer for each output with a class for every token."""
    found: list[Writer] = []
    for name, entry in outputs.items():
        if isinstance(entry.media, LabelsMedia):
            found.append(LabelsWriter(name, entry.media.labels))
    return found


def span_writers(outputs: Mapping[str, OutputEntry], setting: Setting) -> list[Writer]:
    """A writer for each output with a start and an end score."""
    found: list[Writer] = []
    for name, entry in outputs.items():
        if isinstance(entry.media, SpanMedia):
            found.append(SpanWriter(name, entry.media.span))
    return found


@dataclass(frozen=True)
class _Place:
    """A text among those that were encoded, and where its ids begin."""

    text: str
    start: int
    stop: int

    def stretch(self, first: int, last: int) -> dict[str, Any]:
        """The characters of the ids first to last, counted within the text; none is cut apart."""
        offsets = character_offsets(self.text)
        start = offsets[first]
        stop = next((one for one in offsets[last + 1 :] if one > offsets[last]), len(self.text))
        return {"text": self.text[start:stop], "start": start, "stop": stop}


def _places(piece: Piece) -> list[_Place]:
    encoded = piece.origin(Encoded)
    assert encoded is not None  # the factories ask for a reader of texts
    parts = zip(encoded.texts, encoded.starts, encoded.stops, strict=True)
    return [_Place(*part) for part in parts]


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
        for place in _places(piece):
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


class SpanWriter(Writer):
    """The most probable answers: a start and an end, not before it, in the last text."""

    def __init__(self, output: str, parameters: SpanParameters) -> None:
        super().__init__(output)
        self._name = output
        self._form = parameters
        self._found: list[dict[str, Any]] = []

    def add(self, piece: Piece, results: Mapping[str, NDArray[Any]]) -> dict[str, Any]:
        """Take scores [1, length, 2]."""
        place = _places(piece)[-1]
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

    def finish(self, lines: Sequence[str]) -> dict[str, Answer]:
        """The answers, best first."""
        best = self._found[0] if self._found else None
        line = f"{best['text']} {best['probability']:.1%}" if best else "there is nothing to find"
        return {self._name: Answer(self._found, line)}
