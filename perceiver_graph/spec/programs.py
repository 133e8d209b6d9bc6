"""The programs of a model, and what each may read: what compiler and runtime agree on.

It lies apart from the manifest because lowering needs it, and manifests only what is compiled.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

Role = Literal[
    "data",
    "present",
    "attention_mask",
    "queries",
    "points",
    "size",
    "grid",
    "state",
    "latents",
    "position",
]
"""What an array is to the program that reads it.

`data`: an input, or coordinates of the tokens of others. `present`: bool [batch], whether that input
was given (its mask token stands for it otherwise). `attention_mask`: bool [batch, *token axes], which
of its tokens there are. `queries`: int64 [count], which positions of an output are asked for.
`points`: [batch, count, coordinates], where an output is asked. `size`: int64 [1], what a symbol stands
for that no shape says. `grid`: int64 [axes], how large the grid of an output is, which older artifacts
have in place of sizes. `state`: what a program leaves for others, or for its own next run (a cache).
`latents`: int64 [count], which tokens of all are the latents, counted from the end: -count, .., -1.
`position`: int64 [1], the place of a new token in its text.
"""
ASKED: frozenset[Role] = frozenset({"queries", "points"})
"""Roles of what is asked of an output: a program that reads any runs once for each chunk of it."""
READS: Mapping[str, frozenset[Role]] = {
    "encode": frozenset({"data", "present", "attention_mask", "size"}),
    "decode": frozenset({"state", "queries", "points", "size", "grid"}),
}
"""The programs of a model by name, in the order in which they run, and what each may read."""

PREFILL, STEP = "prefill", "step"
WRITES: Mapping[str, frozenset[Role]] = {
    PREFILL: frozenset({"data", "present", "attention_mask", "size", "latents"}),
    STEP: frozenset({"data", "attention_mask", "state", "size", "position"}),
}
"""The programs of a model that writes a text, and what each may read. The first reads all there is, with
as many latents as it is told; the second goes on by one token, and hands its state to itself."""

ENCODE_ATTENTION, DECODE_ATTENTION = "encode_attention", "decode_attention"
SHOWS: Mapping[str, frozenset[Role]] = {
    ENCODE_ATTENTION: READS["encode"],
    DECODE_ATTENTION: READS["encode"] | READS["decode"],
}
"""The programs that show what a cross-attend reads, and what each may read: they give its queries and
keys. The state is that of encode."""
