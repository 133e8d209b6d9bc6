"""A position encoding: `binary: 6` gives each place the digits of its number in base 2."""

from __future__ import annotations

import math

import numpy as np

from perceiver_graph.compiler import ops
from perceiver_graph.compiler.blocks.context import Context, Path
from perceiver_graph.compiler.blocks.position import Grid, encode
from perceiver_graph.compiler.blocks.requirements import fixed_size
from perceiver_graph.compiler.ir.graph import Value
from perceiver_graph.spec.models import Position
from perceiver_graph.spec.models.base import Count


class BinaryPosition(Position):
    """The digits of the number of a place, first axis slowest, in base 2."""

    binary: Count
    """How many digits; the lowest is the first."""


@encode.register
def binary(position: BinaryPosition, ctx: Context, grid: Grid, path: Path) -> Value:
    """Shape: [places, digits]."""
    places = math.prod(fixed_size(ctx, axis, "`binary`", path) for axis in grid.axes)
    digits = np.arange(places)[:, None] >> np.arange(position.binary) & 1
    table = ctx.builder.constant("digits", digits.astype(np.float32))
    return ctx.builder(ops.Gather(0), table, grid.places(ctx), name="position")
