"""Pairs of frames and optical flow: names that are kept, from `perceiver_graph.media.flow`."""

from perceiver_graph.media.flow.frames import Frames, flow_inputs, patches, read_frames, restored
from perceiver_graph.media.flow.picture import flow_picture, write_flo, write_flow_picture

__all__ = [
    "Frames",
    "flow_inputs",
    "flow_picture",
    "patches",
    "read_frames",
    "restored",
    "write_flo",
    "write_flow_picture",
]
