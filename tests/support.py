"""What several tests need: random inputs for any lowered spec, graphs as plain data."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass
from typing import Any

import numpy as np

from perceiver_graph.compiler.ir.op import Array
from perceiver_graph.compiler.lowering.lowered import Lowered
from perceiver_graph.diagnostics import Span
from perceiver_graph.spec.spans import SpanTree

POINTS = 5
"""How many points an output is asked at, where nothing else is said."""


def random_inputs(
    model: Lowered, batch: int = 1, seed: int = 0, lengths: dict[str, int] | None = None
) -> dict[str, Array]:
    """An array for every input of the graph: data, presence flags and all query positions."""
    rng = np.random.default_rng(seed)
    sizes = {"batch": batch} | (lengths or {})
    inputs: dict[str, Array] = {}
    for leaf in model.graph.inputs:
        if leaf.role == "queries":
            count = model.outputs[leaf.of].queries.evaluate(sizes)
            inputs[leaf.value.name] = np.arange(count, dtype=np.int64)
            continue
        if leaf.role == "points":
            sizes.setdefault(str(leaf.count), POINTS)
        if leaf.role == "size":
            inputs[leaf.value.name] = np.array([sizes[leaf.of]], np.int64)
            continue
        shape = tuple(dim.evaluate(sizes) for dim in leaf.value.shape)
        chosen = model.coordinates.get(leaf.of)
        if chosen and chosen.among is not None:
            inputs[leaf.value.name] = rng.integers(0, chosen.among.evaluate(sizes), shape)
        elif leaf.value.dtype == "int64":
            inputs[leaf.value.name] = rng.integers(0, vocabulary(model, leaf.of), shape)
        elif leaf.value.dtype == "bool":
            inputs[leaf.value.name] = rng.integers(0, 2, shape).astype(bool)
        else:
            inputs[leaf.value.name] = rng.standard_normal(shape).astype(np.float32)
    return inputs


def vocabulary(model: Lowered, modality: str) -> int | list[int]:
    """How many ids an input of ids may hold, or each of its channels."""
    found = model.inputs[modality].steps[0].vocabulary
    assert found is not None
    return found if isinstance(found, int) else list(found.values())


def content(item: Any) -> Any:
    """A part of a graph as plain data, by which it can be compared with that of another graph."""
    if isinstance(item, Mapping):
        return {key: content(value) for key, value in item.items()}
    if isinstance(item, tuple):
        return tuple(map(content, item))
    if is_dataclass(item):
        return type(item), *(content(getattr(item, field.name)) for field in fields(item))
    return item


def spans_of(tree: SpanTree) -> Iterator[Span]:
    """Every span of a tree, keys included."""
    for node in tree.root.walk():
        yield node.value
        if node.key is not None:
            yield node.key
