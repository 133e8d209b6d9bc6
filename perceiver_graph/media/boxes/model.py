"""Boxes in a picture, as the spec describes them."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from perceiver_graph.media.base import Names
from perceiver_graph.spec.models.base import (
    Model,
    Name,
)


class BoxesParameters(Model):
    """Boxes around what is in a picture: centre x, centre y, width and height in [0, 1]."""

    classes: Name
    """The output with the class scores of each box; its last class means that there is nothing."""
    names: Names | None = None
    """What the classes are called, in order."""
    threshold: Annotated[float, Field(ge=0, le=1)] = 0.5
    """The lowest probability of a box that is written."""


class BoxesMedia(Model):
    """Boxes, written as JSON and drawn on the picture."""

    boxes: BoxesParameters
    """The output with their classes, and the threshold."""
