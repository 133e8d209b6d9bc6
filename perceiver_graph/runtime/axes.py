"""How an array with other axes becomes one with those that an input takes: the expression that does it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import permutations
from math import prod

Sizes = Sequence[int | str]
Permits = Callable[[str, int], bool]
"""Whether a symbol may be so large."""

_MOST_AXES = 6  # whose orders are tried


def better(
    name: str, shape: Sequence[int], wanted: Sizes, batch: int = 1, permits: Permits | None = None
) -> str | None:
    """The expression that makes an array fit, behind what it does; None where nothing would.

    `wanted` begins with the batch, of which others in the call have `batch`.
    """

    def fit(have: Sequence[int], sizes: Sizes) -> bool:
        return len(have) == len(sizes) and all(
            size == n if isinstance(size, int) else permits is None or permits(size, n)
            for size, n in zip(sizes, have, strict=True)
        )

    def order(have: Sequence[int], sizes: Sizes) -> list[int] | None:
        if len(have) != len(sizes) or len(have) > _MOST_AXES:
            return None
        orders = permutations(range(len(have)))
        return next(([*one] for one in orders if fit([have[i] for i in one], sizes)), None)

    within, one_channel = wanted[1:], wanted[-1] == 1
    if len(shape) == len(wanted):
        found = order(shape[1:], within)
        return _transposed(name, [0, *(i + 1 for i in found)]) if found else None
    if fit(shape, within):
        return f"add the batch axis: {with_batch(name, batch)}"
    if one_channel and fit(shape, wanted[:-1]):
        return f"add the axis of the one channel: {name}[..., None]"
    if found := order(shape, within):
        turned = with_batch(_transposed(name, found), batch)
        return f"put the axes in order, and add that of the batch: {turned}"
    if one_channel and fit(shape, within[:-1]):
        both = with_batch(f"{name}[..., None]", batch) if batch > 1 else f"{name}[None, ..., None]"
        return f"add the axes of the batch and of the one channel: {both}"
    for axis in (i for i, size in enumerate(shape) if size == 1):
        if fit([*shape[:axis], *shape[axis + 1 :]], wanted):
            return f"take out an axis of size 1: {name}.squeeze({axis})"
    fixed = [size for size in within if isinstance(size, int)]
    flat = len(fixed) == len(within) and len(shape) <= 2 and shape[-1:] == [prod(fixed)]
    if flat:
        sizes = ", ".join(map(str, fixed))
        return f"if the last axis goes fastest in it, {name}.reshape(-1, {sizes})"
    return None


def with_batch(name: str, batch: int) -> str:
    """What makes an array without the batch axis one for every element of a batch."""
    return f"{name}[None]" if batch == 1 else f"numpy.repeat({name}[None], {batch}, axis=0)"


def _transposed(name: str, order: Sequence[int]) -> str:
    return f"{name}.T" if [*order] == [1, 0] else f"{name}.transpose({', '.join(map(str, order))})"
