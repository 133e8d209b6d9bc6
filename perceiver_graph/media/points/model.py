"""A cloud of points, as the spec describes it, and what it fits."""

from __future__ import annotations

from perceiver_graph.media.base import InputMedia
from perceiver_graph.media.fit import no_ids, one_length, rank, rows
from perceiver_graph.spec.models.base import Model


class PointsParameters(Model):
    """A cloud of points."""

    centre: bool = True
    """Whether the points are moved and scaled into [-1, 1], with their mean at 0."""


class PointsMedia(InputMedia):
    """The points of a .ply, .off, .pcd, .npy, .npz or text file (.xyz, .csv, .pts), in the axes point,
    channel."""

    points: PointsParameters
    """How they are scaled; `{}` takes the default."""

    input_checks = (no_ids, rank(2, "give it one axis of points, and `channel`"), one_length, rows)
    reader = "perceiver_graph.media.points.reader:PointsReader"
    example = "POINTS.ply"
    places = True
