"""Attention to keys of several kinds, in standard operators.

Each kind is attended to on its own. What its keys weigh among all keys follows from the logarithm of
the sum of the exponentials of its scores: the highest score, less the logarithm of its weight. In
half precision that arithmetic on single numbers stays in float32.
"""

from __future__ import annotations

import onnx_ir as ir

from perceiver_graph.compiler import ops
from perceiver_graph.compiler.backends.onnx.emitter import Site
from perceiver_graph.compiler.backends.onnx.precision import wide
from perceiver_graph.compiler.dims import Dim
from perceiver_graph.compiler.ops import TensorType


def joint_attention(op: ops.JointAttention, site: Site) -> ir.Value:
    """Shapes: q [b, n, d_i], k [b, m_i, d_i], v [b, m_i, e_i] of each kind -> [b, n, sum of e_i]."""
    site = site.within_scope()
    one = wide(site.output.with_shape(*site.output.shape[:-1], Dim.of(1)))
    found: list[ir.Value] = []
    logarithms: list[ir.Value] = []
    for kind in range(len(site.types) // 3):
        weights, logarithm = _weights(site, 3 * kind)
        value = site.types[3 * kind + 2]
        type = site.output.with_shape(*site.output.shape[:-1], value.shape[-1])
        found.append(site.part("found", type, "MatMul", weights, site.input(3 * kind + 2)))
        logarithms.append(logarithm)
    highest = site.part("highest", one, "Max", *logarithms)
    shares = [
        site.part("share", one, "Exp", site.part("below_highest", one, "Sub", x, highest))
        for x in logarithms
    ]
    total = site.part("total", one, "Sum", *shares)
    parts = []
    for kind, share in enumerate(shares):
        value = site.types[3 * kind + 2]
        type = site.output.with_shape(*site.output.shape[:-1], value.shape[-1])
        weight = site.part("weight", one, "Div", share, total)
        weight = site.cast("weight_rounded", weight, one, type.dtype)
        parts.append(site.part("part", type, "Mul", found[kind], weight))
    return site.result("Concat", *parts, axis=-1)


def _weights(site: Site, slot: int) -> tuple[ir.Value, ir.Value]:
    """The weights of the keys of one kind, and the logarithm of their sum before division by it."""
    q, k = site.types[slot : slot + 2]
    matrix = q.with_shape(*q.shape[:-1], k.shape[1])
    one = wide(q.with_shape(*q.shape[:-1], Dim.of(1)))
    turned = k.with_shape(k.shape[0], k.shape[2], k.shape[1])
    keys = site.part("key_transposed", turned, "Transpose", site.input(slot + 1), perm=[0, 2, 1])
    scores = site.part("scores", matrix, "MatMul", site.input(slot), keys)
    weights = site.part("weights", matrix, "Softmax", scores, axis=-1)
    top = _highest(site, "highest_score", scores, matrix)
    logarithm = site.part(
        "logarithm", one, "Log", _highest(site, "highest_weight", weights, matrix)
    )
    return weights, site.part("log_sum", one, "Sub", top, logarithm)


def _highest(site: Site, part: str, x: ir.Value, type: TensorType) -> ir.Value:
    """The maximum of each row, in float32. onnxruntime's ReduceMax on CUDA knows no bfloat16."""
    one = type.with_shape(*type.shape[:-1], Dim.of(1))
    if type.dtype == "bfloat16":
        x, one = site.cast(f"{part}_of", x, type, "float32"), wide(one)
    top = site.part(part, one, "ReduceMax", x, site.ints(-1), keepdims=1)
    return site.cast(f"{part}_wide", top, one, wide(one).dtype)
