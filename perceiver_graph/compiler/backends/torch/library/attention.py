"""Attention."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def split_heads(x: Tensor, heads: int) -> Tensor:
    """[batch, n, heads * d] -> [batch, heads, n, d]."""
    return torch.unflatten(x, -1, (heads, -1)).transpose(1, 2)


def attend(query: Tensor, key: Tensor, value: Tensor, heads: int) -> Tensor:
    """softmax(query key^T / sqrt(d)) value, for each head on its own share of the channels.

    query [batch, n, heads * d], key [batch, m, heads * d], value [batch, m, heads * e]
    -> [batch, n, heads * e].
    """
    query, key, value = (split_heads(x, heads) for x in (query, key, value))
    return F.scaled_dot_product_attention(query, key, value).transpose(1, 2).flatten(2)


def attend_masked(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    mask: Tensor,
    heads: int,
    masked_rows: str = "uniform",
) -> Tensor:
    """Attention, as in `attend`, to the keys for which the mask, bool [batch, m], is true.

    Where it is true for none, the result is the mean of all values, or zeros if `masked_rows` is
    "zero". What the other keys and their values are has no part in it, even if it is no number.
    """
    nowhere = ~mask.any(dim=1)[:, None, None]
    query = query.masked_fill(nowhere, 0)  # so that all keys score alike
    mask = mask[:, None, None] | nowhere[..., None]
    hidden = ~mask[:, 0, 0, :, None]
    key, value = key.masked_fill(hidden, 0), value.masked_fill(hidden, 0)  # 0 * nan is nan
    query, key, value = (split_heads(x, heads) for x in (query, key, value))
    found = F.scaled_dot_product_attention(query, key, value, attn_mask=mask)
    found = found.transpose(1, 2).flatten(2)
    return found.masked_fill(nowhere, 0) if masked_rows == "zero" else found
