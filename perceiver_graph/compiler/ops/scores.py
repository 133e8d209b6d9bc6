"""How many bytes of attention scores exist at once: what programs keep to and estimates count."""

from __future__ import annotations

from collections.abc import Mapping

from perceiver_graph.compiler.ir.dims import Dim
from perceiver_graph.compiler.ir.op import ITEM_BYTES, TensorType

LARGEST_SCORES = 2**28
"""Bytes of scores that may exist at once for a sample; optical flow would have 1.4 GiB."""
SMALLEST_SCORES = 2**22
"""The least that a plan makes of it: below, products are too thin to be worth the memory."""

KERNEL_CHANNELS = 128
"""Heads up to so wide are answered on a CPU by a kernel of onnxruntime that keeps no scores."""


def pieces(queries: Dim, keys: Dim, limit: int = LARGEST_SCORES, *, item_bytes: int = 4) -> int:
    """In how many parts queries are answered so that scores take at most `limit` bytes a sample.

    One part for sizes known only at run time; a part has a query at the least, whatever the limit.
    """
    if queries.value is None or keys.value is None:
        return 1
    return max(min(-(-item_bytes * queries.value * keys.value // limit), queries.value), 1)


def scores_held(queries: TensorType, keys: Dim, parts: int, sizes: Mapping[str, int]) -> int:
    """Bytes of the scores of one head where queries [batch, n, d] are answered in so many parts."""
    batch, n, _ = (dim.evaluate(sizes) for dim in queries.shape)
    return ITEM_BYTES[queries.dtype] * batch * -(-n // parts) * keys.evaluate(sizes)
