"""A class for each token of a text, as the spec describes it."""

from __future__ import annotations

from perceiver_graph.media.base import Names
from perceiver_graph.spec.models.base import (
    Model,
)


class LabelsParameters(Model):
    """A class for each token of a text."""

    names: Names | None = None
    """What the classes are called, in order. The first, or one called O, marks no entity; B- and I-
    in front of a name mark the beginning and the inside of one."""


class LabelsMedia(Model):
    """Labelled stretches of a text, written as JSON."""

    labels: LabelsParameters
    """The names; `{}` numbers the classes."""
