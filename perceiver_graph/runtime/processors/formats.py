"""What a model takes of a clip: names that are kept, from `perceiver_graph.media.clip.formats`."""

from perceiver_graph.media.clip.formats import (
    AudioFormat,
    ClipFormat,
    MelFormat,
    VideoFormat,
    media_formats,
    to_arrays,
    to_frames,
    to_int16,
    to_pixels,
    to_samples,
)

__all__ = [
    "AudioFormat",
    "ClipFormat",
    "MelFormat",
    "VideoFormat",
    "media_formats",
    "to_arrays",
    "to_frames",
    "to_int16",
    "to_pixels",
    "to_samples",
]
