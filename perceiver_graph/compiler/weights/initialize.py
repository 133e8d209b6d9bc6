"""Initial weights. Each parameter has a random stream of its own, seeded by its name.

Adding, removing or reordering blocks therefore leaves the initial values of all others as they were.
"""

from __future__ import annotations

import hashlib
from math import prod, sqrt

import numpy as np

from perceiver_graph.compiler.ir.graph import Graph, Parameter
from perceiver_graph.compiler.ir.op import Array

_CUT = np.float32(2)
"""In standard deviations: where jax.random.truncated_normal cuts for haiku's TruncatedNormal."""


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
        case "truncated_normal" | "fan_in":
            values = _cut_off(_generator(seed, leaf.value.name), shape)
            inputs = prod(shape[1:]) if leaf.init.kind == "fan_in" else 1
            values *= np.float32(leaf.init.scale / sqrt(inputs))
            return values


def _cut_off(generator: np.random.Generator, shape: tuple[int, ...]) -> Array:
    """Normal values between -2 and 2: those beyond are drawn again, until none is left."""
    values = generator.standard_normal(shape, np.float32)
    flat = values.reshape(-1)
    beyond = np.flatnonzero(np.abs(flat) > _CUT)
    while beyond.size:
        flat[beyond] = generator.standard_normal(beyond.size, np.float32)
        beyond = beyond[np.abs(flat[beyond]) > _CUT]
    return values


def _generator(seed: int, name: str) -> np.random.Generator:
    """A hash and not Python's `hash`: that one differs from process to process."""
    digest = hashlib.sha256(f"{seed}\n{name}".encode()).digest()
    return np.random.Generator(np.random.PCG64(int.from_bytes(digest[:16], "little")))
