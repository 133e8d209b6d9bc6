"""Clips as windows: names that are kept, from `perceiver_graph.media.clip`."""

from perceiver_graph.media.clip.encode import ClipWriter
from perceiver_graph.media.clip.formats import Window
from perceiver_graph.media.clip.windows import ClipInfo, probe_clip, read_clip

__all__ = ["ClipInfo", "ClipWriter", "Window", "probe_clip", "read_clip"]
