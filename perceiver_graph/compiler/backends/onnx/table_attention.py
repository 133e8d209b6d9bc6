"""Attention by queries on a grid, in standard operators."""

from __future__ import annotations

import onnx_ir as ir

from perceiver_graph.compiler import ops
from perceiver_graph.compiler.backends.onnx.node_builder import NodeBuilder


def table_attention(op: ops.TableAttention, b: NodeBuilder) -> ir.Value:
    """Shapes: q [b, n, d], k [b, m, d], v [b, m, e], s [b, n, 1], t_i [b, size_i, m], a_i [n]
    -> [b, n, e]."""
    b = b.within_scope()
    q, k = b.type("queries"), b.type("keys")
    matrix = q.with_shape(*q.shape[:2], k.shape[1])
    turned = k.with_shape(k.shape[0], k.shape[2], k.shape[1])
    keys = b.part("key_transposed", turned, "Transpose", b.input("keys"), perm=[0, 2, 1])
    products = b.part("products", matrix, "MatMul", b.input("queries"), keys)
    added = None
    axes = (map(b.read, b.node.each(name)) for name in ("tables", "places"))
    for table, places in zip(*axes, strict=True):
        rows = b.part("table_rows", matrix, "Gather", table, places, axis=1)
        added = rows if added is None else b.part("tables", matrix, "Add", added, rows)
    assert added is not None
    added = b.part("scaled_tables", matrix, "Mul", added, b.input("scale"))
    scores = b.part("scores", matrix, "Add", products, added)
    weights = b.part("weights", matrix, "Softmax", scores, axis=-1)
    return b.result("MatMul", weights, b.input("values"))
