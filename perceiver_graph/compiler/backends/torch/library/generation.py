"""A text goes on, token by token: what is read for the next one, and which it is."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from perceiver_graph.compiler.backends.torch.library.arguments import (
    as_ids,
    as_number,
    as_whole,
    wrong_kind,
)


def evaluated(model: nn.Module, method: Callable[..., Any], *arguments: Any) -> Any:
    """What a method gives without gradients and in eval mode, which the modules that were in training
    leave again."""
    training = [module for module in model.modules() if module.training]
    model.eval()
    try:
        with torch.no_grad():
            return method(*arguments)
    finally:
        for module in training:
            module.training = True


def token_sampler(
    temperature: float, top_p: float, top_k: int | None, seed: int
) -> Callable[[Tensor], Tensor]:
    """Draws tokens by their scores, [batch, vocabulary] -> int64 [batch].

    Chance is asked on the CPU: the same `seed` gives the same numbers on every device.
    """
    temperature, top_p = as_number("temperature", temperature), as_number("top_p", top_p)
    if not 0 <= temperature < math.inf:
        raise ValueError(f"temperature must be 0 or more and finite, not {temperature:g}")
    if not 0 < top_p <= 1:
        raise ValueError(f"top_p must be above 0 and at most 1, not {top_p:g}")
    if top_k is not None:
        top_k = min(as_whole("top_k", "a whole number, 1 or more", top_k, 1), 2**31)
    seed = as_whole("seed", "a whole number, 0 or more and below 2**64", seed, 0, 2**64)
    generator = torch.Generator().manual_seed(seed)
    divisor = max(temperature, torch.finfo(torch.float32).tiny)

    def draw(scores: Tensor) -> Tensor:
        if scores.device.type == "cpu" and not scores.isfinite().all():
            raise ValueError("the scores of the next token are not all finite: numbers overflowed")
        if temperature == 0:
            return scores.argmax(-1)
        found = torch.softmax((scores.float() - scores.amax(-1, True)) / divisor, -1)
        if top_k is not None or top_p < 1:
            ranked, order = found.sort(descending=True, stable=True)
            if top_k is not None:
                ranked[:, top_k:] = 0
                ranked = ranked / ranked.sum(-1, True)
            before = ranked.cumsum(-1) - ranked
            found = found.scatter(-1, order, ranked.masked_fill(before >= top_p, 0))
        below = found.cumsum(-1)
        chance = torch.rand(len(scores), 1, generator=generator).to(scores.device)
        return (below <= chance * below[:, -1:]).sum(-1)

    return draw


def go_on(
    model: Any,
    text: str,
    begin: Any,
    inputs: dict[str, Tensor] | None,
    tokens: int,
    draw: Callable[[Tensor], Tensor],
    *,
    stop: Collection[int],
    vocabulary: int,
    latents: int,
    longest: int | None,
) -> Iterator[Tensor]:
    """`next_tokens`, after what is wrong has been told: TypeError, ValueError."""
    tokens = as_whole("tokens", "a whole number, 0 or more", tokens, 0)
    if not isinstance(inputs, Mapping | None):
        raise wrong_kind("inputs", "a dict of tensors", inputs)
    if inputs and text in inputs:
        raise ValueError(f"inputs has `{text}`, which `begin` is: give the other inputs")
    inputs = {**(inputs or {}), text: as_ids("begin", begin, next(model.parameters()).device)}
    model.check_text(inputs)
    mask = inputs.get(f"{text}.attention_mask")
    if mask is not None and mask.device.type == "cpu" and not mask[:, -1].all():
        raise ValueError(
            f"the mask of `{text}` leaves out the last token of a text, which is to go on: fill up "
            "texts of other lengths in front"
        )
    if not isinstance(stop, Collection) or isinstance(stop, str | bytes):
        raise wrong_kind("stop", "a collection of ids", stop)
    ends = [as_whole("stop", "a collection of ids, whole numbers", one) for one in stop]
    if wrong := [one for one in ends if one not in range(vocabulary)]:
        raise ValueError(f"stop holds {wrong[0]}, and takes 0 to {vocabulary - 1}")
    return next_tokens(model, text, inputs, tokens, draw, ends, latents, longest)


def next_tokens(
    model: Any,
    text: str,
    inputs: dict[str, Tensor],
    tokens: int,
    draw: Callable[[Tensor], Tensor],
    stop: list[int],
    latents: int,
    longest: int | None,
) -> Iterator[Tensor]:
    """What texts go on with, int64 [batch] each, until all have had an id of `stop`.

    A step adds a latent, until there are `latents`. Then the first ones would have to make place, and
    all that was read of them would change: the text is read anew with half as many, and where it
    would become longer than `longest` its beginning is left out.
    """
    ids, mask = inputs[text].long(), inputs.get(f"{text}.attention_mask")
    half, count = max(latents // 2, 1), min(latents, ids.shape[1])
    cache: dict[str, Tensor] = {}
    ended: Tensor | None = None
    for number in range(tokens):
        length = ids.shape[1]
        if number and count < latents and (longest is None or length <= longest):
            count += 1
            place = torch.tensor([length - 1], device=ids.device)
            scores, cache = evaluated(model, model.step, {text: ids[:, -1:]}, place, cache)
        else:
            if number:
                kept = length if longest is None else min(length, longest - latents + half)
                ids, count = ids[:, -kept:], min(half, kept)
            given = {**inputs, text: ids}
            if mask is not None:
                mask = mask[:, -ids.shape[1] :]
                given[f"{text}.attention_mask"] = mask
            scores, cache = evaluated(model, model.prefill, given, count)
        found = draw(scores[:, -1])
        if stop:
            ended = torch.full_like(found, -1) if ended is None else ended
            found = torch.where(ended < 0, found, ended)  # a text that has ended stays so
            ended = torch.where(torch.isin(found, found.new_tensor(stop)), found, -1)
        ids = torch.cat([ids, found[:, None]], dim=1)
        if mask is not None:
            mask = torch.cat([mask, torch.ones_like(mask[:, :1])], dim=1)
        yield found
        if ended is not None and (ended >= 0).all():
            return
