"""Inputs too long for one device: the processes of a group share the keys of the latents, and merge.

Softmax over keys that lie in parts: with the largest score m_r of part r, s_r = sum exp(score - m_r) and
o_r = sum exp(score - m_r) value, the whole is

    m = max m_r,   s = sum exp(m_r - m) s_r,   o = sum exp(m_r - m) o_r,   attention = o / s,

exactly. For N queries of values of width D that is one maximum of N numbers and one sum of N (D + 1) over
the group, however many keys there are; backwards, one sum of the N x D' gradients of the queries. Keys,
values and their gradients stay where they are. (Milakov and Gimelshein, 2018, merge parts one after the
other so; here they also lie on different devices.)
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Iterator
from types import FunctionType, MethodType
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn

from perceiver_graph.compiler.backends.torch.library.attention import split_heads

_BLOCK = 4096
"""Keys whose scores are held at once."""
_ATTENTIONS = frozenset({"attend", "attend_masked", "attend_as"})
"""What the emitted modules call attention; all of these have the arguments of `attend_as`, or fewer."""


def shard_keys(model: nn.Module, group: dist.ProcessGroup | None = None) -> nn.Module:
    """Let each process of a group read its part of the inputs, for all cross-attention of encode.

    All processes give the model the same inputs, get the same outputs, and compute the same loss. Keys
    and values of the inputs, their norms, projections and scores are of this process' part alone.
    Gradients are those of one process once they are averaged over the group, as
    DistributedDataParallel does and `average_gradients` too. Inputs are read and positioned as a whole.
    Changes `model`, a module that `to_torch` or an emitted `load` gave, and returns it.

    Raises ValueError if nothing in it reads inputs in this way: keys of inputs and latents together,
    rotary positions, causal attention and the blocks of decode are left as they are.
    """
    found = [module for _, module in _readers(model)]
    if not found:
        raise ValueError(
            f"no cross-attention of {type(model).__name__} reads inputs by itself, so there are no "
            "keys to share: shard_keys takes models of which `encode` does, without rotary positions "
            "and causality, and keys of the inputs alone"
        )
    for module in found:
        module.forward = _sharded(module, "forward", 1, group)
        if hasattr(module, "resume"):  # reads again what `forward` made of this process' part
            module.resume = _sharded(module, "resume", 3, group)  # type: ignore[assignment]
    return model


def average_gradients(model: nn.Module, group: dist.ProcessGroup | None = None) -> None:
    """The mean over a group of the gradients of a model, in place: after `backward`, for whoever has
    no DistributedDataParallel around it."""
    for parameter in model.parameters():
        if parameter.grad is not None:
            summed = parameter.grad.contiguous()  # as collectives ask for
            dist.all_reduce(summed, group=group)
            parameter.grad.copy_(summed / dist.get_world_size(group))


def _readers(model: nn.Module) -> Iterator[tuple[str, nn.Module]]:
    """The attentions in which latents read inputs: `forward(latents, inputs)` or with a mask, of which
    `attend_sharded` knows all that they say."""
    known = inspect.signature(attend_sharded).parameters
    for name, module in model.named_modules():
        code = getattr(type(module).forward, "__code__", None)
        if code is None or not name.startswith("encoder.cross_attend"):
            continue
        taken = len(inspect.signature(type(module).forward).parameters) - 1
        masked = "attend_masked" in code.co_names or "attend_as" in code.co_names
        alone = "cat" not in code.co_names  # keys of latents, too, would count once a process
        # The words before the values of a call, `heads=2, causal=True`, are constants of the code.
        words = [one for one in code.co_consts if isinstance(one, tuple) and "heads" in one]
        told = all(word in known for one in words for word in one)
        if _ATTENTIONS & {*code.co_names} and taken <= 2 + masked and alone and told:
            yield name, module


def _sharded(
    module: nn.Module, name: str, whole: int, group: dist.ProcessGroup | None
) -> Callable[..., Any]:
    """A method of an attention, by its own statements, on a part of the keys: of all arguments but so
    many first ones."""

    def attend(query: Tensor, key: Tensor, value: Tensor, *rest: Any, **settings: Any) -> Tensor:
        return attend_sharded(query, key, value, *rest, group=group, **settings)

    own: FunctionType = getattr(type(module), name)
    over = own.__globals__ | dict.fromkeys(_ATTENTIONS, attend)
    statements = FunctionType(own.__code__, over, name, own.__defaults__, own.__closure__)
    method = MethodType(statements, module)

    def part(x: Tensor) -> Tensor:
        return x.tensor_split(dist.get_world_size(group), dim=1)[dist.get_rank(group)]

    def sharded(*arguments: Tensor) -> Any:
        return method(*arguments[:whole], *map(part, arguments[whole:]))

    return sharded


def attend_sharded(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    mask: Tensor | None = None,
    *,
    heads: int,
    key_heads: int | None = None,
    scale: float | None = None,
    masked_rows: str = "uniform",
    group: dist.ProcessGroup | None = None,
) -> Tensor:
    """Attention of the same queries in every process to the keys of all of them.

    query [batch, n, heads * d]; key [batch, m, key_heads * d], value [batch, m, key_heads * e] and mask,
    bool [batch, m], of this process, which may have none -> [batch, n, heads * e], the same in all.
    Where the mask is true for no key of any, the result is the mean of all values, or zeros if
    `masked_rows` is "zero".
    """
    nowhere = None
    if mask is not None:
        there = (
            mask.any(dim=1).to(torch.uint8) if mask.shape[1] else mask.new_zeros(len(mask)).byte()
        )
        dist.all_reduce(there, dist.ReduceOp.MAX, group)
        nowhere = ~there.bool()[:, None, None]
        query = query.masked_fill(nowhere, 0)  # so that all keys score alike
        mask = mask[..., None] | nowhere
        key, value = key.masked_fill(~mask, 0), value.masked_fill(~mask, 0)  # 0 * nan is nan
        mask = mask.transpose(1, 2)[:, None]
    query = split_heads(query, heads)
    key, value = (split_heads(x, key_heads or heads) for x in (key, value))
    if key_heads is not None:
        key, value = (x.repeat_interleave(heads // key_heads, dim=1) for x in (key, value))
    scale = 1 / math.sqrt(query.shape[-1]) if scale is None else scale
    found: Tensor = _Merged.apply(query * scale, key, value, mask, group)  # type: ignore[no-untyped-call]
    found = found.transpose(1, 2).flatten(2)
    return found.masked_fill(nowhere, 0) if nowhere is not None and masked_rows == "zero" else found


class _Merged(torch.autograd.Function):
    """softmax(query key^T) value over the keys of a group, in float32 at least.

    query [batch, heads, n, d], key [batch, heads, m, d], value [batch, heads, m, e], mask bool
    [batch, 1, 1, m] or None. The gradients of keys and values are as many times as large as there are
    processes, since they are averaged over those, and the others have none of these keys.
    """

    @staticmethod
    def forward(
        ctx: Any,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        mask: Tensor | None,
        group: dist.ProcessGroup | None,
    ) -> Tensor:
        wide = torch.promote_types(query.dtype, torch.float32)
        shape = (*query.shape[:-1], 1)
        top = torch.full(shape, -math.inf, dtype=wide, device=query.device)
        found = torch.zeros(*query.shape[:-1], value.shape[-1] + 1, dtype=wide, device=query.device)
        for scores, values in _blocks(query, key, value, mask, wide):
            higher = torch.maximum(top, scores.amax(-1, keepdim=True))
            weights = (scores - _finite(higher)).exp()
            ones = values.new_ones(*values.shape[:-1], 1)
            found = found * (top - _finite(higher)).exp() + weights @ torch.cat([values, ones], -1)
            top = higher
        whole = top.clone()
        dist.all_reduce(whole, dist.ReduceOp.MAX, group)
        found = found * (top - _finite(whole)).exp()
        dist.all_reduce(found, group=group)
        weighted, total = found[..., :-1], found[..., -1:]
        result = weighted / total
        ctx.save_for_backward(query, key, value, mask, whole + total.log(), result)
        ctx.group = group
        return result.to(query.dtype)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        query, key, value, mask, level, result = ctx.saved_tensors
        ranks, wide = dist.get_world_size(ctx.group), result.dtype
        given = gradients[0].to(wide)
        along = (given * result).sum(-1, keepdim=True)
        of_query = torch.zeros(query.shape, dtype=wide, device=query.device)
        of_keys, of_values = [key[..., :0, :]], [value[..., :0, :]]
        keys = key.split(_BLOCK, dim=2)
        for (scores, values), part in zip(
            _blocks(query, key, value, mask, wide), keys, strict=False
        ):
            weights = (scores - level).exp()
            of_scores = weights * (given @ values.transpose(2, 3) - along)
            of_query += of_scores @ part.to(wide)
            of_keys.append((of_scores.transpose(2, 3) @ query.to(wide) * ranks).to(key.dtype))
            of_values.append((weights.transpose(2, 3) @ given * ranks).to(value.dtype))
        dist.all_reduce(of_query, group=ctx.group)
        return of_query.to(query.dtype), torch.cat(of_keys, 2), torch.cat(of_values, 2), None, None


def _finite(top: Tensor) -> Tensor:
    """Where no key is there: exp(-inf - 0) is 0, and exp(-inf + inf) is no number."""
    return top.masked_fill(top == -math.inf, 0)


def _blocks(
    query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None, wide: torch.dtype
) -> Iterator[tuple[Tensor, Tensor]]:
    """Scores [batch, heads, n, block] and values of some keys after the other."""
    if not key.shape[2]:
        return
    for start in range(0, key.shape[2], _BLOCK):
        some = slice(start, start + _BLOCK)
        scores = query.to(wide) @ key[..., some, :].to(wide).transpose(2, 3)
        if mask is not None:
            scores = scores.masked_fill(~mask[..., some], -math.inf)
        yield scores, value[..., some, :].to(wide)
