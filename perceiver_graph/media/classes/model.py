"""Scores over classes, as the spec describes them, and what they fit."""

from __future__ import annotations

from perceiver_graph.media.base import Names, OutputMedia
from perceiver_graph.media.fit import names, rank, several_classes
from perceiver_graph.spec.models.base import Count, Model


class ClassesParameters(Model):
    """Scores over classes."""

    top: Count = 5
    """How many of the best are written."""
    names: Names | None = None
    """What the classes are called, in order."""
    multi_label: bool = False
    """Whether each class is there or not by itself (sigmoid), instead of one among all (softmax)."""


class ClassesMedia(OutputMedia):
    """Class scores; the best are written as JSON."""

    classes: ClassesParameters
    """How many, and their names; `{}` takes the defaults."""

    output_checks = (rank(1, "ask a single query: `query: {learned: {}}`"), names)
    output_warnings = (several_classes,)
    writer = "perceiver_graph.media.classes.writer:ClassesWriter"
