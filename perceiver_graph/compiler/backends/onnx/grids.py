"""Lowerings of grids whose sizes are known only at run time."""

from __future__ import annotations

from functools import reduce
from math import prod

import onnx_ir as ir

from perceiver_graph.compiler import ops
from perceiver_graph.compiler.backends.onnx.node_builder import NodeBuilder
from perceiver_graph.compiler.backends.onnx.positions import features
from perceiver_graph.compiler.backends.onnx.sizes import vector
from perceiver_graph.compiler.backends.onnx.tensors import DATA_TYPES
from perceiver_graph.compiler.ir.dims import Dim, Shape, product, shape_of
from perceiver_graph.compiler.ops import DType, TensorType

_SIZE = TensorType(shape_of(1), "int64")


def positions(op: ops.Positions, b: NodeBuilder) -> ir.Value:
    """A range of as many as the sizes make."""
    sizes = [vector(b, size) for size in op.sizes]
    count = reduce(lambda x, y: b.sizes([product(op.sizes)], "Mul", x, y), sizes)
    number = TensorType((), "int64")
    count = b.part("count", number, "Squeeze", count)
    return b.result("Range", b.scalar(0, number), count, b.scalar(1, number))


def regrid(op: ops.Regrid, b: NodeBuilder) -> ir.Value:
    """Where each position lies along each axis, times how far that is in the other grid."""
    total: ir.Value | None = None
    last = len(op.to) - 1
    for axis, (place, _) in enumerate(_along(b, op.sizes)):
        stride = prod(op.to[axis + 1 :])
        if stride != 1:
            place = b.part("stride", b.output, "Mul", place, b.ints(stride))
        if total is not None and axis == last:
            return b.result("Add", total, place)
        total = place if total is None else b.part("sum", b.output, "Add", total, place)
    assert total is not None
    return b.result("Identity", total)


def fourier_at(op: ops.FourierAt, b: NodeBuilder) -> ir.Value:
    """Coordinates along each axis, then what is made of coordinates."""
    shape = b.type("positions").shape
    column = TensorType((*shape, Dim.of(1)), "float32")
    columns = []
    for axis, (place, size) in enumerate(_along(b, op.sizes)):
        longest = op.of[axis]
        if longest is not None:
            size = b.ints(longest)
        if op.wavelengths:
            number = TensorType(shape, "float32")
            coordinate = b.part("place", number, "Cast", place, to=DATA_TYPES["float32"].value)
        else:
            coordinate = _coordinate(b, place, size, endpoint=op.endpoint[axis])
        columns.append(b.part("column", column, "Unsqueeze", coordinate, b.ints(-1)))
    type = TensorType((*shape, Dim.of(len(columns))), "float32")
    points = columns[0]
    if len(columns) > 1:
        points = b.part("points", type, "Concat", *columns, axis=-1)
    return features(op.features, b, points, type)


def _along(b: NodeBuilder, sizes: Shape) -> list[tuple[ir.Value, ir.Value]]:
    """Where positions lie along each axis, and the size of the axis."""
    found, rest = [], b.input("positions")
    each = [vector(b, size) for size in sizes]
    for axis in reversed(range(len(sizes))):
        # Only wrong positions lie beyond the first axis: of these, too, one in the grid is made.
        found.append(b.part("along", b.type("positions"), "Mod", rest, each[axis]))
        if axis:
            rest = b.part("before", b.type("positions"), "Div", rest, each[axis])
    return list(zip(reversed(found), each, strict=True))


def _coordinate(b: NodeBuilder, place: ir.Value, size: ir.Value, *, endpoint: bool) -> ir.Value:
    """From -1 on, rounded as in the reference."""
    shape = b.type("positions").shape

    def cast(part: str, x: ir.Value, to: DType, sizes: tuple[Dim, ...] = shape) -> ir.Value:
        return b.part(part, TensorType(sizes, to), "Cast", x, to=DATA_TYPES[to].value)

    single, double = TensorType(shape, "float32"), TensorType(shape, "float64")
    if not endpoint:
        count = cast("size_float", size, "float32", _SIZE.shape)
        quotient = b.part("quotient", single, "Div", cast("place", place, "float32"), count)
        twice = b.part("twice", single, "Mul", quotient, b.scalar(2.0, single))
        return b.part("coordinate", single, "Add", twice, b.scalar(-1.0, single))
    one = b.ints(1)
    last = b.part("last", _SIZE, "Sub", size, one)
    number = TensorType(_SIZE.shape, "float32")
    steps = cast("steps", b.part("steps_or_1", _SIZE, "Max", last, one), "float32", _SIZE.shape)
    rounded = b.part("step", number, "Div", b.scalar(2.0, single), steps)
    step = cast("step_double", rounded, "float64", _SIZE.shape)
    from_last = b.part("from_last", b.type("positions"), "Sub", last, place)
    ends = []
    for part, distance in (("up", place), ("down", from_last)):
        far = b.part(part, double, "Mul", cast(f"{part}_steps", distance, "float64"), step)
        ends.append(far)
    ascending = b.part("ascending", double, "Sub", ends[0], b.scalar(1.0, double))
    descending = b.part("descending", double, "Sub", b.scalar(1.0, double), ends[1])
    half = b.part("half", _SIZE, "Div", size, b.ints(2))
    half = b.part("half_or_1", _SIZE, "Max", half, one)
    nearer = b.part("nearer", TensorType(shape, "bool"), "Less", place, half)
    exact = b.part("exact", double, "Where", nearer, ascending, descending)
    return cast("coordinate", exact, "float32")
