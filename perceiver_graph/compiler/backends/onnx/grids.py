"""Lowerings of grids whose sizes are known only at run time."""

from __future__ import annotations

from math import prod

import onnx_ir as ir

from perceiver_graph.compiler import ops
from perceiver_graph.compiler.backends.onnx.emitter import Site
from perceiver_graph.compiler.backends.onnx.positions import features
from perceiver_graph.compiler.backends.onnx.tensors import DATA_TYPES
from perceiver_graph.compiler.dims import Dim
from perceiver_graph.compiler.ops import DType, TensorType

_NUMBER = TensorType((), "int64")


def sizes_like(op: ops.SizesLike, site: Site) -> ir.Value:
    """The shape, which is read alone."""
    return site.result("Shape", site.input(0), start=op.start, end=op.start + op.axes)


def positions_like(op: ops.PositionsLike, site: Site) -> ir.Value:
    """A range of as many as the sizes make."""
    axes = TensorType((Dim.of(op.axes),), "int64")
    sizes = site.part("sizes", axes, "Shape", site.input(0), start=op.start, end=op.start + op.axes)
    count = site.part("count", _NUMBER, "ReduceProd", sizes, keepdims=0)
    return site.result("Range", site.scalar(0, _NUMBER), count, site.scalar(1, _NUMBER))


def regrid(op: ops.Regrid, site: Site) -> ir.Value:
    """Where each position lies along each axis, times how far that is in the other grid."""
    total: ir.Value | None = None
    last = len(op.to) - 1
    for axis, (place, _) in enumerate(_along(site, len(op.to))):
        stride = prod(op.to[axis + 1 :])
        if stride != 1:
            place = site.part("stride", site.output, "Mul", place, site.scalar(stride, _NUMBER))
        if total is not None and axis == last:
            return site.result("Add", total, place)
        total = place if total is None else site.part("sum", site.output, "Add", total, place)
    assert total is not None
    return site.result("Identity", total)


def fourier_at(op: ops.FourierAt, site: Site) -> ir.Value:
    """Coordinates along each axis, then what is made of coordinates."""
    shape = site.types[0].shape
    column = TensorType((*shape, Dim.of(1)), "float32")
    columns = []
    for axis, (place, size) in enumerate(_along(site, len(op.of))):
        longest = op.of[axis]
        if longest is not None:
            size = site.scalar(longest, _NUMBER)
        coordinate = _coordinate(site, place, size, endpoint=op.endpoint[axis])
        columns.append(site.part("column", column, "Unsqueeze", coordinate, site.ints(-1)))
    type = TensorType((*shape, Dim.of(len(columns))), "float32")
    points = columns[0]
    if len(columns) > 1:
        points = site.part("points", type, "Concat", *columns, axis=-1)
    return features(op.features, site, points, type)


def _along(site: Site, axes: int) -> list[tuple[ir.Value, ir.Value]]:
    """Where positions lie along each axis, and the size of the axis."""
    positions, sizes = site.inputs
    size = [
        site.part("size", _NUMBER, "Gather", sizes, site.scalar(axis, _NUMBER), axis=0)
        for axis in range(axes)
    ]
    found, rest = [], positions
    for axis in reversed(range(axes)):
        # Only wrong positions lie beyond the first axis: of these, too, one in the grid is made.
        found.append(site.part("along", site.types[0], "Mod", rest, size[axis]))
        if axis:
            rest = site.part("before", site.types[0], "Div", rest, size[axis])
    return list(zip(reversed(found), size, strict=True))


def _coordinate(site: Site, place: ir.Value, size: ir.Value, *, endpoint: bool) -> ir.Value:
    """From -1 on, rounded as in the reference."""
    shape = site.types[0].shape

    def cast(part: str, x: ir.Value, to: DType, sizes: tuple[Dim, ...] = shape) -> ir.Value:
        return site.part(part, TensorType(sizes, to), "Cast", x, to=DATA_TYPES[to].value)

    single, double = TensorType(shape, "float32"), TensorType(shape, "float64")
    if not endpoint:
        count = cast("size_float", size, "float32", ())
        quotient = site.part("quotient", single, "Div", cast("place", place, "float32"), count)
        twice = site.part("twice", single, "Mul", quotient, site.scalar(2.0, single))
        return site.part("coordinate", single, "Add", twice, site.scalar(-1.0, single))
    one, last = (
        site.scalar(1, _NUMBER),
        site.part("last", _NUMBER, "Sub", size, site.scalar(1, _NUMBER)),
    )
    steps = cast("steps", site.part("steps_or_1", _NUMBER, "Max", last, one), "float32", ())
    rounded = site.part("step", TensorType((), "float32"), "Div", site.scalar(2.0, single), steps)
    step = cast("step_double", rounded, "float64", ())
    from_last = site.part("from_last", site.types[0], "Sub", last, place)
    ends = []
    for part, distance in (("up", place), ("down", from_last)):
        far = site.part(part, double, "Mul", cast(f"{part}_steps", distance, "float64"), step)
        ends.append(far)
    ascending = site.part("ascending", double, "Sub", ends[0], site.scalar(1.0, double))
    descending = site.part("descending", double, "Sub", site.scalar(1.0, double), ends[1])
    half = site.part("half", _NUMBER, "Div", size, site.scalar(2, _NUMBER))
    half = site.part("half_or_1", _NUMBER, "Max", half, one)
    nearer = site.part("nearer", TensorType(shape, "bool"), "Less", place, half)
    exact = site.part("exact", double, "Where", nearer, ascending, descending)
    return cast("coordinate", exact, "float32")
