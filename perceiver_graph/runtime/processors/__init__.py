"""Between files and arrays: video, sound, class scores and contact sheets.

PyAV and Pillow (the extra `media`) are imported when they are first needed, never with the package.
"""

from __future__ import annotations

from perceiver_graph.runtime.processors.classes import top_classes
from perceiver_graph.runtime.processors.clip import ClipInfo, Window, probe_clip, read_clip
from perceiver_graph.runtime.processors.formats import (
    AudioFormat,
    ClipFormat,
    MelFormat,
    VideoFormat,
    media_formats,
    to_arrays,
    to_frames,
    to_pixels,
    to_samples,
)
from perceiver_graph.runtime.processors.sheet import contact_sheet, evenly_spaced
from perceiver_graph.runtime.processors.writer import ClipWriter, write_clip

__all__ = [
    "AudioFormat",
    "ClipFormat",
    "ClipInfo",
    "ClipWriter",
    "MelFormat",
    "VideoFormat",
    "Window",
    "contact_sheet",
    "evenly_spaced",
    "media_formats",
    "probe_clip",
    "read_clip",
    "to_arrays",
    "to_frames",
    "to_pixels",
    "to_samples",
    "top_classes",
    "write_clip",
]
