"""How a model takes what it is given: inputs that may be left out, masks, sizes, queries."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor


def shared_size(
    inputs: dict[str, Tensor],
    axes: dict[str, int],
    smallest: int,
    scaled: dict[str, tuple[int, int, int]] | None = None,
) -> int:
    """What a symbol stands for: the size of an axis of the first of these inputs that is given.

    Where it is `scaled` the axis is times / over of the symbol, plus a number. The smallest if none
    is given.
    """
    for name, axis in axes.items():
        if name in inputs and inputs[name].dim() > axis:
            times, over, plus = (scaled or {}).get(name, (1, 1, 0))
            return (inputs[name].shape[axis] - plus) * over // times
    return smallest


def all_named(inputs: dict[str, Tensor] | None, named: dict[str, Tensor]) -> dict[str, Tensor]:
    """Inputs by name, which are given in a dict, or as arguments of the call."""
    if named and (inputs is None or isinstance(inputs, Mapping)):
        return {**(inputs or {}), **named}
    return {} if inputs is None else inputs


def as_numbers(
    x: Tensor, like: Tensor, periods: dict[int, tuple[float, float]] | None = None
) -> Tensor:
    """Real numbers in the dtype of the weights, as a program takes them.

    Of coordinates that are `periodic`, by channel, whole periods are taken off first: in float32, moments
    of today in seconds of 1970 are 128 apart.
    """
    wide = not x.is_floating_point() or x.itemsize > like.itemsize
    if periods and wide:
        columns = list(x.double().unbind(-1))
        for channel, (low, high) in periods.items():
            value = columns[channel]
            rest = low + (value.fmod(high - low) - low).remainder(high - low)
            columns[channel] = torch.where((value >= low) & (value <= high), value, rest)
        x = torch.stack(columns, -1)
    return x.to(like.dtype)


def points_as_numbers(
    queries: dict[str, Tensor],
    like: Tensor,
    periods: dict[str, dict[int, tuple[float, float]] | None],
) -> dict[str, Tensor]:
    """The queries with points, those of these outputs, in the dtype of the weights."""
    points = {
        name: as_numbers(queries[name], like, periods[name]) for name in periods if name in queries
    }
    return {**queries, **points}


def given_or_not(
    inputs: dict[str, Tensor],
    name: str,
    shape: tuple[int, ...],
    like: Tensor,
    dtype: torch.dtype | None = None,
) -> tuple[Tensor, Tensor]:
    """A modality that may be left out, and which samples have it (bool [batch]).

    Where it is left out, zeros of a shape stand in, which its mask token replaces.
    """
    if name in inputs:
        x = inputs[name].to(dtype or like.dtype)
        everywhere = torch.ones(x.shape[0], dtype=torch.bool, device=x.device)
        return x, inputs.get(f"{name}.present", everywhere).bool()
    batch = next(iter(inputs.values())).shape[0]
    nowhere = torch.zeros(batch, dtype=torch.bool, device=like.device)
    zeros = like.new_zeros((), dtype=dtype or like.dtype)
    return zeros.expand(batch, *shape), nowhere


def given_beside(
    inputs: dict[str, Tensor],
    name: str,
    shape: tuple[int, ...],
    like: Tensor,
    periods: dict[int, tuple[float, float]] | None = None,
) -> Tensor:
    """Positions of modalities that may be left out: zeros where these are, and they too."""
    if name in inputs:
        return as_numbers(inputs[name], like, periods)
    batch = next(iter(inputs.values())).shape[0]
    return like.new_zeros(()).expand(batch, *shape)


def given_numbers(
    inputs: dict[str, Tensor], name: str, shape: tuple[int, ...], like: Tensor
) -> Tensor:
    """Which tokens of a modality that may be left out are chosen: the first where it is, and they too."""
    if name in inputs:
        return inputs[name].long()
    batch = next(iter(inputs.values())).shape[0]
    return torch.zeros(batch, *shape, dtype=torch.int64, device=like.device)


def given_mask(inputs: dict[str, Tensor], name: str, x: Tensor, shape: tuple[int, ...]) -> Tensor:
    """Which tokens of an input there are: bool of this shape, true where nothing is said."""
    name = f"{name}.attention_mask"
    if name not in inputs:
        return torch.ones(shape, dtype=torch.bool, device=x.device)
    return inputs[name].bool()


def points_alone(queries: dict[str, Tensor], names: tuple[str, ...]) -> bool:
    """Whether outputs are asked at points only, so that no positions of the others are chosen."""
    return all(name in names for name in queries)


def asked_too(queries: dict[str, Tensor], sources: dict[str, str]) -> dict[str, Tensor]:
    """With the outputs that are asked at the points of another one, unless at points of their own."""
    found = {name: queries[of] for name, of in sources.items() if of in queries}
    return {**found, **queries}
