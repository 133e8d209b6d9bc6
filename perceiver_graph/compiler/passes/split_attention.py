"""Lets an attention with one head read what its keys and values are mapped from, source by source."""

from __future__ import annotations

import math
from dataclasses import dataclass

from perceiver_graph.compiler.ir.dims import Dim
from perceiver_graph.compiler.ir.graph import Node, Value
from perceiver_graph.compiler.ops import (
    Concat,
    Linear,
    Permute,
    Scale,
    SegmentedAttention,
    TensorType,
)
from perceiver_graph.compiler.passes.linear_maps import apply_map, map_flops
from perceiver_graph.compiler.passes.patterns import MAP
from perceiver_graph.compiler.passes.rewriter import Rewrite, Rewriter, parts_of, why_not_one_head


class SplitAttention(Rewrite):
    """Attention to keys [K_1 x_1, K_2 x_2, ...] of several sources, each with a map of its own.

    As in `AbsorbProjections`, the scores of a source are (q K_i) x_i and its share of the result
    V_i (A_i x_i): a segmented attention has queries of their own for each source, attends to the sources
    themselves, and one map of what it finds there, side by side, gives the result.

    1. One head without a mask, keys and values put together from linear maps of the same sources.
    2. A bias must be the same for all sources: that of keys then changes nothing, and that of values
       comes after the attention, the weights of which sum to 1.
    3. What takes more FLOPs for the largest sizes stays, with a note.
    """

    name = "split-attention"
    what = "attends to each input apart"
    after = "norm-of-linear"
    done = ("attention", "attentions", "split")
    nothing = "nothing split: no keys and values are maps of several sources"

    def apply(self, rewriter: Rewriter, node: Node) -> bool:
        reason = why_not_one_head(node)
        if reason is None:
            return False
        keys = _describe(rewriter, node["keys"])
        values = _describe(rewriter, node["values"])
        if keys is None or values is None:
            return False
        if reason := reason or _why_not(rewriter, node, keys, values):
            return rewriter.stays(node, reason)
        _apply(rewriter, node, keys, values)
        return True


@dataclass(frozen=True)
class _Maps:
    """Rows put together from linear maps."""

    joined: Value
    maps: tuple[Node, ...]

    @property
    def sources(self) -> tuple[Value, ...]:
        return tuple(node["x"] for node in self.maps)

    @property
    def biases(self) -> set[tuple[Value, ...]]:
        return {tuple(node.each("bias")) for node in self.maps}


def _describe(rewriter: Rewriter, x: Value) -> _Maps | None:
    parts = parts_of(rewriter, x, 1)
    maps = tuple(node for part in parts for node in MAP.nodes(rewriter, part))
    return _Maps(x, maps) if len(maps) == len(parts) > 1 else None


def _why_not(rewriter: Rewriter, node: Node, keys: _Maps, values: _Maps) -> str:
    """Empty where the rule fires."""
    if [x.shape[1] for x in keys.sources] != [x.shape[1] for x in values.sources]:
        return "keys and values come from different sources"
    if len(keys.biases) > 1 or len(values.biases) > 1:
        return "the biases of the sources differ"
    q = node["queries"]
    before = rewriter.cost(node)
    for maps in {keys.joined: keys, values.joined: values}.values():
        if all(reader == node for reader in rewriter.readers(maps.joined)):
            before += sum(map(rewriter.cost, maps.maps))
    width = sum(int(x.shape[-1]) for x in values.sources)
    joint = TensorType((*node.output.shape[:-1], Dim.of(width)), q.dtype)
    after: float = rewriter.type_flops(Linear(), joint, _wide(values, width))
    for key, value in zip(keys.sources, values.sources, strict=True):
        queries = TensorType((*q.shape[:-1], key.shape[-1]), q.dtype)
        after += rewriter.type_flops(SegmentedAttention((0,)), queries, key.type, value.type)
        after += map_flops(rewriter, q, int(key.shape[-1]), node)
    return "" if after < before else "its projections cost less than wider keys and values"


def _wide(values: _Maps, width: int) -> TensorType:
    weight = values.maps[0]["weight"]
    return TensorType((weight.shape[0], Dim.of(width)), weight.dtype)


def _apply(rewriter: Rewriter, node: Node, keys: _Maps, values: _Maps) -> None:
    q = node["queries"]
    factor = Scale(1 / math.sqrt(int(q.shape[-1])))
    inputs: list[Value] = []
    for key, value in zip(keys.maps, values.maps, strict=True):
        turned = rewriter.add(factor, rewriter.add(Permute((1, 0)), key["weight"]))
        queries = apply_map(rewriter, q, turned, instead_of=node)
        inputs += [queries, key["x"], value["x"]]
    found = rewriter.add(SegmentedAttention((0,) * len(keys.maps)), *inputs)
    weight = rewriter.add(Concat(1), *(value["weight"] for value in values.maps))
    (bias,) = values.biases
    rewriter.rewrite(node, Linear(), found, weight, *bias)
