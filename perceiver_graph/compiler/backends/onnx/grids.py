"""Lowerings of grids whose sizes are known only at run time."""

from __future__ import annotations

from functools import reduce
from math import prod

import onnx_ir as ir

from perceiver_graph.compiler import ops
from perceiver_graph.compiler.backends.onnx.emitter import Site
from perceiver_graph.compiler.backends.onnx.positions import features
from perceiver_graph.compiler.backends.onnx.sizes import vector
from perceiver_graph.compiler.backends.onnx.tensors import DATA_TYPES
from perceiver_graph.compiler.ir.dims import Dim, Shape, product, shape_of
from perceiver_graph.compiler.ops import DType, TensorType

_SIZE = TensorType(shape_of(1), "int64")


def positions(op: ops.Positions, site: Site) -> ir.Value:
    """A range of as many as the sizes make."""
    sizes = [vector(site, size) for size in op.sizes]
    count = reduce(lambda a, b: site.sizes([product(op.sizes)], "Mul", a, b), sizes)
    number = TensorType((), "int64")
    count = site.part("count", number, "Squeeze", count)
    return site.result("Range", site.scalar(0, number), count, site.scalar(1, number))


def regrid(op: ops.Regrid, site: Site) -> ir.Value:
    """Where each position lies along each axis, times how far that is in the other grid."""
    total: ir.Value | None = None
    last = len(op.to) - 1
    for axis, (place, _) in enumerate(_along(site, op.sizes)):
        stride = prod(op.to[axis + 1 :])
        if stride != 1:
            place = site.part("stride", site.output, "Mul", place, site.ints(stride))
        if total is not None and axis == last:
            return site.result("Add", total, place)
        total = place if total is None else site.part("sum", site.output, "Add", total, place)
    assert total is not None
    return site.result("Identity", total)


def fourier_at(op: ops.FourierAt, site: Site) -> ir.Value:
    """Coordinates along each axis, then what is made of coordinates."""
    shape = site.type("positions").shape
    column = TensorType((*shape, Dim.of(1)), "float32")
    columns = []
    for axis, (place, size) in enumerate(_along(site, op.sizes)):
        longest = op.of[axis]
        if longest is not None:
            size = site.ints(longest)
        coordinate = _coordinate(site, place, size, endpoint=op.endpoint[axis])
        columns.append(site.part("column", column, "Unsqueeze", coordinate, site.ints(-1)))
    type = TensorType((*shape, Dim.of(len(columns))), "float32")
    points = columns[0]
    if len(columns) > 1:
        points = site.part("points", type, "Concat", *columns, axis=-1)
    return features(op.features, site, points, type)


def _along(site: Site, sizes: Shape) -> list[tuple[ir.Value, ir.Value]]:
    """Where positions lie along each axis, and the size of the axis."""
    found, rest = [], site.input("positions")
    each = [vector(site, size) for size in sizes]
    for axis in reversed(range(len(sizes))):
        # Only wrong positions lie beyond the first axis: of these, too, one in the grid is made.
        found.append(site.part("along", site.type("positions"), "Mod", rest, each[axis]))
        if axis:
            rest = site.part("before", site.type("positions"), "Div", rest, each[axis])
    return list(zip(reversed(found), each, strict=True))


def _coordinate(site: Site, place: ir.Value, size: ir.Value, *, endpoint: bool) -> ir.Value:
    """From -1 on, rounded as in the reference."""
    shape = site.type("positions").shape

    def cast(part: str, x: ir.Value, to: DType, sizes: tuple[Dim, ...] = shape) -> ir.Value:
        return site.part(part, TensorType(sizes, to), "Cast", x, to=DATA_TYPES[to].value)

    single, double = TensorType(shape, "float32"), TensorType(shape, "float64")
    if not endpoint:
        count = cast("size_float", size, "float32", _SIZE.shape)
        quotient = site.part("quotient", single, "Div", cast("place", place, "float32"), count)
        twice = site.part("twice", single, "Mul", quotient, site.scalar(2.0, single))
        return site.part("coordinate", single, "Add", twice, site.scalar(-1.0, single))
    one = site.ints(1)
    last = site.part("last", _SIZE, "Sub", size, one)
    number = TensorType(_SIZE.shape, "float32")
    steps = cast("steps", site.part("steps_or_1", _SIZE, "Max", last, one), "float32", _SIZE.shape)
    rounded = site.part("step", number, "Div", site.scalar(2.0, single), steps)
    step = cast("step_double", rounded, "float64", _SIZE.shape)
    from_last = site.part("from_last", site.type("positions"), "Sub", last, place)
    ends = []
    for part, distance in (("up", place), ("down", from_last)):
        far = site.part(part, double, "Mul", cast(f"{part}_steps", distance, "float64"), step)
        ends.append(far)
    ascending = site.part("ascending", double, "Sub", ends[0], site.scalar(1.0, double))
    descending = site.part("descending", double, "Sub", site.scalar(1.0, double), ends[1])
    half = site.part("half", _SIZE, "Div", size, site.ints(2))
    half = site.part("half_or_1", _SIZE, "Max", half, one)
    nearer = site.part("nearer", TensorType(shape, "bool"), "Less", place, half)
    exact = site.part("exact", double, "Where", nearer, ascending, descending)
    return cast("coordinate", exact, "float32")
