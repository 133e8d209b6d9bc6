"""What the primitives of attention compute, in PyTorch and another way."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
import torch.nn.functional as F

from perceiver_graph.compiler import ops

Torch = Callable[..., torch.Tensor]


def heads_attention(heads: int) -> Torch:
    def attention(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
        q, k, v = (torch.unflatten(x, -1, (heads, -1)).transpose(1, 2) for x in (q, k, v))
        return F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2)

    return attention


def masked_attention(op: ops.Attention) -> Torch:
    """Written out: the scores of masked keys are the least number there is."""

    def attention(
        q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, mask: torch.Tensor
    ) -> torch.Tensor:
        q, k, v = (torch.unflatten(x, -1, (op.heads, -1)).transpose(1, 2) for x in (q, k, v))
        scores = (q @ k.mT / math.sqrt(q.shape[-1])).masked_fill(
            ~mask[:, None, None], torch.finfo(q.dtype).min
        )
        found = (scores.softmax(-1) @ v).transpose(1, 2).flatten(2)
        return found.mul(mask.any(1)[:, None, None]) if op.masked_rows == "zero" else found

    return attention


def written_out(op: ops.Attention) -> Torch:
    """Head after head and query after query, each with the keys that it may read."""

    def attention(
        q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, *mask: torch.Tensor
    ) -> torch.Tensor:
        n, m, groups = q.shape[1], k.shape[1], op.key_heads or op.heads
        each = ((q, op.heads), (k, groups), (v, groups))
        wide = [torch.unflatten(x, -1, (count, -1)) for x, count in each]
        found = torch.zeros(q.shape[0], n, op.heads, wide[2].shape[-1], dtype=q.dtype)
        for sample in range(q.shape[0]):
            for head in range(op.heads):
                asked, keys, values = (
                    x[sample, :, own]
                    for x, own in zip(wide, (head, *[head * groups // op.heads] * 2), strict=True)
                )
                for place in range(n):
                    there = torch.ones(m, dtype=torch.bool) if not mask else mask[0][sample].clone()
                    if op.causal:
                        there[place + m - n + 1 :] = False
                    if not there.any():
                        if op.masked_rows == "uniform":
                            found[sample, place, head] = values.mean(0)
                        continue
                    scores = keys[there] @ asked[place] * (op.scale or asked.shape[-1] ** -0.5)
                    found[sample, place, head] = scores.softmax(0) @ values[there]
        return found.flatten(2)

    return attention


def joint_attention(*kinds: torch.Tensor) -> torch.Tensor:
    """The kinds as one: queries, keys and values padded with zeros, each in channels of its own."""
    q = torch.cat(kinds[0::3], dim=-1)
    k, v = (
        torch.stack([torch.block_diag(*sample) for sample in zip(*parts, strict=True)])  # type: ignore[no-untyped-call]
        for parts in (kinds[1::3], kinds[2::3])
    )
    return (q @ k.mT).softmax(dim=-1) @ v


def joint_attention_on_grid(*given: torch.Tensor) -> torch.Tensor:
    """Keys of one kind, and points of a grid with two axes: both as kinds without tables."""
    q, x, s, a, b = given[3:]
    queries, keys = multiplied_out(q, x, s, a, b)
    return joint_attention(*given[:3], queries, keys, keys)


def table_attention(
    q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, s: torch.Tensor, *tables: torch.Tensor
) -> torch.Tensor:
    """The places as unit vectors, multiplied with the tables."""
    for table, places in zip(tables[0::2], tables[1::2], strict=True):
        unit = F.one_hot(places, table.shape[1]).to(q.dtype)
        q, k = torch.cat([q, s * unit], dim=-1), torch.cat([k, table.mT], dim=-1)
    return (q @ k.mT).softmax(dim=-1) @ v


def grid_attention(
    q: torch.Tensor, x: torch.Tensor, s: torch.Tensor, a: torch.Tensor, b: torch.Tensor
) -> torch.Tensor:
    """With tables of unit vectors as position encodings, multiplied out."""
    queries, keys = multiplied_out(q, x, s, a, b)
    return (queries @ keys.mT).softmax(dim=-1) @ keys


def multiplied_out(
    q: torch.Tensor, x: torch.Tensor, s: torch.Tensor, a: torch.Tensor, b: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Queries, and keys that are also values, with channels for each place on the two axes."""
    i, j = torch.meshgrid(torch.arange(a.shape[2]), torch.arange(b.shape[2]), indexing="ij")
    places = torch.cat([F.one_hot(i.flatten(), a.shape[2]), F.one_hot(j.flatten(), b.shape[2])], -1)
    k = s * torch.cat([x, places.to(x.dtype).expand(len(x), -1, -1)], dim=-1)
    return torch.cat([q, a, b], dim=-1), k
