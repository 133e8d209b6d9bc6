"""Answers in a text, as the spec describes them, and what they fit."""

from __future__ import annotations

from perceiver_graph.media.base import OutputMedia
from perceiver_graph.media.fit import PER_TOKEN, about_tokens, channels, rank
from perceiver_graph.spec.models.base import Count, Model


class SpanParameters(Model):
    """A start and an end score for each token of a text."""

    top: Count = 3
    """How many of the best answers are written."""
    longest: Count = 200
    """The most tokens that an answer has."""


class SpanMedia(OutputMedia):
    """Answers as stretches of the second of two texts (or of the only one), written as JSON."""

    span: SpanParameters
    """How many and how long; `{}` takes the defaults."""

    output_checks = (
        rank(2, PER_TOKEN),
        channels(2, "an answer needs 2: start and end"),
        about_tokens,
    )
    writer = "perceiver_graph.media.span.writer:SpanWriter"
