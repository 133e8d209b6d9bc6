"""How a model takes what it is given: inputs that may be left out, masks, sizes, queries."""

from __future__ import annotations

from collections.abc import Callable

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


def solved_size(
    inputs: dict[str, Tensor],
    symbol: str,
    axes: dict[str, int],
    solved: dict[str, tuple[int, Callable[[int], int]]],
    permitted: range,
    given: int | None = None,
) -> int | None:
    """What a symbol is where no input is given whose `axes` tell it: the permitted value at which one
    that is `solved` is as large as it is, or the nearest. Else what is `given`.

    ValueError if both are there and differ.
    """
    if any(name in inputs for name in axes):
        return given
    for name, (axis, size) in solved.items():
        if name not in inputs or inputs[name].dim() <= axis:
            continue
        wanted, low, high, last = inputs[name].shape[axis], 0, 1, len(permitted) - 1
        rises = size(permitted[min(1, last)]) >= size(permitted[0])
        while high < last and (size(permitted[high]) < wanted) == rises:
            low, high = high, 2 * high
        high = min(high, last)
        while low < high:
            middle = (low + high) // 2
            found = size(permitted[middle])
            if found >= wanted if rises else found <= wanted:
                high = middle
            else:
                low = middle + 1
        value = permitted[low]
        if given not in (None, value):
            raise ValueError(
                f"the size `{symbol}` is given as {given}, and is {value} in the inputs"
            )
        return value
    return given


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
        x = inputs[name]
        everywhere = torch.ones(x.shape[0], dtype=torch.bool, device=x.device)
        return x, inputs.get(f"{name}.present", everywhere).bool()
    batch = next(iter(inputs.values())).shape[0]
    nowhere = torch.zeros(batch, dtype=torch.bool, device=like.device)
    zeros = like.new_zeros((), dtype=dtype or like.dtype)
    return zeros.expand(batch, *shape), nowhere


def given_beside(
    inputs: dict[str, Tensor], name: str, shape: tuple[int, ...], like: Tensor
) -> Tensor:
    """Positions of modalities that may be left out: zeros where these are, and they too."""
    if name in inputs:
        return inputs[name]
    batch = next(iter(inputs.values())).shape[0]
    return like.new_zeros(()).expand(batch, *shape)


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
