"""Answers some queries of an attention at a time: rows do not see each other, and fewer scores exist.

Nor do rows know their place: an attention that asks for it, as a causal one would, has one part.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import onnx_ir as ir

from perceiver_graph.compiler.backends.onnx.node_builder import NodeBuilder
from perceiver_graph.compiler.ir.dims import Dim
from perceiver_graph.compiler.ops import TensorType

Rows = Sequence[tuple[ir.Value, TensorType]]
"""Values with a row for each query, [b, n, ...]."""
Answer = Callable[[Rows], list[ir.Value]]
"""From such values of some queries: what they find, as parts of the channels."""


def by_parts(b: NodeBuilder, rows: Rows, parts: int, answer: Answer) -> ir.Value:
    """The result of an attention with n queries, asked in so many parts. Shape: [b, n, channels]."""
    if parts == 1:
        return b.result("Concat", *answer(rows), axis=-1)
    n = int(rows[0][1].shape[1])
    size = -(-n // parts)
    found = []
    for start in range(0, n, size):
        count = Dim.of(min(size, n - start))
        bounds = (b.ints(start), b.ints(start + int(count)), b.ints(1))
        some = []
        for value, type in rows:
            part = type.with_shape(type.shape[0], count, *type.shape[2:])
            some.append((b.part("some_queries", part, "Slice", value, *bounds), part))
        answers = answer(some)
        type = b.output.with_shape(b.output.shape[0], count, b.output.shape[2])
        whole = answers[0] if len(answers) == 1 else None
        found.append(whole or b.part("some", type, "Concat", *answers, axis=-1))
    return b.result("Concat", *found, axis=1)
