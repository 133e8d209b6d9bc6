"""Points of a cloud: names that are kept, from `perceiver_graph.media.points.cloud`."""

from perceiver_graph.media.points.cloud import (
    centred,
    points_input,
    read_cloud,
    read_points,
    sampled,
)

__all__ = ["centred", "points_input", "read_cloud", "read_points", "sampled"]
