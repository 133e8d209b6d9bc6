"""Rotation of pairs of channels as multiplication of complex numbers."""

from __future__ import annotations

from collections.abc import Callable

import torch

from perceiver_graph.compiler import ops


def turned(op: ops.Rotary) -> Callable[..., torch.Tensor]:
    """a + ib times cos + i sin, or its conjugate, for the first channels of each head."""

    def rotation(x: torch.Tensor, waves: torch.Tensor) -> torch.Tensor:
        sine, cosine = waves.chunk(2, dim=-1)
        factor = torch.complex(cosine, -sine if op.inverse else sine)
        factor = factor.expand(*x.shape[:-1], -1)
        found = x.clone()
        width, each = waves.shape[-1], x.shape[-1] // op.heads
        for head in range(op.heads):
            for pair in range(width // 2):
                one, other = (2 * pair, 2 * pair + 1)
                if op.pairs == "halves":
                    one, other = pair, width // 2 + pair
                a, b = (x[..., head * each + place] for place in (one, other))
                product = torch.complex(a, b) * factor[..., pair]
                found[..., head * each + one] = product.real
                found[..., head * each + other] = product.imag
        return found

    return rotation
