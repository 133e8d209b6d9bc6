"""Attention by queries on a grid, in standard operators."""

from __future__ import annotations

import onnx_ir as ir

from perceiver_graph.compiler import ops
from perceiver_graph.compiler.backends.onnx.emitter import Site


def table_attention(op: ops.TableAttention, site: Site) -> ir.Value:
    """Shapes: q [b, n, d], k [b, m, d], v [b, m, e], s [b, n, 1], t_i [b, size_i, m], a_i [n]
    -> [b, n, e]."""
    site = site.within_scope()
    q, k = site.type("queries"), site.type("keys")
    matrix = q.with_shape(*q.shape[:2], k.shape[1])
    turned = k.with_shape(k.shape[0], k.shape[2], k.shape[1])
    keys = site.part("key_transposed", turned, "Transpose", site.input("keys"), perm=[0, 2, 1])
    products = site.part("products", matrix, "MatMul", site.input("queries"), keys)
    added = None
    axes = (map(site.read, site.node.each(name)) for name in ("tables", "places"))
    for table, places in zip(*axes, strict=True):
        rows = site.part("table_rows", matrix, "Gather", table, places, axis=1)
        added = rows if added is None else site.part("tables", matrix, "Add", added, rows)
    assert added is not None
    added = site.part("scaled_tables", matrix, "Mul", added, site.input("scale"))
    scores = site.part("scores", matrix, "Add", products, added)
    weights = site.part("weights", matrix, "Softmax", scores, axis=-1)
    return site.result("MatMul", weights, site.input("values"))
