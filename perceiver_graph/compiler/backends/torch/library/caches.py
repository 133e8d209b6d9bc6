"""Whether a token can be read behind those of which a cache was left."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from perceiver_graph.compiler.backends.torch.library.arguments import as_whole, wrong_kind
from perceiver_graph.compiler.backends.torch.library.checks import in_words


def check_cache(
    cache: dict[str, Tensor],
    batch: int,
    like: Tensor,
    kept: dict[str, tuple[str | int | None, ...]],
) -> dict[str, int]:
    """The sizes of a cache, by symbol: `kept` are its shapes, in which None is any size. ValueError or
    TypeError for one of another model or another batch, or that no step can read."""
    whose = "what `prefill` or `step` of this model has left"
    if not isinstance(cache, Mapping):
        raise wrong_kind("cache", whose, cache)
    if unknown := [name for name in cache if name not in kept]:
        raise ValueError(f"the cache holds `{unknown[0]}`, and takes {whose}")
    sizes = {"batch": batch}
    for name, axes in kept.items():
        if name not in cache:
            raise ValueError(f"the cache holds no `{name}`, and takes {whose}")
        if not isinstance(x := cache[name], Tensor):
            raise wrong_kind(f"`{name}` of the cache", "a tensor", x)
        shape, wanted = [*x.shape], [*x.shape]
        for i, axis in enumerate(axes[: len(shape)]):
            if axis is not None:
                wanted[i] = axis if isinstance(axis, int) else sizes.setdefault(axis, shape[i])
        if len(shape) != len(axes) or shape != wanted:
            text = ", ".join(str(sizes.get(str(axis), axis or "any")) for axis in axes)
            raise ValueError(f"`{name}` of the cache has shape {shape}, not [{text}]")
        as_it_is = not x.is_floating_point() or torch.is_autocast_enabled(x.device.type)
        dtype = x.dtype if as_it_is else like.dtype
        if (x.device, x.dtype) != (like.device, dtype):
            found, wants = f"{x.dtype} on {x.device}", f"{dtype} on {like.device}"
            raise ValueError(f"`{name}` of the cache is {found}, and the model computes in {wants}")
    return sizes


def check_latents(latents: int, most: int, tokens: int) -> None:
    """ValueError or TypeError for another number of latents than a text of so many tokens may have."""
    wanted = f"a whole number from 1 to {min(most, tokens)}, latents of {tokens} tokens"
    as_whole("latents", wanted, latents, 1, min(most, tokens) + 1)


def check_position(
    position: Tensor, tokens: int | None, latents: int, most: int, longest: int | None
) -> None:
    """ValueError or TypeError for a position that is not the next one behind so many tokens, or that has
    no place: there are `latents` of at most `most`, and texts of at most `longest` tokens."""
    if not isinstance(position, Tensor):
        raise wrong_kind("position", "a tensor, int64 [1]", position)
    if position.dtype not in (torch.int32, torch.int64) or list(position.shape) != [1]:
        found = f"{position.dtype} {list(position.shape)}"
        raise ValueError(f"position must be a tensor, int64 [1], not {found}")
    if latents >= most:
        raise ValueError(
            f"the cache has {latents} latents, which are all there may be: `prefill` the text "
            f"anew, with {max(most // 2, 1)}"
        )
    if tokens is not None and longest is not None and tokens >= longest:
        raise ValueError(f"the cache is of {tokens} tokens, which are all that a text may have")
    if position.device.type == "cpu":
        place = int(position)
        if tokens is not None and place != tokens:
            raise ValueError(f"position is {place}, and behind {tokens} tokens comes {tokens}")
        if place < latents or (longest is not None and place >= longest):
            permitted = in_words(range(latents, 2**63 if longest is None else longest))
            raise ValueError(f"position is {place}, and may be {permitted}")
