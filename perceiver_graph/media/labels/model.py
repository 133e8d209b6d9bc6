"""A class for each token of a text, as the spec describes it, and what it fits."""

from __future__ import annotations

from perceiver_graph.media.base import Names, OutputMedia
from perceiver_graph.media.fit import PER_TOKEN, about_tokens, alike, names, rank, several_classes
from perceiver_graph.spec.models.base import Model


class LabelsParameters(Model):
    """A class for each token of a text."""

    names: Names | None = None
    """What the classes are called, in order. The first, or one called O, marks no entity; B- and I-
    in front of a name mark the beginning and the inside of one: each letter with B- begins another."""


class LabelsMedia(OutputMedia):
    """Labelled stretches of a text, written as JSON."""

    labels: LabelsParameters
    """The names; `{}` numbers the classes."""

    output_checks = (rank(2, PER_TOKEN), about_tokens, names)
    output_warnings = (several_classes, alike)
    writer = "perceiver_graph.media.labels.writer:LabelsWriter"
