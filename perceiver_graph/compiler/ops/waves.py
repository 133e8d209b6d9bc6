"""Which waves make Fourier features: their frequencies or lengths, and the order of their columns."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from perceiver_graph.compiler.ir.op import Array
from perceiver_graph.compiler.ops.lazy import np

Spacing = Literal["linear", "octaves"]
Order = Literal["waves", "axes"]
Ends = tuple[float, float]
"""The shortest and the longest wave."""


def frequencies(
    bands: int,
    max_resolution: float | None,
    *,
    spacing: Spacing = "linear",
    periodic: bool = False,
) -> Array:
    """f_k for k = 0 .. bands - 1. Shape: float32 [bands].

    Linear: from 1 to half the resolution, evenly spaced. Where coordinates are periodic, whole
    numbers, so that a wave closes: the nearest ones, which differ from each other where there are no
    more bands than whole numbers. Octaves: f_k = 2^k, whole as they are.
    """
    if spacing == "octaves":
        return np.exp2(np.arange(bands)).astype(np.float32)
    assert max_resolution is not None
    if not periodic:
        return linspace(1.0, max_resolution / 2, bands)
    spaced = linspace(1.0, float(max_resolution // 2), bands)
    return np.floor(spaced + np.float32(0.5))


def linspace(start: float, stop: float, count: int) -> Array:
    """`torch.linspace` in float32, bit for bit. Shape: float32 [count].

    torch walks from both ends with one rounding per element (a fused multiply-add). The product of
    two float32 numbers is exact in float64, so rounding the float64 sum once gives the same.
    """
    if count == 1:
        return np.array([start], dtype=np.float32)
    first, last = np.float32(start), np.float32(stop)
    step = np.float32((last - first) / np.float32(count - 1))
    index = np.arange(count, dtype=np.float64)
    ascending = np.float64(first) + np.float64(step) * index
    descending = np.float64(last) - np.float64(step) * (count - 1 - index)
    return np.where(index < count // 2, ascending, descending).astype(np.float32)


def lengths(bands: int, ends: Ends) -> Array:
    """w_k = shortest (longest / shortest)^(k / (bands - 1)), evenly spaced on a logarithmic scale.

    Shape: float64 [bands].
    """
    shortest, longest = ends
    steps = np.arange(bands, dtype=np.float64) / max(bands - 1, 1)
    return shortest * (longest / shortest) ** steps


def phases(x: Array, w: Array) -> Array:
    """2 pi x / w less whole turns, in [-pi, pi].

    Shapes: [..., channels], float64 [channels, bands] -> [..., channels, bands]. Turns are counted and
    taken off in float64: of a year in waves of a minute float32 would leave a tenth of a radian.
    """
    turns = x[..., None].astype(np.float64) / w
    return (2 * np.pi * (turns - np.rint(turns))).astype(x.dtype)


def columns(order: Order, axes: int, bands: int, kept: Sequence[int], kinds: int) -> list[int]:
    """Where the columns of an order are taken from, of what is ordered by `waves`.

    `waves` has the coordinates of the axes that are `kept`, then a kind of wave after the other, sines
    and perhaps cosines, of all axes each. `axes` has one axis after the other: its waves of each kind,
    then its coordinate.
    """
    width = len(kept) + kinds * axes * bands
    if order == "waves":
        return list(range(width))
    found: list[int] = []
    for axis in range(axes):
        for kind in range(kinds):
            first = len(kept) + (kind * axes + axis) * bands
            found.extend(range(first, first + bands))
        found.extend([kept.index(axis)] if axis in kept else [])
    return found
