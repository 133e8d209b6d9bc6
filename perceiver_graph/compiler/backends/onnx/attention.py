"""Attention in standard operators, with the scores materialised.

This is where to choose another emission: measured on CPU, a fused kernel wins for heads of at most
about 160 channels and loses above, so that a cross-attend with one head stays as it is here.
"""

from __future__ import annotations

import math

import onnx_ir as ir

from perceiver_graph.compiler import ops
from perceiver_graph.compiler.backends.onnx.emitter import Site
from perceiver_graph.compiler.dims import Dim, Undecidable
from perceiver_graph.compiler.ops import TensorType


def attention(op: ops.Attention, site: Site) -> ir.Value:
    """Shapes: q [b, n, h * d], k [b, m, h * d], v [b, m, h * e] -> [b, n, h * e].

    The scale is multiplied in right before the product, where onnxruntime makes it the `alpha` of
    FusedMatMul; others pay for the smaller operand only. Softmax runs over the last axis: over any
    other it is several times slower.
    """
    site = site.within_scope()
    q, k, v = site.types
    queries, q = _split(site, "query", 0, op.heads, swap=False)
    keys, k = _split(site, "key", 1, op.heads, swap=True)
    values, v = _split(site, "value", 2, op.heads, swap=False)
    factor = site.scalar(1 / math.sqrt(int(q.shape[-1])), q)
    if _fewer_keys(site):
        keys = site.part("scaled_key", k, "Mul", keys, factor)
    else:
        queries = site.part("scaled_query", q, "Mul", queries, factor)
    matrix = q.with_shape(*q.shape[:-1], k.shape[-1])
    scores = site.part("scores", matrix, "MatMul", queries, keys)
    weights = site.part("weights", matrix, "Softmax", scores, axis=-1)
    if op.heads == 1:
        return site.result("MatMul", weights, values)
    context = q.with_shape(*q.shape[:-1], v.shape[-1])
    heads = site.part("heads", context, "MatMul", weights, values)
    batch, count, n, width = context.shape
    merged = context.with_shape(batch, n, count, width)
    rows = site.part("merged", merged, "Transpose", heads, perm=[0, 2, 1, 3])
    return site.result("Reshape", rows, site.ints(0, 0, int(site.output.shape[-1])))


def _split(
    site: Site, part: str, slot: int, heads: int, *, swap: bool
) -> tuple[ir.Value, TensorType]:
    """[b, n, h * d] -> [b, h, n, d], or [b, h, d, n] with `swap`; without h for one head."""
    x, type = site.input(slot), site.types[slot]
    batch, n, width = type.shape
    if heads == 1:
        if not swap:
            return x, type
        type = type.with_shape(batch, width, n)
        return site.part(f"{part}_transposed", type, "Transpose", x, perm=[0, 2, 1]), type
    d = width.exact_div(heads)
    count = Dim.of(heads)
    unflat = type.with_shape(batch, n, count, d)
    x = site.part(f"{part}_heads", unflat, "Reshape", x, site.ints(0, 0, heads, int(d)))
    type = type.with_shape(batch, count, *((d, n) if swap else (n, d)))
    order = [0, 2, 3, 1] if swap else [0, 2, 1, 3]
    return site.part(f"{part}_split", type, "Transpose", x, perm=order), type


def _fewer_keys(site: Site) -> bool:
    q, k, _ = site.types
    try:
        return k.shape[1] < q.shape[1]
    except Undecidable:
        return False
