"""Text as the ids of its bytes: names that are kept, from `perceiver_graph.media.text.tokens`."""

from perceiver_graph.media.text.tokens import Encoded, character_offsets, decode, encode, plain_ids

__all__ = ["Encoded", "character_offsets", "decode", "encode", "plain_ids"]
