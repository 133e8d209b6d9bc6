"""Attention to tokens on a grid, in standard operators.

Measured on CPU, 512 queries and 92 x 496 tokens of 64 channels and 258 of position: 6.5 ns a score,
against 16.6 ns with the positions multiplied out. A loop over rows of the grid, with a running
maximum, takes as long.
"""

from __future__ import annotations

import onnx_ir as ir

from perceiver_graph.compiler import ops
from perceiver_graph.compiler.backends.onnx.by_parts import Rows, by_parts
from perceiver_graph.compiler.backends.onnx.node_builder import NodeBuilder
from perceiver_graph.compiler.ir.dims import Dim
from perceiver_graph.compiler.ops import TensorType
from perceiver_graph.compiler.ops.segmented_attention import Segment, segments


def attention_on_grid(
    op: ops.SegmentedAttention, b: NodeBuilder, segment: Segment[TensorType]
) -> ir.Value:
    """Shapes: q [b, n, d], x [b, m, d], s [b, m, 1], t_i [b, n, size_i] -> [b, n, d + sum of sizes].

    Queries are answered some at a time, so that fewer scores exist at once.
    """
    (given,) = segments(op, b.node.inputs)
    assert given.scale is not None
    q, x = segment.queries, segment.keys
    tokens = turned(b, b.read(given.keys), x)
    scale = turned(b, b.read(given.scale), b.type_of(given.scale))
    asked = (given.queries, *given.tables)
    rows = [(b.read(value), b.type_of(value)) for value in asked]

    def answer(some: Rows) -> list[ir.Value]:
        matrix = q.with_shape(*some[0][1].shape[:2], x.shape[1])
        products = scores_on_grid(b, some, tokens, scale, matrix)
        weights = b.part("weights", matrix, "Softmax", products, axis=-1)
        return found_on_grid(b, some, weights, b.read(given.keys), scale, matrix)

    parts = op.parts(b.types, b.emitter.target.score_limit)
    return by_parts(b, rows, parts, answer)


def turned(b: NodeBuilder, value: ir.Value, type: TensorType) -> ir.Value:
    """Rows as columns, [b, m, d] -> [b, d, m], once for all queries."""
    columns = type.with_shape(type.shape[0], type.shape[2], type.shape[1])
    return b.part("transposed", columns, "Transpose", value, perm=[0, 2, 1])


def scores_on_grid(
    b: NodeBuilder, rows: Rows, tokens: ir.Value, scale: ir.Value, matrix: TensorType
) -> ir.Value:
    """Of queries and their tables, with tokens [b, d, m] and a scale [b, 1, m]: [b, n, m]."""
    (asked, _), *tables = rows
    sums = b.part("products", matrix, "MatMul", asked, tokens)
    sums = _with_tables(b, sums, tables, matrix)
    return b.part("scores", matrix, "Mul", sums, scale)


def found_on_grid(
    b: NodeBuilder,
    rows: Rows,
    weights: ir.Value,
    tokens: ir.Value,
    scale: ir.Value,
    matrix: TensorType,
) -> list[ir.Value]:
    """The sum of tokens [b, m, d] with these weights, and of weights for the places on each axis."""
    (_, q), *tables = rows
    weights = b.part("scaled_weights", matrix, "Mul", weights, scale)
    found = b.part("tokens_found", q, "MatMul", weights, tokens)
    return [found, *_sums(b, weights, [type for _, type in tables])]


def _with_tables(b: NodeBuilder, x: ir.Value, tables: Rows, matrix: TensorType) -> ir.Value:
    """Products, and the tables of the axes added to them, in place: [b, n, m].

    All but the last table are summed first, to far fewer numbers. The sum of all of them is as large
    as the scores, and known where the queries are: onnxruntime would keep it.
    """
    *rows, last = (
        _placed(b, value, table, axis, len(tables)) for axis, (value, table) in enumerate(tables)
    )
    points = matrix.with_shape(*matrix.shape[:2], *(table.shape[2] for _, table in tables))
    x = b.part("points", points, "Reshape", x, b.ints(0, 0, *map(int, points.shape[2:])))
    if rows:
        total, shape = rows[0]
        for value, other in rows[1:]:
            shape = tuple(x if y.value == 1 else y for x, y in zip(shape, other, strict=True))
            total = b.part("tables", points.with_shape(*shape), "Add", total, value)
        x = b.part("with_tables", points, "Add", x, total)
    x = b.part("with_tables", points, "Add", x, last[0])
    return b.part("sums", matrix, "Reshape", x, b.ints(0, 0, int(matrix.shape[2])))


def _placed(
    b: NodeBuilder, value: ir.Value, table: TensorType, axis: int, axes: int
) -> tuple[ir.Value, tuple[Dim, ...]]:
    """A table along its own axis of the grid, and the shape of that: [b, n, 1, ..., size, ..., 1]."""
    own = [table.shape[2] if a == axis else Dim.of(1) for a in range(axes)]
    type = table.with_shape(*table.shape[:2], *own)
    around = [2 + a for a in range(axes) if a != axis]
    if around:
        value = b.part("table", type, "Unsqueeze", value, b.ints(*around))
    return value, type.shape


def _sums(b: NodeBuilder, weights: ir.Value, tables: list[TensorType]) -> list[ir.Value]:
    """For each axis, the sums of weights over the other axes. Two of them read all weights."""
    like, count = tables[0], len(tables)
    sizes = [table.shape[2] for table in tables]
    if count == 1:
        return [weights]
    points = like.with_shape(*like.shape[:2], *sizes)
    target = b.ints(0, 0, *map(int, sizes))
    weights = b.part("weights_on_grid", points, "Reshape", weights, target)
    short = like.with_shape(*like.shape[:2], *sizes[:-1])
    rows = b.part("sums", short, "ReduceSum", weights, b.ints(-1), keepdims=0)
    found = []
    for axis, table in enumerate(tables[:-1]):
        others = [2 + a for a in range(count - 1) if a != axis]
        if others:
            part = b.part("sums", table, "ReduceSum", rows, b.ints(*others), keepdims=0)
        found.append(part if others else rows)
    last = b.ints(*range(2, 1 + count))
    found.append(b.part("sums", tables[-1], "ReduceSum", weights, last, keepdims=0))
    return found
