"""How an array with other axes becomes one with those that an input takes: the expression that does it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import permutations
from math import prod

Sizes = Sequence[int | str]
Permits = Callable[[str, int], bool]
"""Whether a symbol may be so large."""
_Fit = Callable[[Sequence[int], Sizes], bool]

_MOST_AXES = 6  # whose orders are tried
_FASTEST = "if the last axis goes fastest in it"


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
    return _unflattened(name, shape, wanted, batch, fit)


def _unflattened(
    name: str, shape: Sequence[int], wanted: Sizes, batch: int, fit: _Fit
) -> str | None:
    """What parts an axis that stands for several, of an array with the axis of the batch or without."""
    if parted := _parted(shape, wanted, fit):
        return f"{_FASTEST}, {_reshaped(name, parted)}"
    if parted := _parted([1, *shape], wanted, fit):
        one = _reshaped(name, parted)
        whole = one if batch == 1 else f"numpy.repeat({one}, {batch}, axis=0)"
        return f"{_FASTEST}, {whole}"
    return None


def coloured(
    name: str, shape: Sequence[int], wanted: Sizes, batch: int, permits: Permits
) -> str | None:
    """The expression that makes a grey picture one of three channels, behind what it does; None of what
    has the axis of channels already, or is no such picture."""
    if wanted[-1] != 3:
        return None

    def fit(sizes: Sizes) -> bool:
        return len(shape) == len(sizes) and all(
            size == n if isinstance(size, int) else permits(size, n)
            for size, n in zip(sizes, shape, strict=True)
        )

    spread = f"numpy.repeat({name}[..., None], 3, axis=-1)"
    words = "take its one channel for all"
    if fit(wanted[:-1]):
        return f"{words}: {spread}"
    if fit(wanted[1:-1]):
        return f"{words}, and add the batch axis: {with_batch(spread, batch)}"
    if fit([*wanted[1:-1], 1]):
        one = with_batch(f"numpy.repeat({name}, 3, axis=-1)", batch)
        return f"{words}, and add the batch axis: {one}"
    return None


def lengths_as_mask(values: Sequence[int], name: str, wanted: Sequence[int]) -> str | None:
    """The expression that makes a mask [batch, tokens] of lengths that are given in its place."""
    if len(wanted) != 2 or len(values) != wanted[0] or max(values) > wanted[1] or min(values) < 0:
        return None
    return f"if these are lengths, numpy.arange({wanted[1]}) < {name}.reshape(-1, 1)"


def better_mask(name: str, shape: Sequence[int], wanted: Sequence[int]) -> str | None:
    """The expression that makes a mask fit an input whose tokens lie along several axes, behind what it
    does; None where nothing would, or where there are several that would."""
    have, want = [*shape], [*wanted]
    lacking, whole = len(want) - len(have), f"({', '.join(map(str, want))})"
    spread = [*have, *[1] * lacking]
    same = lacking >= 0 and all(n in (1, size) for n, size in zip(spread, want, strict=True))
    if same and have == want[1:]:  # of every element, or along the last axis
        return None
    if same and have[0] == want[0]:
        more = f"[..., {', '.join(['None'] * lacking)}]" if lacking else ""
        last = "if it is the same along the last axes"
        return f"{last}, numpy.broadcast_to({name}{more}, {whole})"
    if have == [1, *want[1:]]:
        return f"if it is the same for all of the batch, numpy.repeat({name}, {want[0]}, axis=0)"
    if have[: len(want)] == want and lacking < 0:
        if all(n == 1 for n in have[len(want) :]):
            return f"take out what has size 1: {_reshaped(name, want)}"
        behind = ", ".join(str(axis) for axis in range(len(want), len(have)))
        axes = behind if lacking == -1 else f"({behind})"
        return f"if a token is there where all its numbers are, {name}.all(axis={axes})"
    if lacking < 0 and [n for n in have if n != 1] == [n for n in want if n != 1]:
        return f"take out what has size 1: {_reshaped(name, want)}"
    found = better(name, have, want, want[0])
    return found if found and found != name else None


def _reshaped(name: str, sizes: Sizes) -> str:
    return f"{name}.reshape({', '.join(map(str, sizes))})"


def _parted(shape: Sequence[int], wanted: Sizes, fit: _Fit) -> Sizes | None:
    """The shape with one axis parted into those that are wanted there; None where there is no such axis,
    or several, or where their sizes are not fixed: of most numbers some part would fit."""
    count = len(wanted) - len(shape) + 1
    found: list[Sizes] = []
    for at, size in enumerate(shape) if count > 1 else ():
        parts = [n for n in wanted[at : at + count] if isinstance(n, int)]
        rest = [*wanted[:at], *wanted[at + count :]]
        others = [*shape[:at], *shape[at + 1 :]]
        if len(parts) == count and prod(parts) == size and fit(others, rest):
            found.append([*shape[:at], *parts, *shape[at + 1 :]])
    return found[0] if len(found) == 1 else None


def with_batch(name: str, batch: int) -> str:
    """What makes an array without the batch axis one for every element of a batch."""
    return f"{name}[None]" if batch == 1 else f"numpy.repeat({name}[None], {batch}, axis=0)"


def _transposed(name: str, order: Sequence[int]) -> str:
    return f"{name}.T" if [*order] == [1, 0] else f"{name}.transpose({', '.join(map(str, order))})"
