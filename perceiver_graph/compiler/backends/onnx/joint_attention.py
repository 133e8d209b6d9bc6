"""Attention to keys of several kinds, in standard operators.

Each kind is attended to on its own. What its keys weigh among all keys follows from the logarithm of
the sum of the exponentials of its scores: the highest score, less the logarithm of its weight. In
half precision that arithmetic on single numbers stays in float32.
"""

from __future__ import annotations

import onnx_ir as ir

from perceiver_graph.compiler import ops, scores
from perceiver_graph.compiler.backends.onnx.by_parts import Rows, by_parts
from perceiver_graph.compiler.backends.onnx.emitter import Site
from perceiver_graph.compiler.backends.onnx.precision import wide
from perceiver_graph.compiler.dims import Dim
from perceiver_graph.compiler.ops import TensorType


def joint_attention(op: ops.JointAttention, site: Site) -> ir.Value:
    """Shapes: q [b, n, d_i], k [b, m_i, d_i], v [b, m_i, e_i] of each kind -> [b, n, sum of e_i]."""
    site = site.within_scope()
    keys = [_turned(site, slot) for slot in range(1, len(site.types), 3)]
    rows = list(zip(site.inputs[0::3], site.types[0::3], strict=True))
    parts = scores.parts(op, site.types, site.emitter.target.score_limit)
    return by_parts(site, rows, parts, lambda some: _answer(site, some, keys))


def _turned(site: Site, slot: int) -> ir.Value:
    k = site.types[slot]
    turned = k.with_shape(k.shape[0], k.shape[2], k.shape[1])
    return site.part("key_transposed", turned, "Transpose", site.input(slot), perm=[0, 2, 1])


def _answer(site: Site, rows: Rows, keys: list[ir.Value]) -> list[ir.Value]:
    """What queries find among the keys of each kind, as much of it as these weigh among all."""
    one = wide(rows[0][1].with_shape(*rows[0][1].shape[:-1], Dim.of(1)))
    found: list[tuple[ir.Value, TensorType]] = []
    logarithms: list[ir.Value] = []
    for kind, (asked, q) in enumerate(rows):
        k, v = site.types[3 * kind + 1 : 3 * kind + 3]
        matrix = q.with_shape(*q.shape[:-1], k.shape[1])
        weights, logarithm = _weights(site, asked, keys[kind], matrix)
        type = q.with_shape(*q.shape[:-1], v.shape[-1])
        values = site.input(3 * kind + 2)
        found.append((site.part("found", type, "MatMul", weights, values), type))
        logarithms.append(logarithm)
    highest = site.part("highest", one, "Max", *logarithms)
    shares = [
        site.part("share", one, "Exp", site.part("below_highest", one, "Sub", x, highest))
        for x in logarithms
    ]
    total = site.part("total", one, "Sum", *shares)
    parts = []
    for (value, type), share in zip(found, shares, strict=True):
        weight = site.part("weight", one, "Div", share, total)
        weight = site.cast("weight_rounded", weight, one, type.dtype)
        parts.append(site.part("part", type, "Mul", value, weight))
    return parts


def _weights(
    site: Site, asked: ir.Value, keys: ir.Value, matrix: TensorType
) -> tuple[ir.Value, ir.Value]:
    """The weights of the keys of one kind, and the logarithm of their sum before division by it."""
    one = wide(matrix.with_shape(*matrix.shape[:-1], Dim.of(1)))
    products = site.part("scores", matrix, "MatMul", asked, keys)
    weights = site.part("weights", matrix, "Softmax", products, axis=-1)
    top = _highest(site, "highest_score", products, matrix)
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
