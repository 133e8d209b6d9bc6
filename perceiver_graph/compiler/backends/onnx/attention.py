"""Attention in standard operators, with the scores materialised, as many of them as may exist at once.

Products of one head with many keys are at the machine's rate so; narrow heads have `fused_attention`.
"""

from __future__ import annotations

import onnx_ir as ir

from perceiver_graph.compiler import ops
from perceiver_graph.compiler.backends.onnx.by_parts import Rows, by_parts
from perceiver_graph.compiler.backends.onnx.node_builder import NodeBuilder
from perceiver_graph.compiler.backends.onnx.precision import wide
from perceiver_graph.compiler.backends.onnx.sizes import vector
from perceiver_graph.compiler.backends.onnx.tensors import DATA_TYPES
from perceiver_graph.compiler.ir.dims import Dim, Undecidable
from perceiver_graph.compiler.ops import TensorType


def attention(op: ops.Attention, b: NodeBuilder) -> ir.Value:
    """Shapes: q [b, n, h * d], k [b, m, g * d], v [b, m, g * e] (, mask [b, m]) -> [b, n, h * e].

    The scale is multiplied in right before the product, where onnxruntime makes it the `alpha` of
    FusedMatMul; others pay for the smaller operand only. Softmax runs over the last axis: over any
    other it is several times slower.
    """
    b = b.within_scope()
    zero = op.masked_rows == "zero" and "mask" in b
    queries, q = _split(b, "query", "queries", op.heads, swap=False)
    keys, k = _for_each_head(b, op, "key", _split(b, "key", "keys", op.shared, swap=True))
    values, v = _for_each_head(b, op, "value", _split(b, "value", "values", op.shared, swap=False))
    factor = b.scalar(op.scale_for(int(b.type("queries").shape[-1])), q)
    if _fewer_keys(b):
        keys = b.part("scaled_key", k, "Mul", keys, factor)
    else:
        queries = b.part("scaled_query", q, "Mul", queries, factor)
    matrix = q.with_shape(*q.shape[:-1], k.shape[-1])
    if (parts := op.parts(b.types, b.emitter.target.score_limit)) > 1:

        def answer(rows: Rows) -> list[ir.Value]:
            ((asked, type),) = rows
            matrix = type.with_shape(*type.shape[:-1], k.shape[-1])
            products = b.part("scores", matrix, "MatMul", asked, keys)
            weights = b.part("weights", matrix, "Softmax", products, axis=-1)
            context = type.with_shape(*type.shape[:-1], v.shape[-1])
            return [b.part("some", context, "MatMul", weights, values)]

        return by_parts(b, [(queries, q)], parts, answer)
    products = b.part("scores", matrix, "MatMul", queries, keys)
    if (allowed := _allowed(op, b, matrix)) is not None:
        products = _masked(b, products, matrix, *allowed)
    weights = b.part("weights", matrix, "Softmax", products, axis=-1)
    if op.heads == 1 and not zero:
        return b.result("MatMul", weights, values)
    context = q.with_shape(*q.shape[:-1], v.shape[-1])
    heads = b.part("heads", context, "MatMul", weights, values)
    if zero and allowed is not None:
        any_key = _any_key(b, context, *allowed)
        if op.heads == 1:
            return b.result("Mul", heads, any_key)
        heads = b.part("found", context, "Mul", heads, any_key)
    batch, count, n, width = context.shape
    merged = context.with_shape(batch, n, count, width)
    rows = b.part("merged", merged, "Transpose", heads, perm=[0, 2, 1, 3])
    return b.result("Reshape", rows, b.ints(0, 0, int(b.output.shape[-1])))


Mask = tuple[ir.Value, TensorType]
"""Which keys a query attends to: [b or 1, 1.., n or 1, m], of the rank of the scores."""


def _allowed(op: ops.Attention, b: NodeBuilder, matrix: TensorType) -> Mask | None:
    """The mask, the keys that are not behind a causal query, or both; None where all may be read."""
    mask = _mask_rows(b, matrix) if "mask" in b else None
    if not op.causal:
        return mask
    *_, n, m = matrix.shape
    asked = b.part("places", TensorType((n,), "int64"), "Range", *_ends(b, m - n, m))
    read = b.part("key_places", TensorType((m,), "int64"), "Range", *_ends(b, Dim.of(0), m))
    column = TensorType((n, Dim.of(1)), "int64")
    asked = b.part("places_column", column, "Unsqueeze", asked, b.ints(1))
    type = TensorType((n, m), "bool")
    before = b.part("before", type, "LessOrEqual", read, asked)
    if mask is None:
        return before, type
    type = TensorType((matrix.shape[0], *(Dim.of(1) for _ in matrix.shape[1:-2]), n, m), "bool")
    return b.part("allowed", type, "And", mask[0], before), type


