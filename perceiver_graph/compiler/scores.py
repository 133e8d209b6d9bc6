"""How much of an attention's scores exists at once: the rule that emission and estimates share.

It lies apart from both because estimates must not load onnx, and emission needs no cost model.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from perceiver_graph.compiler.dims import Dim
from perceiver_graph.compiler.ops import Attention, GridAttention, JointAttention, Op, TensorType

LARGEST_SCORES = 2**26
"""Bytes of scores that may exist at once for a sample; optical flow would have 1.4 GiB."""
SMALLEST_SCORES = 2**22
"""The least that a plan makes of it: below, products are too thin to be worth the memory."""

_JOINT_COPIES = 2
"""The weight of a kind of keys among all of them takes the scores once more, after the softmax."""

_GRID_COPIES = 3
"""The sum of the tables of the axes is as large as the scores, and so are the products with tokens
that are added to it: on optical flow, onnxruntime holds more than two such arrays."""


def pieces(queries: Dim, keys: Dim, limit: int = LARGEST_SCORES, *, item_bytes: int = 4) -> int:
    """In how many parts queries are answered so that scores take at most `limit` bytes a sample.

    One part for sizes known only at run time, and where an attention is not `divisible`; a part has
    a query at the least, whatever the limit.
    """
    if queries.value is None or keys.value is None:
        return 1
    return max(min(-(-item_bytes * queries.value * keys.value // limit), queries.value), 1)


def divisible(op: Op, inputs: Sequence[TensorType]) -> bool:
    """Whether an attention is emitted in parts: to a grid always, else with one head and no mask."""
    if isinstance(op, GridAttention):
        return True
    return isinstance(op, Attention) and op.heads == 1 and len(inputs) == 3


def elements_at_once(
    op: Op, inputs: Sequence[TensorType], sizes: Mapping[str, int], limit: int = LARGEST_SCORES
) -> int:
    """Numbers of scores that exist at once while an operator runs: 0 for all but attention."""
    if isinstance(op, JointAttention):
        q = inputs[0]
        keys = max(k.shape[1].evaluate(sizes) for k in inputs[1::3])
        return _JOINT_COPIES * (q.shape[0] * q.shape[1]).evaluate(sizes) * keys
    if isinstance(op, GridAttention):
        q, x = inputs[:2]
        queries = -(-q.shape[1].evaluate(sizes) // pieces(q.shape[1], x.shape[1], limit))
        return _GRID_COPIES * (q.shape[0] * x.shape[1]).evaluate(sizes) * queries
    if not isinstance(op, Attention):
        return 0
    q, k = inputs[:2]
    parts = pieces(q.shape[1], k.shape[1], limit) if divisible(op, inputs) else 1
    queries = -(-q.shape[1].evaluate(sizes) // parts)
    return (q.shape[0] * k.shape[1]).evaluate(sizes) * queries * op.heads
