"""Boxes in a picture, as the spec describes them, and what they fit."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

from pydantic import Field

from perceiver_graph.diagnostics.text import quote
from perceiver_graph.media.base import Mismatch, Names, OutputMedia, Part, Signature
from perceiver_graph.media.fit import alike, channels, names, rank
from perceiver_graph.spec.models.base import Model, Name


class BoxesParameters(Model):
    """Boxes around what is in a picture: centre x, centre y, width and height in [0, 1]."""

    classes: Name
    """The output with the class scores of each box; its last class means that there is nothing."""
    names: Names | None = None
    """What the classes are called, in order."""
    threshold: Annotated[float, Field(ge=0, le=1)] = 0.5
    """The lowest probability of a box that is written."""


def _with_scores(part: Part, signature: Signature) -> Mismatch | None:
    named = part.settings.classes
    scores = signature.outputs.get(named)
    place = ("media", "boxes", "classes")
    if scores is None:
        fault = f"`{part.name}` has no classes: there is no output {quote(named)}"
        return Mismatch(fault, "name the output with their scores", place)
    if scores.channels == 1:
        fault = f"{quote(named)} has one class, and the last class says that there is nothing"
        return Mismatch(fault, f"give {quote(named)} 2 channels or more", place)
    count, wanted = next(iter(part.sizes.values())), list(scores.sizes.values())[:-1]
    if wanted == [count]:
        return None
    have = " x ".join(map(str, wanted)) or "one"
    fault = f"`{part.name}` has {count} boxes, and {quote(named)} has scores for {have}"
    remedy = f"give {quote(named)} its queries: `query: {{output: {part.name}}}`"
    return Mismatch(fault, remedy, place)


class BoxesMedia(OutputMedia):
    """Boxes, written as JSON and drawn on the picture."""

    boxes: BoxesParameters
    """The output with their classes, and the threshold."""

    output_checks = (
        rank(2, "ask one query for each box: `query: {learned: {count: ...}}`"),
        channels(4, "a box needs 4: centre x, centre y, width and height"),
        _with_scores,
        names,
    )
    output_warnings = (alike,)
    writer = "perceiver_graph.media.boxes.writer:BoxesWriter"

    def class_count(self, part: Part, outputs: Mapping[str, Part]) -> int | None:
        """Those of their scores, of which the last means that there is nothing."""
        scores = outputs.get(self.boxes.classes)
        count = scores.channels if scores is not None else None
        return count - 1 if isinstance(count, int) else None
