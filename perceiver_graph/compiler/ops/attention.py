"""Attention as one primitive: whether scores are materialised, tiled or fused is the backend's choice."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Literal

from perceiver_graph.compiler.ir.dims import Dim, format_shape, product
from perceiver_graph.compiler.ir.op import ITEM_BYTES, Array, Op, TensorType, require, written
from perceiver_graph.compiler.ops.lazy import np
from perceiver_graph.compiler.ops.scores import KERNEL_CHANNELS, pieces, scores_held


@dataclass(frozen=True)
class Attention(Op):
    """softmax(scale q k^T) v for each head. Vaswani et al., 2017.

    Shapes: q [batch, n, heads * d], k [batch, m, key_heads * d], v [batch, m, key_heads * e] (, mask bool
    [batch, m]) -> [batch, n, heads * e]. Channel c of q belongs to head c // d, as in every reference,
    which reads the keys of head c // d // (heads / key_heads) (Ainslie et al., 2023).

    Queries attend where the mask is true: elsewhere scores are the least finite number. Where it is
    true nowhere, `uniform` attends to all keys alike (transformers), `zero` gives zeros (DeepMind).
    `causal` queries are the last n of m positions: the i-th attends to keys up to i + m - n.
    """

    name = "attention"
    operands = ("queries", "keys", "values", "mask?")
    heads: int = 1
    masked_rows: Literal["uniform", "zero"] = "uniform"
    key_heads: int | None = None
    """None: as many as there are of queries."""
    scale: float | None = None
    """None: 1 / sqrt(d)."""
    causal: bool = False

    def infer(self, *inputs: TensorType) -> TensorType:
        q, k, v = (self.operand(name, inputs) for name in ("queries", "keys", "values"))
        require(
            q.rank == k.rank == v.rank == 3, f"attention needs [batch, n, width], got {q}, {k}, {v}"
        )
        require(
            self.heads % self.shared == 0,
            f"attention needs key heads that divide {self.heads} heads, got {self.shared}",
        )
        for width, heads in ((q, self.heads), (k, self.shared), (v, self.shared)):
            require(
                int(width.shape[2]) % heads == 0,
                f"attention needs heads that divide {width.shape[2]}, got {heads}",
            )
        group = self.heads // self.shared
        require(
            q.shape[2] == k.shape[2] * group,
            f"attention needs q and k of one width, got {q} and {k}"
            if group == 1
            else f"attention needs q {group} times as wide as k, got {q} and {k}",
        )
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
        if self.causal and q.shape[1].value and k.shape[1].value:
            require(
                q.shape[1].value <= k.shape[1].value,
                f"causal attention needs no more queries than keys, got {q} and {k}",
            )
        return q.with_shape(q.shape[0], q.shape[1], v.shape[2] * group)

    @property
    def shared(self) -> int:
        """How many heads keys and values have."""
        return self.heads if self.key_heads is None else self.key_heads

    def scale_for(self, width: int) -> float:
        """What scores are multiplied by; `width` is that of the queries."""
        return 1 / math.sqrt(width // self.heads) if self.scale is None else self.scale

    def evaluate(self, *inputs: Array) -> Array:
        q, k, v = (self.operand(name, inputs) for name in ("queries", "keys", "values"))
        scale = q.dtype.type(self.scale_for(q.shape[-1]))
        q, k, v = (
            self._split(q, self.heads),
            self._split(k, self.shared),
            self._split(v, self.shared),
        )
        k, v = (np.repeat(x, self.heads // self.shared, axis=1) for x in (k, v))
        allowed = self._allowed(q.shape[2], k.shape[2], self.optional("mask", inputs))
        outputs = np.empty((*q.shape[:-1], v.shape[-1]), dtype=q.dtype)
        for start in range(0, q.shape[2], 1024):  # the whole score matrix need not exist
            some = slice(start, start + 1024)
            scores = q[:, :, some] @ np.swapaxes(k, -1, -2) * scale
            if allowed is not None:
                here = allowed[:, :, some] if allowed.shape[2] > 1 else allowed
                scores = np.where(here, scores, np.finfo(scores.dtype).min)
            scores = np.exp(scores - scores.max(axis=-1, keepdims=True))
            outputs[:, :, some] = scores / scores.sum(axis=-1, keepdims=True) @ v
        if allowed is not None and self.masked_rows == "zero":
            outputs *= allowed.any(axis=-1, keepdims=True)
        batch, heads, n, channels = outputs.shape
        return outputs.transpose(0, 2, 1, 3).reshape(batch, n, heads * channels)

    def _allowed(self, n: int, m: int, mask: Array | None) -> Array | None:
        """Which keys a query attends to, [batch or 1, 1, n or 1, m]; None for all."""
        allowed = None if mask is None else mask[:, None, None, :]
        if not self.causal:
            return allowed
        before = np.tri(n, m, m - n, dtype=bool)[None, None]
        return before if allowed is None else allowed & before

    def _split(self, x: Array, heads: int) -> Array:
        """[batch, n, heads * d] -> [batch, heads, n, d]."""
        batch, n, width = x.shape
        return x.reshape(batch, n, heads, width // heads).transpose(0, 2, 1, 3)

    def flops(self, inputs: Sequence[TensorType], output: TensorType) -> Dim:
        q, k = self.operand("queries", inputs), self.operand("keys", inputs)
        pairs = product(q.shape[:2]) * k.shape[1]
        return 2 * pairs * (q.shape[2] + output.shape[2])

    def fits_kernel(
        self, inputs: Sequence[TensorType], channels: int, *, one_head: bool = False
    ) -> bool:
        """Whether a kernel can answer it that keeps no scores: with heads of at most so many channels,
        no mask, and nothing that the operator says in its own way."""
        widths = [int(self.operand(x, inputs).shape[-1]) // self.shared for x in ("keys", "values")]
        plain = self.optional("mask", inputs) is None and self.masked_rows == "uniform"
        usual = not self.causal and self.key_heads is None and self.scale is None
        return plain and usual and max(widths) <= channels and (one_head or self.heads > 1)

    def parts(self, inputs: Sequence[TensorType], limit: int) -> int:
        """In how many parts queries are answered; one for several heads, with a mask, and where
        queries know their places."""
        q, k = self.operand("queries", inputs), self.operand("keys", inputs)
        whole = self.heads > 1 or self.causal or self.optional("mask", inputs) is not None
        return 1 if whole else pieces(q.shape[1], k.shape[1], limit)

    def bytes_held(
        self, inputs: Sequence[TensorType], sizes: Mapping[str, int], score_limit: int
    ) -> int:
        """Scores, or the copies of queries, keys and values head by head that a kernel works with."""
        q, k, v = (self.operand(name, inputs) for name in ("queries", "keys", "values"))
        if self.fits_kernel(inputs, KERNEL_CHANNELS):
            return ITEM_BYTES[q.dtype] * sum(
                math.prod(dim.evaluate(sizes) for dim in one.shape) for one in (q, k, v)
            )
        parts = self.parts(inputs, score_limit)
        return self.heads * scores_held(q, k.shape[1], parts, sizes)

    def __str__(self) -> str:
        """Without what is usual."""
        kept = [
            f"{field.name}={written(getattr(self, field.name))}"
            for field in fields(self)
            if field.name == "heads" or getattr(self, field.name) != field.default
        ]
        return f"{self.name}({', '.join(kept)})"
