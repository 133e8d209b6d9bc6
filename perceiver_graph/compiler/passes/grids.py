"""Rows that are sums over the axes of a grid, as Fourier features of its points are.

Shared by the passes that make use of it: p[j] = p_1[j_1] + ... + p_a[j_a] for the point
j = (j_1, ..., j_a), the last axis fastest.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from perceiver_graph.compiler.ir.graph import Value
from perceiver_graph.compiler.ops import Add, Concat, Flatten, Permute, Slice
from perceiver_graph.compiler.passes.patterns import Of
from perceiver_graph.compiler.passes.rewriter import Rewriter


@dataclass(frozen=True)
class Channels:
    """Channels [r | p] put together from parts, one of which, the position, is such a sum."""

    parts: tuple[Value, ...]
    at: int
    """Which of the parts is the position."""

    @property
    def others(self) -> tuple[Value, ...]:
        """r: all parts but the position."""
        return self.parts[: self.at] + self.parts[self.at + 1 :]

    @property
    def widths(self) -> tuple[int, ...]:
        return tuple(map(width_of, self.parts))

    @property
    def count(self) -> int:
        return sum(self.widths)

    @property
    def start(self) -> int:
        """The first channel of position."""
        return sum(self.widths[: self.at])

    @property
    def stop(self) -> int:
        """The first channel behind the position."""
        return sum(self.widths[: self.at + 1])

    def position(self, rewriter: Rewriter, x: Value) -> Value:
        """The channels of x that meet p."""
        return rewriter.add(Slice(-1, self.start, self.stop), x)

    def around(self, rewriter: Rewriter, x: Value) -> list[Value]:
        """The channels of x that meet r, before and behind the position."""
        stretches = ((0, self.start), (self.stop, self.count))
        return [rewriter.add(Slice(-1, *each), x) for each in stretches if each[0] < each[1]]


def width_of(value: Value) -> int:
    """How many channels a value has."""
    return int(value.shape[-1])


def joined(rewriter: Rewriter, parts: Sequence[Value]) -> Value:
    """Parts side by side."""
    return parts[0] if len(parts) == 1 else rewriter.add(Concat(-1), *parts)


def axis_tables(rewriter: Rewriter, rows: Value) -> tuple[Value, ...]:
    """What known rows [points, channels] are the sum of, a table for each axis in their order.

    Shapes: [1, ..., size, ..., 1, channels]. None for rows that are no such sum.
    """
    flat = Of(Flatten, start=0).nodes(rewriter, rows)
    if not flat or not rewriter.known(rows) or rows.type.rank != 2:
        return ()
    grid = flat[0]["x"]
    terms = _terms(rewriter, grid)
    axes = [[a for a, size in enumerate(term.shape[:-1]) if size != 1] for term in terms]
    rank = grid.type.rank
    fits = all(term.type.rank == rank and term.shape[-1] == grid.shape[-1] for term in terms)
    alone = all(len(axis) == 1 for axis in axes)
    if not fits or not alone or len({axis[0] for axis in axes}) != len(axes):
        return ()
    return tuple(term for _, term in sorted(zip(axes, terms, strict=True), key=lambda t: t[0]))


def _terms(rewriter: Rewriter, value: Value) -> list[Value]:
    """What a value is the sum of."""
    node = rewriter.producer(value)
    if node is None or not isinstance(node.op, Add):
        return [value]
    return [term for part in node.inputs for term in _terms(rewriter, part)]


def size_of(table: Value) -> int:
    """The size of the axis that a table is for."""
    return max(int(size) for size in table.shape[:-1])


def as_rows(rewriter: Rewriter, table: Value) -> Value:
    """A table of an axis as rows, [1, ..., size, ..., 1, channels] -> [size, channels]."""
    rank = table.type.rank
    return table if rank == 2 else rewriter.add(Flatten(0, rank - 2), table)


def at_channels(rewriter: Rewriter, rows: Value, start: int, channels: int) -> Value:
    """Known rows [size, c] as columns of so many channels, theirs from `start` on: [channels, size]."""
    size, dtype = int(rows.shape[0]), np.dtype(rows.dtype)
    turned = rewriter.add(Permute((1, 0)), rows)
    above, below = (
        [rewriter.constant(f"zeros.{count}.{size}", np.zeros((count, size), dtype))]
        if count
        else []
        for count in (start, channels - start - width_of(rows))
    )
    if not (above or below):
        return turned
    return rewriter.add(Concat(0), *above, turned, *below)
