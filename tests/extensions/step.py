"""A step: `average: {time: 2}` replaces neighbours by their mean."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field as Limits

from perceiver_graph.compiler import ops
from perceiver_graph.compiler.blocks.context import Axis, Context, Field, Path
from perceiver_graph.compiler.blocks.requirements import require_channel
from perceiver_graph.compiler.blocks.steps import apply_step
from perceiver_graph.compiler.ir.dims import NotDivisible
from perceiver_graph.spec.models import Step
from perceiver_graph.spec.models.base import Count


class Average(Step):
    """Average pooling: the mean of neighbours, none of which is in two windows."""

    average: Annotated[dict[str, Count], Limits(min_length=1)]
    """How many neighbours along each axis become one; each must divide the axis."""


@apply_step.register
def average(step: Average, ctx: Context, x: Field, name: str, path: Path) -> Field:
    """Shapes: [batch, .., h, .., channel] -> [batch, .., h/s, .., channel]."""
    path = (*path, "average")
    require_channel(ctx, x, "`average`", path)
    ctx.axis_sizes(step.average, x.index, "`average`", path)
    value, axes = x.value, []
    for place, axis in enumerate(x.axes, start=1):
        count = step.average.get(axis.name, 1)
        try:
            axes.append(Axis(axis.name, axis.size.exact_div(count)))
        except NotDivisible as error:
            text = f"windows of {count} do not divide the axis {axis}"
            raise ctx.error("PG203", text, (*path, axis.name), help=error.hint) from error
        if count > 1:
            value = ctx.builder(ops.Unflatten(place, (None, count)), value, name=f"{name}.windows")
            value = ctx.builder(ops.Mean(place + 1), value, name=name)
    return Field(value, tuple(axes))
