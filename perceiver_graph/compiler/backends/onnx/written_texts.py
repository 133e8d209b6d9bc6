"""What the programs that write texts are run on, to measure them in 8 bits: the sample as a text, of which
all but the last token is read first, and that one is a step.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from perceiver_graph.compiler.ir.graph import Graph, Input
from perceiver_graph.compiler.ir.op import Array

Arrays = Mapping[str, Array]


def prefill(program: Graph, sample: Arrays, sizes: Mapping[str, int]) -> dict[str, Array]:
    """The inputs of the program that reads a text. There is room for one latent more: that of the step."""
    latents = _latents(program)
    (symbol,) = latents.count.symbols
    tokens = _text(program).value.shape[1]
    length = max(tokens.evaluate(sizes) - 1, 1)
    count = max(min((symbol.highest or length) - 1, length), 1)
    sizes = {**sizes, str(tokens): length, symbol.name: count}
    found = {}
    for leaf in program.inputs:
        shape = [dim.evaluate(sizes) for dim in leaf.value.shape]
        if leaf is latents:
            found[leaf.value.name] = np.arange(-count, 0)
        elif leaf.role == "latents":  # the tokens before them
            found[leaf.value.name] = np.arange(*shape)
        elif leaf.role == "size":
            found[leaf.value.name] = np.array([sizes[leaf.of]], np.int64)
        else:
            found[leaf.value.name] = sample[leaf.value.name][tuple(map(slice, shape))]
    return found


def step(
    program: Graph, reader: Graph, sample: Arrays, read: Arrays, state: Arrays
) -> dict[str, Array]:
    """The inputs of the program that goes on by a token, where `reader` has read `read` and left `state`."""
    length = read[_text(reader).value.name].shape[1]
    found = {}
    for leaf in program.inputs:
        name = leaf.value.name
        if leaf.role == "position":
            found[name] = np.array([length], np.int64)
        elif leaf.role == "state":
            found[name] = state[leaf.of]
        else:
            found[name] = sample[name][:, -1:]
    return found


def _text(program: Graph) -> Input:
    """The ids of the text."""
    of = _latents(program).of
    return next(leaf for leaf in program.inputs if leaf.role == "data" and leaf.of == of)


def _latents(program: Graph) -> Input:
    """Which tokens are the latents: a symbol says how many, of those before them it is an expression."""
    places = (leaf for leaf in program.inputs if leaf.role == "latents")
    return next(leaf for leaf in places if leaf.count.symbol is not None)
