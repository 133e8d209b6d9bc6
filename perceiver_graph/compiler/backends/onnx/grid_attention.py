"""Attention to tokens on a grid, in standard operators.

Measured on CPU, 512 queries and 92 x 496 tokens of 64 channels and 258 of position: 6.5 ns a score,
against 16.6 ns with the positions multiplied out. A loop over rows of the grid, with a running
maximum, takes as long.
"""

from __future__ import annotations

import onnx_ir as ir

from perceiver_graph.compiler import ops, scores
from perceiver_graph.compiler.backends.onnx.by_parts import Rows, by_parts
from perceiver_graph.compiler.backends.onnx.emitter import Site
from perceiver_graph.compiler.dims import Dim
from perceiver_graph.compiler.ops import TensorType


def grid_attention(op: ops.GridAttention, site: Site) -> ir.Value:
    """Shapes: q [b, n, d], x [b, m, d], s [b, m, 1], t_i [b, n, size_i] -> [b, n, d + sum of sizes].

    Queries are answered some at a time, so that fewer scores exist at once.
    """
    site = site.within_scope()
    q, x, s, *tables = site.types
    turned = x.with_shape(x.shape[0], x.shape[2], x.shape[1])
    row = s.with_shape(s.shape[0], Dim.of(1), s.shape[1])
    keys = site.part("tokens_transposed", turned, "Transpose", site.input(1), perm=[0, 2, 1])
    scale = site.part("scale_row", row, "Transpose", site.input(2), perm=[0, 2, 1])
    given = [site.input(0), *(site.input(slot) for slot in range(3, 3 + len(tables)))]
    rows = list(zip(given, (q, *tables), strict=True))
    parts = scores.parts(op, site.types, site.emitter.target.score_limit)
    return by_parts(site, rows, parts, lambda some: _answer(site, some, keys, scale))


def _answer(site: Site, rows: Rows, keys: ir.Value, scale: ir.Value) -> list[ir.Value]:
    """Of queries and their tables: the sum of tokens, and of weights for the places on each axis."""
    (asked, q), *placed = rows
    x, tables = site.types[1], [type for _, type in placed]
    matrix = q.with_shape(*q.shape[:2], x.shape[1])
    sums = site.part("products", matrix, "MatMul", asked, keys)
    sums = _with_tables(site, sums, [value for value, _ in placed], tables, matrix)
    products = site.part("scores", matrix, "Mul", sums, scale)
    weights = site.part("weights", matrix, "Softmax", products, axis=-1)
    weights = site.part("scaled_weights", matrix, "Mul", weights, scale)
    tokens = site.part("tokens_found", q, "MatMul", weights, site.input(1))
    return [tokens, *_sums(site, weights, tables)]


def _with_tables(
    site: Site, x: ir.Value, values: list[ir.Value], tables: list[TensorType], matrix: TensorType
) -> ir.Value:
    """Products, and the tables of the axes added to them, in place: [b, n, m].

    All but the last table are summed first, to far fewer numbers. The sum of all of them is as large
    as the scores, and known where the queries are: onnxruntime would keep it.
    """
    *rows, last = (
        _placed(site, value, table, axis, len(tables))
        for axis, (value, table) in enumerate(zip(values, tables, strict=True))
    )
    points = matrix.with_shape(*matrix.shape[:2], *(table.shape[2] for table in tables))
    x = site.part("points", points, "Reshape", x, site.ints(0, 0, *map(int, points.shape[2:])))
    if rows:
        total, shape = rows[0]
        for value, other in rows[1:]:
            shape = tuple(a if b.value == 1 else b for a, b in zip(shape, other, strict=True))
            total = site.part("tables", points.with_shape(*shape), "Add", total, value)
        x = site.part("with_tables", points, "Add", x, total)
    x = site.part("with_tables", points, "Add", x, last[0])
    return site.part("sums", matrix, "Reshape", x, site.ints(0, 0, int(matrix.shape[2])))


def _placed(
    site: Site, value: ir.Value, table: TensorType, axis: int, axes: int
) -> tuple[ir.Value, tuple[Dim, ...]]:
    """A table along its own axis of the grid, and the shape of that: [b, n, 1, ..., size, ..., 1]."""
    own = [table.shape[2] if a == axis else Dim.of(1) for a in range(axes)]
    type = table.with_shape(*table.shape[:2], *own)
    around = [2 + a for a in range(axes) if a != axis]
    if around:
        value = site.part("table", type, "Unsqueeze", value, site.ints(*around))
    return value, type.shape


def _sums(site: Site, weights: ir.Value, tables: list[TensorType]) -> list[ir.Value]:
    """For each axis, the sums of weights over the other axes. Two of them read all weights."""
    like, count = tables[0], len(tables)
    sizes = [table.shape[2] for table in tables]
    if count == 1:
        return [weights]
    points = like.with_shape(*like.shape[:2], *sizes)
    target = site.ints(0, 0, *map(int, sizes))
    weights = site.part("weights_on_grid", points, "Reshape", weights, target)
    short = like.with_shape(*like.shape[:2], *sizes[:-1])
    rows = site.part("sums", short, "ReduceSum", weights, site.ints(-1), keepdims=0)
    found = []
    for axis, table in enumerate(tables[:-1]):
        others = [2 + a for a in range(count - 1) if a != axis]
        if others:
            part = site.part("sums", table, "ReduceSum", rows, site.ints(*others), keepdims=0)
        found.append(part if others else rows)
    last = site.ints(*range(2, 1 + count))
    found.append(site.part("sums", tables[-1], "ReduceSum", weights, last, keepdims=0))
    return found
