"""Initial weights. Each parameter has a random stream of its own, seeded by its name.

Adding, removing or reordering blocks therefore leaves the initial values of all others as they were.
"""

from __future__ import annotations

import hashlib

import numpy as np

from perceiver_graph.compiler.ir import Graph, Parameter
from perceiver_graph.compiler.ops.base import Array


def initialize(graph: Graph, seed: int) -> dict[str, Array]:
    """Every parameter by name, float32, as its `Initializer` says; any integer is a seed.

    The values depend on the seed, the parameter's name, its shape and its scale, and on nothing else.
    """
    return {leaf.value.name: _initial(leaf, seed) for leaf in graph.parameters}


def _initial(leaf: Parameter, seed: int) -> Array:
    shape = tuple(int(size) for size in leaf.value.shape)
    match leaf.init.kind:
        case "zeros":
            return np.zeros(shape, np.float32)
        case "ones":
            return np.ones(shape, np.float32)
        case "normal":
            values = _generator(seed, leaf.value.name).standard_normal(shape, np.float32)
            values *= np.float32(leaf.init.scale)
            return values


def _generator(seed: int, name: str) -> np.random.Generator:
    """A hash and not Python's `hash`: that one differs from process to process."""
    digest = hashlib.sha256(f"{seed}\n{name}".encode()).digest()
    return np.random.Generator(np.random.PCG64(int.from_bytes(digest[:16], "little")))
