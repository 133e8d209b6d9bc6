"""Leaves out what is masked at the end of an input: the same result for less work.

A text that is padded to the longest length that a model takes is mostly padding.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from perceiver_graph.runtime.feeds import Feeds
from perceiver_graph.runtime.sizes import symbols
from perceiver_graph.spec.manifest import Manifest


def cut(manifest: Manifest, feeds: Feeds) -> Feeds:
    """Feeds of encode without the tokens at the end that are masked in every batch element.

    Softmax gives a masked token a weight of exactly zero, except in a batch element where all are
    masked: then nothing is cut. Nor is it where the length matters to more than the tokens that the
    latents read: to another input, or to what is handed over to decode (queries made of tokens).
    Nor is it where the latents depend on where the tokens end, as latents do that are the last of them.
    What comes of it is for encode alone: outputs have the sizes of the feeds that were given.
    """
    for symbol, name in _lengths(manifest):
        mask = feeds.masks[name]
        if not mask.any(axis=1).all():
            continue
        used = int(np.flatnonzero(mask.any(axis=0))[-1]) + 1
        length = manifest.dims[symbol].at_least(used)
        if length is None or length >= mask.shape[1]:
            continue
        data = np.ascontiguousarray(feeds.arrays[name][:, :length])
        feeds = replace(
            feeds,
            arrays=feeds.arrays | {name: data},
            masks=feeds.masks | {name: np.ascontiguousarray(mask[:, :length])},
            sizes=feeds.sizes | {symbol: length},
        )
    return feeds


def _lengths(manifest: Manifest) -> Iterator[tuple[str, str]]:
    """Symbols that are the length of one input alone and nothing else in encode, with its name."""
    fixed = {"batch"}
    for port in manifest.programs["encode"].outputs:
        fixed.update(symbols(port.shape))
    for name, entry in manifest.inputs.items():
        mask = entry.attention_mask
        if mask is None or not mask.pointwise or entry.mask == "always":
            continue
        match mask.shape, entry.shape:
            case [_, str(length)], [_, str(size), *rest] if length == size in manifest.dims:
                others = [o.shape for other, o in manifest.inputs.items() if other != name]
                if length not in fixed.union(symbols(rest), *map(symbols, others)):
                    yield length, name
