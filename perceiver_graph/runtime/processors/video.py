"""The pictures of a clip: names that are kept, from `perceiver_graph.media.clip`."""

from perceiver_graph.media.clip.formats import VideoFormat, to_frames, to_pixels
from perceiver_graph.media.clip.windows import read_clip

__all__ = ["VideoFormat", "read_clip", "to_frames", "to_pixels"]
