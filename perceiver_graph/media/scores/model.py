"""Plain numbers, as the spec describes them, and what they fit."""

from __future__ import annotations

from perceiver_graph.media.base import Names, OutputMedia
from perceiver_graph.media.fit import equal_names, names
from perceiver_graph.spec.models.base import Model


class ScoresParameters(Model):
    """Numbers that are written as they are."""

    names: Names | None = None
    """What they are called, in order; each has its own name."""


class ScoresMedia(OutputMedia):
    """Numbers (a similarity, a price), written as JSON."""

    scores: ScoresParameters
    """Their names; `{}` leaves them out."""

    output_checks = (names,)
    output_refusals = (equal_names,)
    writer = "perceiver_graph.media.scores.writer:ScoresWriter"