def _ends(b: NodeBuilder, start: Dim, stop: Dim) -> list[ir.Value]:
    """What Range counts between, and its step: scalars."""
    number = TensorType((), "int64")
    ends = (b.part("end", number, "Squeeze", vector(b, size)) for size in (start, stop))
    return [*ends, b.scalar(1, number)]


def _masked(
    b: NodeBuilder, scores: ir.Value, matrix: TensorType, allowed: ir.Value, type: TensorType
) -> ir.Value:
    """The scores, at most the least finite number where a key is not allowed.

    A minimum is exact in every precision, where adding the least number to a score may overflow,
    and takes onnxruntime half as long as selecting.
    """
    limits = DATA_TYPES[matrix.dtype]
    highest, lowest = (b.scalar(float(x), matrix) for x in (limits.max, limits.min))
    bound = TensorType(type.shape, matrix.dtype)
    limit = b.part("limit", bound, "Where", allowed, highest, lowest)
    return b.part("masked_scores", matrix, "Min", scores, limit)


def _any_key(b: NodeBuilder, context: TensorType, allowed: ir.Value, type: TensorType) -> ir.Value:
    """1 for queries that have any key, else 0, to multiply [b, n, d] or [b, h, n, d] with."""
    # Of half precision, onnxruntime's ReduceMax on CUDA knows float16 only.
    type = TensorType(type.shape, wide(context).dtype)
    number = b.part("mask_number", type, "Cast", allowed, to=DATA_TYPES[type.dtype].value)
    one = type.with_shape(*type.shape[:-1], Dim.of(1))
    found = b.part("any_key", one, "ReduceMax", number, b.ints(-1), keepdims=1)
    return b.cast("any_key_rounded", found, one, context.dtype)


def _mask_rows(b: NodeBuilder, like: TensorType) -> Mask:
    """The mask as [b, 1, m], or [b, 1, 1, m] for several heads."""
    mask, type = b.input("mask"), b.type("mask")
    between = range(1, like.rank - 1)
    rows = type.with_shape(type.shape[0], *(Dim.of(1) for _ in between), type.shape[1])
    return b.part("mask", rows, "Unsqueeze", mask, b.ints(*between)), rows


def _for_each_head(
    b: NodeBuilder, op: ops.Attention, part: str, split: tuple[ir.Value, TensorType]
) -> tuple[ir.Value, TensorType]:
    """Keys or values, [b, g, ...], once for each of the heads that read them: [b, h, ...]."""
    x, type = split
    if op.shared == op.heads:
        return split
    times, (batch, _, *inner) = op.heads // op.shared, type.shape
    if op.shared == 1:  # of one head there is no axis yet
        type = type.with_shape(batch, Dim.of(1), *type.shape[1:])
        return b.part(f"{part}_shared", type, "Unsqueeze", x, b.ints(1)), type
    apart = type.with_shape(batch, type.shape[1], Dim.of(1), *inner)
    x = b.part(f"{part}_shared", apart, "Unsqueeze", x, b.ints(2))
    wide = apart.with_shape(batch, type.shape[1], Dim.of(times), *inner)
    x = b.part(f"{part}_repeated", wide, "Expand", x, b.ints(1, 1, times, 1, 1))
    type = type.with_shape(batch, Dim.of(op.heads), *inner)
    known = [0 if size.value is None else size.value for size in inner]
    sizes = [-1 if size == 0 else size for size in known]
    return b.part(f"{part}_each", type, "Reshape", x, b.ints(0, op.heads, *sizes)), type


def _split(
    b: NodeBuilder, part: str, operand: str, heads: int, *, swap: bool
) -> tuple[ir.Value, TensorType]:
    """[b, n, h * d] -> [b, h, n, d], or [b, h, d, n] with `swap`; without h for one head."""
    x, type = b.input(operand), b.type(operand)
    batch, n, width = type.shape
    if heads == 1:
        if not swap:
            return x, type
        type = type.with_shape(batch, width, n)
        return b.part(f"{part}_transposed", type, "Transpose", x, perm=[0, 2, 1]), type
    d = width.exact_div(heads)
    count = Dim.of(heads)
    unflat = type.with_shape(batch, n, count, d)
    x = b.part(f"{part}_heads", unflat, "Reshape", x, b.ints(0, 0, heads, int(d)))
    type = type.with_shape(batch, count, *((d, n) if swap else (n, d)))
    order = [0, 2, 3, 1] if swap else [0, 2, 1, 3]
    return b.part(f"{part}_split", type, "Transpose", x, perm=order), type


def _fewer_keys(b: NodeBuilder) -> bool:
    q, k = b.type("queries"), b.type("keys")
    try:
        return k.shape[1] < q.shape[1]
    except Undecidable:
        return False
