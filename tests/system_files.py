"""Checkpoints as the libraries write them that have a Perceiver in them, made from the tables of names."""

from __future__ import annotations

import re
from collections.abc import Mapping

import numpy as np

import perceiver_graph as pg
from perceiver_graph.compiler.driver import Compiled
from perceiver_graph.compiler.ir.op import Array
from perceiver_graph.compiler.weights import initialize
from perceiver_graph.compiler.weights.systems import System, SystemLayout
from tests.small import SMALL


def small(system: System) -> tuple[Compiled, dict[str, Array]]:
    """The shipped spec of a system in a small size, with weights."""
    compiled = pg.compile(system.spec, overrides=SMALL[system.spec])
    return compiled, initialize(compiled.graph, 3)


def heads(compiled: Compiled) -> list[str]:
    """What import has to be told of a spec: no tensor says it."""
    spec = compiled.lowered.document.spec
    told = [f"encode.heads={spec.encode.heads}"]
    if spec.process.layers and spec.process.weights == "own":
        told += [f"process.heads={spec.process.heads}"]
    told += [f"decode.heads={spec.decode.heads}"] if "decode" in spec.model_fields_set else []
    return told + ([f"encode.key_heads={spec.encode.key_heads}"] if spec.encode.key_heads else [])


def theirs(system: System, weights: Mapping[str, Array], prefix: str = "") -> dict[str, Array]:
    """Weights under the names of a library, those together that it has in one tensor."""
    layout = SystemLayout(system, prefix)
    found: dict[str, Array] = {}
    pieces: dict[str, dict[str, Array]] = {}
    for name, value in weights.items():
        other = layout.candidates(name)[0]
        part = re.fullmatch(r"(.+)\[(\w+)\]", other)
        if part is None:
            found[other] = value
        else:
            pieces.setdefault(part[1], {})[part[2]] = value
    for whole, parts in pieces.items():
        order = next(parts for cut, parts in system.cuts if re.search(cut, whole))
        found[whole] = np.concatenate([parts[part] for part in order])
    return {name: _in_their_order(system, name, value) for name, value in found.items()}


def _in_their_order(system: System, name: str, value: Array) -> Array:
    fourier = system.fourier
    if fourier is None or not re.search(fourier.pattern, name):
        return value
    bands = fourier.bands(value.shape[-1])
    assert bands is not None
    there = np.empty_like(value)
    there[..., fourier.order(bands)] = value
    return there
