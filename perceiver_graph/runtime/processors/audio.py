"""The sound of a clip: names that are kept, from `perceiver_graph.media.clip`."""

from perceiver_graph.media.clip.formats import AudioFormat, MelFormat, to_int16, to_samples
from perceiver_graph.media.clip.mel import log_mel
from perceiver_graph.media.clip.windows import read_clip

__all__ = ["AudioFormat", "MelFormat", "log_mel", "read_clip", "to_int16", "to_samples"]
