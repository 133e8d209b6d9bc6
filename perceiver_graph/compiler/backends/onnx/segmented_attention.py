"""Attention to keys of several kinds, in standard operators.

Each kind is attended to on its own. What its keys weigh among all keys follows from the logarithm of
the sum of the exponentials of its scores: the highest score, less the logarithm of its weight. In
half precision that arithmetic on single numbers stays in float32.
"""

from __future__ import annotations

from dataclasses import dataclass

import onnx_ir as ir

from perceiver_graph.compiler import ops
from perceiver_graph.compiler.backends.onnx.by_parts import Rows, by_parts
from perceiver_graph.compiler.backends.onnx.grid_attention import (
    attention_on_grid,
    found_on_grid,
    scores_on_grid,
    turned,
)
from perceiver_graph.compiler.backends.onnx.node_builder import NodeBuilder
from perceiver_graph.compiler.backends.onnx.precision import wide
from perceiver_graph.compiler.ir.dims import Dim
from perceiver_graph.compiler.ops import TensorType
from perceiver_graph.compiler.ops.segmented_attention import Segment, segments


def segmented_attention(op: ops.SegmentedAttention, b: NodeBuilder) -> ir.Value:
    """Shapes: q [b, n, d_i], k [b, m_i, d_i], v [b, m_i, e_i] of each kind -> [b, n, sum of e_i]."""
    b = b.within_scope()
    types = list(segments(op, b.types))
    if len(types) == 1 and types[0].scale is not None:
        return attention_on_grid(op, b, types[0])
    values = list(segments(op, b.inputs))
    each = [_keys(b, *pair) for pair in zip(values, types, strict=True)]
    rows = [
        row
        for value, type in zip(values, types, strict=True)
        for row in zip((value.queries, *value.tables), (type.queries, *type.tables), strict=True)
    ]
    parts = op.parts(b.types, b.emitter.target.score_limit)
    return by_parts(b, rows, parts, lambda some: _answer(b, some, each))


@dataclass(frozen=True)
class _Keys:
    """The keys of a kind, the same for all queries."""

    values: ir.Value
    transposed: ir.Value
    scale: ir.Value | None
    """Of each key [b, 1, m], on a grid."""
    type: Segment[TensorType]

    @property
    def rows(self) -> int:
        """How many rows belong to a query: its own, and those of the tables."""
        return 1 + len(self.type.tables)


def _keys(b: NodeBuilder, value: Segment[ir.Value], type: Segment[TensorType]) -> _Keys:
    keys = turned(b, value.keys, type.keys)
    scale = None
    if value.scale is not None and type.scale is not None:
        scale = turned(b, value.scale, type.scale)
    return _Keys(value.values, keys, scale, type)


def _answer(b: NodeBuilder, rows: Rows, each: list[_Keys]) -> list[ir.Value]:
    """What queries find among the keys of each kind, as much of it as these weigh among all."""
    one = wide(rows[0][1].with_shape(*rows[0][1].shape[:-1], Dim.of(1)))
    found: list[tuple[ir.Value, Dim]] = []
    logarithms: list[ir.Value] = []
    for keys in each:
        own, rows = rows[: keys.rows], rows[keys.rows :]
        value, logarithm = _attend(b, own, keys)
        found.append((value, keys.type.infer().shape[-1]))
        logarithms.append(logarithm)
    highest = b.part("highest", one, "Max", *logarithms)
    shares = [
        b.part("share", one, "Exp", b.part("below_highest", one, "Sub", x, highest))
        for x in logarithms
    ]
    total = b.part("total", one, "Sum", *shares)
    parts = []
    for (value, width), share in zip(found, shares, strict=True):
        weight = b.part("weight", one, "Div", share, total)
        weight = b.cast("weight_rounded", weight, one, b.output.dtype)
        type = TensorType((*one.shape[:-1], width), b.output.dtype)
        parts.append(b.part("part", type, "Mul", value, weight))
    return parts


def _attend(b: NodeBuilder, rows: Rows, keys: _Keys) -> tuple[ir.Value, ir.Value]:
    """What queries find among the keys of one kind, and the logarithm of the sum that it is over."""
    (asked, q), *_ = rows
    matrix = q.with_shape(*q.shape[:-1], keys.type.keys.shape[1])
    if keys.scale is None:
        products = b.part("scores", matrix, "MatMul", asked, keys.transposed)
    else:
        products = scores_on_grid(b, rows, keys.transposed, keys.scale, matrix)
    weights = b.part("weights", matrix, "Softmax", products, axis=-1)
    one = wide(matrix.with_shape(*matrix.shape[:-1], Dim.of(1)))
    top = _highest(b, "highest_score", products, matrix)
    largest = _highest(b, "highest_weight", weights, matrix)
    logarithm = b.part("logarithm", one, "Log", largest)
    logarithm = b.part("log_sum", one, "Sub", top, logarithm)
    type = q.with_shape(*q.shape[:-1], keys.type.infer().shape[-1])
    if keys.scale is None:
        return b.part("found", type, "MatMul", weights, keys.values), logarithm
    parts = found_on_grid(b, rows, weights, keys.values, keys.scale, matrix)
    return b.part("found", type, "Concat", *parts, axis=-1), logarithm


def _highest(b: NodeBuilder, part: str, x: ir.Value, type: TensorType) -> ir.Value:
    """The maximum of each row, in float32. onnxruntime's ReduceMax on CUDA knows no bfloat16."""
    one = type.with_shape(*type.shape[:-1], Dim.of(1))
    if type.dtype == "bfloat16":
        x, one = b.cast(f"{part}_of", x, type, "float32"), wide(one)
    top = b.part(part, one, "ReduceMax", x, b.ints(-1), keepdims=1)
    return b.cast(f"{part}_wide", top, one, wide(one).dtype)
