"""Rotary positions."""

from __future__ import annotations

import torch
from torch import Tensor


def rotate(
    x: Tensor, waves: Tensor, heads: int, *, pairs: str = "interleaved", inverse: bool = False
) -> Tensor:
    """Pairs of channels of each head turned by angles: (a cos - b sin, b cos + a sin).

    x [.., n, heads * d], waves [n, w] or [.., n, w] -> [.., n, heads * d]. The waves are the sines and
    then the cosines of w / 2 angles, for the first w channels of a head. Pairs are channels 2 i and
    2 i + 1, or "halves": i and w / 2 + i. `inverse` turns back.
    """
    x, width = torch.unflatten(x, -1, (heads, -1)), waves.shape[-1]
    sine, cosine = waves.to(x.dtype).unsqueeze(-2).chunk(2, dim=-1)
    sine = -sine if inverse else sine
    turned, rest = x[..., :width], x[..., width:]
    if pairs == "halves":
        a, b = turned.chunk(2, dim=-1)
        turned = torch.cat([a * cosine - b * sine, b * cosine + a * sine], dim=-1)
    else:
        a, b = turned[..., 0::2], turned[..., 1::2]
        turned = torch.stack([a * cosine - b * sine, b * cosine + a * sine], dim=-1).flatten(-2)
    return torch.cat([turned, rest], dim=-1).flatten(-2)
