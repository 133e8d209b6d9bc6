"""Pictures: names that are kept, from `perceiver_graph.media.image.resizing`."""

from perceiver_graph.media.image.resizing import Region, centred, normalised, resized

__all__ = ["Region", "centred", "normalised", "resized"]
