"""Checkpoints as the libraries write them that have a Perceiver in them, made from the tables of names."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import numpy as np

import perceiver_graph as pg
from perceiver_graph.compiler.driver import Compiled
from perceiver_graph.compiler.ir.op import Array
from perceiver_graph.compiler.weights import initialize
from perceiver_graph.compiler.weights.systems import Heads, Made, Published, System, SystemLayout
from perceiver_graph.diagnostics.model import Source
from perceiver_graph.spec.loader import SHIPPED
from perceiver_graph.spec.overrides import apply_override
from perceiver_graph.spec.yaml12 import parse_yaml
from tests.small import SMALL


def small(system: System) -> tuple[Compiled, dict[str, Array]]:
    """The shipped spec of a system in a small size, with weights."""
    compiled = pg.compile(system.spec, overrides=SMALL[system.spec])
    weights = initialize(compiled.graph, 3)
    layout = SystemLayout(system)
    for made in system.made:
        (name,) = (name for name in weights if layout.candidates(name) == [made.name])
        found = made.compute(*(x.astype(np.float64) for x in _drawn(made, weights[name]).values()))
        weights[name] = found.astype(np.float32)
    return compiled, weights


def told(system: System) -> list[str]:
    """What import has to be told of a spec in a small size: no tensor says it."""
    text = (SHIPPED / f"{system.spec}.yaml").read_text(encoding="utf-8")
    data, spans = parse_yaml(Source(system.spec, text))
    for setting in SMALL[system.spec]:
        data, spans = apply_override(setting, data, spans)
    found = []
    for key, seen in system.sizes.items():
        if isinstance(seen, Heads | Published):
            value: Any = data
            for word in key.split("."):
                value = value[word]
            found.append(f"{key}={value}")
    return found


def _drawn(made: Made, parameter: Array) -> dict[str, Array]:
    """What the library computes a parameter of ours of: a matrix and a vector, or a table."""
    rng = np.random.default_rng(3)
    width = parameter.shape[-1]
    if len(made.of) == 1:  # a table of positions: of a text, and of the 2 x 2 x 2 voxels behind it
        whole = rng.standard_normal((1, 77 + 8, width)).astype(np.float32)
        return {made.of[0]: whole}
    drawn = rng.standard_normal((width, width)), rng.standard_normal(width)
    return {name: x.astype(np.float32) for name, x in zip(made.of, drawn, strict=True)}


def theirs(system: System, weights: Mapping[str, Array], prefix: str = "") -> dict[str, Array]:
    """Weights under the names of a library, those together that it has in one tensor."""
    layout = SystemLayout(system, prefix)
    made = {prefix + one.name: one for one in system.made}
    found: dict[str, Array] = {}
    pieces: dict[str, dict[str, Array]] = {}
    sure = [c[0] for c in map(layout.candidates, weights) if len(c) == 1]
    for name, value in weights.items():
        other = _likely(layout.candidates(name), sure)
        part = re.fullmatch(r"(.+)\[(\w+)\]", other)
        if other in made:
            found |= {prefix + n: x for n, x in _drawn(made[other], value).items()}
        elif part is None:
            found[other] = value
        else:
            pieces.setdefault(part[1], {})[part[2]] = value
    settings = dict(setting.split("=") for setting in told(system))
    for whole, parts in pieces.items():
        cut = next(cut for cut in system.cuts if re.search(cut.pattern, whole))
        heads = int(settings[cut.heads]) if cut.heads else 1
        rows = [np.split(parts[part], heads) for part in cut.parts]
        found[whole] = np.concatenate([x for head in zip(*rows, strict=True) for x in head])
    return {name: _in_their_order(system, name, value) for name, value in found.items()}


def _likely(candidates: list[str], sure: list[str]) -> str:
    """The first name in a numbered block that others stand in."""
    stems = {match[0] for name in sure if (match := re.match(r".*?\.\d+\.", name))}
    return next((name for name in candidates if name.startswith(tuple(stems))), candidates[0])


def _in_their_order(system: System, name: str, value: Array) -> Array:
    fourier = system.fourier
    if fourier is None or not re.search(fourier.pattern, name):
        return value
    bands = fourier.bands(value.shape[-1])
    assert bands is not None
    there = np.empty_like(value)
    there[..., fourier.order(bands)] = value
    return there
