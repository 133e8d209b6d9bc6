"""Attention as one primitive: whether scores are materialised, tiled or fused is the backend's choice."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from perceiver_graph.compiler.ir.dims import Dim, format_shape, product
from perceiver_graph.compiler.ir.op import Array, Op, TensorType, require
from perceiver_graph.compiler.ops.lazy import np
from perceiver_graph.compiler.ops.scores import pieces, scores_held


@dataclass(frozen=True)
class Attention(Op):
    """softmax(q k^T / sqrt(d)) v for each head, d = channels of q per head. Vaswani et al., 2017.

    Shapes: q [batch, n, heads * d], k [batch, m, heads * d], v [batch, m, heads * e] (, mask bool
    [batch, m]) -> [batch, n, heads * e]. Channel c belongs to head c // d, as in every reference.
    Queries attend where the mask is true: elsewhere scores are the least finite number. Where it is
    true nowhere, `uniform` attends to all keys alike (transformers), `zero` gives zeros (DeepMind).
    """

    name = "attention"
    operands = ("queries", "keys", "values", "mask?")
    heads: int = 1
    masked_rows: Literal["uniform", "zero"] = "uniform"

    def infer(self, *inputs: TensorType) -> TensorType:
        q, k, v = (self.operand(name, inputs) for name in ("queries", "keys", "values"))
        require(
            q.rank == k.rank == v.rank == 3, f"attention needs [batch, n, width], got {q}, {k}, {v}"
        )
        require(q.shape[2] == k.shape[2], f"attention needs q and k of one width, got {q} and {k}")
        require(k.shape[1] == v.shape[1], f"attention needs a value per key, got {k} and {v}")
        require(
            q.shape[0] == k.shape[0] == v.shape[0],
            f"attention needs one batch size, got {q}, {k}, {v}",
        )
        for mask in self.each("mask", inputs):
            require(
                mask == TensorType(k.shape[:2], "bool"),
                f"attention needs a mask bool{format_shape(k.shape[:2])}, got {mask}",
            )
        for width in (int(q.shape[2]), int(v.shape[2])):
            require(
                width % self.heads == 0,
                f"attention needs heads that divide {width}, got {self.heads}",
            )
        return q.with_shape(q.shape[0], q.shape[1], v.shape[2])

    def evaluate(self, *inputs: Array) -> Array:
        heads = [self._split(self.operand(name, inputs)) for name in ("queries", "keys", "values")]
        q, k, v = heads
        given = self.optional("mask", inputs)
        mask = None if given is None else given[:, None, None, :]
        scale = 1 / math.sqrt(q.shape[-1])
        outputs = np.empty((*q.shape[:-1], v.shape[-1]), dtype=q.dtype)
        for start in range(0, q.shape[2], 1024):  # the whole score matrix need not exist
            scores = q[:, :, start : start + 1024] @ np.swapaxes(k, -1, -2) * q.dtype.type(scale)
            if mask is not None:
                scores = np.where(mask, scores, np.finfo(scores.dtype).min)
            scores = np.exp(scores - scores.max(axis=-1, keepdims=True))
            outputs[:, :, start : start + 1024] = scores / scores.sum(axis=-1, keepdims=True) @ v
        if mask is not None and self.masked_rows == "zero":
            outputs *= mask.any(axis=-1, keepdims=True)
        batch, heads, n, channels = outputs.shape
        return outputs.transpose(0, 2, 1, 3).reshape(batch, n, heads * channels)

    def _split(self, x: Array) -> Array:
        """[batch, n, heads * d] -> [batch, heads, n, d]."""
        batch, n, width = x.shape
        return x.reshape(batch, n, self.heads, width // self.heads).transpose(0, 2, 1, 3)

    def flops(self, inputs: Sequence[TensorType], output: TensorType) -> Dim:
        q, k = self.operand("queries", inputs), self.operand("keys", inputs)
        pairs = product(q.shape[:2]) * k.shape[1]
        return 2 * pairs * (q.shape[2] + output.shape[2])

    def parts(self, inputs: Sequence[TensorType], limit: int) -> int:
        """In how many parts queries are answered; one for several heads, and with a mask."""
        q, k = self.operand("queries", inputs), self.operand("keys", inputs)
        whole = self.heads > 1 or self.optional("mask", inputs) is not None
        return 1 if whole else pieces(q.shape[1], k.shape[1], limit)

    def bytes_held(
        self, inputs: Sequence[TensorType], sizes: Mapping[str, int], score_limit: int
    ) -> int:
        q, k = self.operand("queries", inputs), self.operand("keys", inputs)
        parts = self.parts(inputs, score_limit)
        return self.heads * scores_held(q, k.shape[1], parts, sizes)

    def __str__(self) -> str:
        """Without what is usual."""
        return super().__str__().replace(", masked_rows='uniform'", "")
