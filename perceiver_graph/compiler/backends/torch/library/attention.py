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


def attend_as(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    mask: Tensor | None = None,
    *,
    heads: int,
    key_heads: int | None = None,
    scale: float | None = None,
    causal: bool = False,
    masked_rows: str = "uniform",
) -> Tensor:
    """Attention, as in `attend_masked`, with `key_heads` heads of keys and values for all the others,
    another factor of the scores than 1 / sqrt(d), or to nothing behind a query.

    query [batch, n, heads * d], key [batch, m, key_heads * d], value [batch, m, key_heads * e], mask
    bool [batch, m] -> [batch, n, heads * e]. Causal queries are the last n of m positions.
    """
    n, m = query.shape[1], key.shape[1]
    allowed = None if mask is None else mask[:, None]
    if causal:
        before = torch.ones(n, m, dtype=torch.bool, device=query.device).tril(m - n)
        allowed = before[None] if allowed is None else allowed & before
    nowhere = None
    if mask is not None and allowed is not None:
        nowhere = ~allowed.any(dim=2)[..., None]
        query = query.masked_fill(nowhere, 0)  # so that all keys score alike
        allowed = allowed | nowhere
        hidden = (~mask & ~nowhere.any(dim=1))[..., None]
        key, value = key.masked_fill(hidden, 0), value.masked_fill(hidden, 0)  # 0 * nan is nan
    query = split_heads(query, heads)
    key, value = (split_heads(x, key_heads or heads) for x in (key, value))
    found = F.scaled_dot_product_attention(
        query,
        key,
        value,
        attn_mask=None if allowed is None else allowed[:, None],
        scale=scale,
        enable_gqa=key_heads is not None,
    )
    found = found.transpose(1, 2).flatten(2)
    if nowhere is not None and masked_rows == "zero":
        return found.masked_fill(nowhere, 0)
    return found
