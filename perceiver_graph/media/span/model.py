"""Answers in a text, as the spec describes them."""

from __future__ import annotations

from perceiver_graph.spec.models.base import (
    Count,
    Model,
)


class SpanParameters(Model):
    """A start and an end score for each token of a text."""

    top: Count = 3
    """How many of the best answers are written."""
    longest: Count = 200
    """The most tokens that an answer has."""


class SpanMedia(Model):
    """Answers as stretches of the second of two texts (or of the only one), written as JSON."""

    span: SpanParameters
    """How many and how long; `{}` takes the defaults."""
