"""How much of an attention's scores exists at once: the rule that emission and estimates share.

It lies apart from both because estimates must not load onnx, and emission needs no cost model.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from perceiver_graph.compiler.dims import Dim
from perceiver_graph.compiler.ops import (
    Attention,
    GridAttention,
    JointAttention,
    Op,
    TableAttention,
    TensorType,
)
from perceiver_graph.compiler.ops.joint_attention import kinds

LARGEST_SCORES = 2**28
"""Bytes of scores that may exist at once for a sample; optical flow would have 1.4 GiB."""
SMALLEST_SCORES = 2**22
"""The least that a plan makes of it: below, products are too thin to be worth the memory."""

_COPIES: dict[type[Op], int] = {
    # The weight of a kind of keys among all of them takes the scores once more, after the softmax.
    JointAttention: 2,
    # On optical flow, onnxruntime holds more than two such arrays.
    GridAttention: 3,
    # The rows of two tables, and the products that they are added to.
    TableAttention: 3,
    Attention: 1,
}
"""How many arrays as large as the scores exist at once."""


def pieces(queries: Dim, keys: Dim, limit: int = LARGEST_SCORES, *, item_bytes: int = 4) -> int:
    """In how many parts queries are answered so that scores take at most `limit` bytes a sample.

    One part for sizes known only at run time; a part has a query at the least, whatever the limit.
    """
    if queries.value is None or keys.value is None:
        return 1
    return max(min(-(-item_bytes * queries.value * keys.value // limit), queries.value), 1)


def parts(op: Op, inputs: Sequence[TensorType], limit: int = LARGEST_SCORES) -> int:
    """In how many parts an attention is answered: one with several heads or a mask in one."""
    if isinstance(op, JointAttention):
        return max(parts(kind.op, kind.inputs, limit) for kind in kinds(inputs, op.axes))
    whole = isinstance(op, Attention) and (op.heads > 1 or len(inputs) == 4)
    if whole or not isinstance(op, Attention | GridAttention):
        return 1
    if isinstance(op, GridAttention):  # whose products are thin, and none the worse for fewer rows
        limit = max(limit // _COPIES[GridAttention], 1)
    return pieces(inputs[0].shape[1], inputs[1].shape[1], limit)


def has_scores(op: Op) -> bool:
    """Whether scores exist while an operator runs."""
    return type(op) in _COPIES


def elements_at_once(
    op: Op, inputs: Sequence[TensorType], sizes: Mapping[str, int], limit: int = LARGEST_SCORES
) -> int:
    """Numbers of scores that exist at once while an operator runs: 0 for all but attention."""
    if not has_scores(op):
        return 0
    q, k = inputs[:2]
    heads = op.heads if isinstance(op, Attention) else 1
    queries = -(-q.shape[1].evaluate(sizes) // parts(op, inputs, limit))
    rows = q.shape[0].evaluate(sizes) * heads * queries
    if isinstance(op, JointAttention):
        return max(
            max(_COPIES[type(op)], _COPIES[type(kind.op)])
            * rows
            * kind.keys.shape[1].evaluate(sizes)
            for kind in kinds(inputs, op.axes)
        )
    return _COPIES[type(op)] * rows * k.shape[1].evaluate(sizes)
