"""Applications of primitives whose inputs do not fit, and what is said of them."""

from __future__ import annotations

from perceiver_graph.compiler import ops
from perceiver_graph.compiler.ir.dims import Dim, Symbol, shape_of
from perceiver_graph.compiler.ops import Op, TensorType

WRONG: list[tuple[Op, list[TensorType], str]] = [
    (ops.Add(), [TensorType(shape_of(2)), TensorType(shape_of(3))], "equal or stretchable"),
    (ops.Linear(), [TensorType(shape_of(2, 3)), TensorType(shape_of(4, 5))], "as many channels"),
    (ops.MatMul(), [TensorType(shape_of(2, 3)), TensorType(shape_of(4, 5))], "equal inner sizes"),
    (ops.Attention(3), [TensorType(shape_of(1, 2, 8))] * 3, "heads that divide 8"),
    (
        ops.Attention(1),
        [*[TensorType(shape_of(1, 2, 8))] * 3, TensorType(shape_of(1, 3), "bool")],
        r"mask bool\[1, 2\], got bool\[1, 3\]",
    ),
    (ops.Attention(1), [*[TensorType(shape_of(1, 2, 8))] * 3, TensorType(shape_of(1, 2))], "mask"),
    (
        ops.Rotary(2),
        [TensorType(shape_of(1, 3, 8)), TensorType(shape_of(4, 2))],
        r"waves for each of \[1, 3\] rows",
    ),
    (
        ops.Rotary(3),
        [TensorType(shape_of(1, 3, 8)), TensorType(shape_of(3, 2))],
        "heads that divide 8",
    ),
    (
        ops.Rotary(2),
        [TensorType(shape_of(1, 3, 8)), TensorType(shape_of(3, 6))],
        "pairs within heads of 4 channels, got 6",
    ),
    (ops.TriangularFactor(), [TensorType(shape_of(1, 2, 3))], "needs a matrix"),
    (
        ops.Conv((2,), ((0, 0),)),
        [TensorType(shape_of(1, Symbol("n", multiple_of=3), 1)), TensorType(shape_of(1, 1, 1))],
        "declare `n: {multiple_of: 6}`",
    ),
    (ops.Mean(2), [TensorType(shape_of(2, 3))], "axis below 2"),
    (ops.FourierFeatures(2, 4.0, 3), [TensorType(shape_of(5, 2))], "3 coordinates"),
    (
        ops.FourierFeatures(2, 4.0, 2, spacing="octaves"),
        [TensorType(shape_of(5, 2))],
        "linear frequencies alone have a resolution",
    ),
    (ops.FourierTable(5, 0, 1, 2, None), [], "linear frequencies alone have a resolution"),
    (
        ops.FourierFeatures(2, 4.0, 2, pi=False),
        [TensorType(shape_of(5, 2))],
        "octaves alone leave pi out",
    ),
    (
        ops.FourierFeatures(2, None, 2, ranges=((0.0, 9.0),) * 2, wavelengths=((1.0, 2.0),) * 2),
        [TensorType(shape_of(5, 2))],
        "no other spacing, ranges or periods",
    ),
    (
        ops.FourierFeatures(2, None, 2, wavelengths=((1.0, 2.0),)),
        [TensorType(shape_of(5, 2))],
        "wavelengths of 2 coordinates or none, got 1",
    ),
    (
        ops.FourierTable(5, 0, 1, 2, None, endpoint=False, wavelengths=(1.0, 2.0)),
        [],
        "places have no other end",
    ),
    (ops.Interpolate((2, 3), (4, 4)), [TensorType(shape_of(5, 2))], r"\[6, width\]"),
    (ops.Interpolate((6,), (2, 3)), [TensorType(shape_of(6, 2))], "two grids"),
    (ops.SegmentedAttention((0,)), [TensorType(shape_of(1, 2, 3))] * 4, "each segment .*, got 4"),
    (ops.SegmentedAttention((0, 2)), [TensorType(shape_of(1, 2, 3))] * 6, "each segment .*, got 6"),
    (
        ops.SegmentedAttention((0, 0)),
        [TensorType(shape_of(1, 2, 3))] * 3 + [TensorType(shape_of(1, 4, 3))] * 3,
        "the same queries",
    ),
    (ops.SegmentedAttention((2,)), [TensorType(shape_of(1, 2, 3))] * 3, "got 3 inputs"),
    (
        ops.SegmentedAttention((1,)),
        [TensorType(shape_of(1, *s)) for s in ((2, 3), (6, 3), (6, 2), (2, 6))],
        "a scale for each token",
    ),
    (
        ops.SegmentedAttention((1,)),
        [TensorType(shape_of(1, *s)) for s in ((2, 3), (6, 3), (6, 1), (3, 6))],
        r"tables \[batch, n, size\]",
    ),
    (
        ops.SegmentedAttention((2,)),
        [TensorType(shape_of(1, *s)) for s in ((2, 3), (6, 3), (6, 1), (2, 2), (2, 2))],
        r"grid \[2, 2\]",
    ),
    (ops.TableAttention(), [TensorType(shape_of(1, 2, 3))] * 4, "got 4 inputs"),
    (
        ops.TableAttention(),
        [TensorType(shape_of(1, *s)) for s in ((2, 3), (6, 3), (6, 3), (2, 2), (4, 6), (2,))],
        "a scale for each query",
    ),
    (
        ops.TableAttention(),
        [TensorType(shape_of(1, *s)) for s in ((2, 3), (6, 3), (6, 3), (2, 1), (4, 5), (2,))],
        r"tables \[batch, size, keys\]",
    ),
    (
        ops.TableAttention(),
        [TensorType(shape_of(1, *s)) for s in ((2, 3), (6, 3), (6, 3), (2, 1), (4, 6), (2,))],
        "a place for each query",
    ),
    (ops.Moments(), [TensorType(())], "channels"),
    (ops.MergeMoments((2,)), [TensorType(shape_of(3, 2))] * 2, "each part"),
    (ops.MergeMoments((2, 3)), [TensorType(shape_of(3, 2)), TensorType(shape_of(3))], "variance"),
    (ops.Broadcast(()), [TensorType(shape_of(3))], "sizes of 1 or more"),
    (ops.Broadcast(shape_of(0)), [TensorType(shape_of(3))], "sizes of 1 or more"),
    (ops.Trim(Dim.of(4)), [TensorType(shape_of(3, 2))], "4 rows or more"),
    (
        ops.Trim(Dim.of(Symbol("n", max=4))),
        [TensorType(shape_of(3, 2))],
        r"as many rows as `n` may be, got float32\[3, 2\]",
    ),
    (
        ops.Trim(Dim.of(Symbol("n"))),
        [TensorType(shape_of(3, 2))],
        "as many rows as `n` may be",
    ),
    (ops.Unflatten(0, (None, Dim.of(Symbol("n")))), [TensorType(shape_of(6))], "divide 6"),
    (ops.Unflatten(0, (4, None)), [TensorType(shape_of(6))], "divide 6"),
    (ops.Permute((0, 0)), [TensorType(shape_of(2, 2))], "every axis"),
    (ops.Slice(0, 3, 5), [TensorType(shape_of(4))], "3:5"),
    (ops.OneHot(4), [TensorType(shape_of(4))], "int64"),
    (ops.Where(), [TensorType(shape_of(2))] * 3, "bool condition"),
    (ops.Gather(), [TensorType(shape_of(2))] * 2, "int64 indices"),
    (ops.Choose(), [TensorType(shape_of(2, 3))] * 2, "int64 numbers"),
    (
        ops.Choose(),
        [TensorType(shape_of(2)), TensorType(shape_of(2, 3), "int64")],
        "behind the batch",
    ),
    (ops.Choose(), [TensorType(shape_of(2, 3)), TensorType(shape_of(4, 3), "int64")], "one batch"),
    (ops.Positions(()), [], "takes sizes"),
    (ops.Regrid(shape_of(2), (2, 3)), [TensorType(shape_of(5), "int64")], "as many axes"),
    (ops.Regrid(shape_of(2, 3), (2, 3)), [TensorType(shape_of(5))], "int64 positions"),
    (ops.FourierAt(shape_of(1), (None,), 3, (8.0,), (True,)), [TensorType(shape_of(1))], "int64"),
    (
        ops.FourierAt(shape_of(1, 2), (None,), 3, (8.0,), (True,)),
        [TensorType(shape_of(1), "int64")],
        "2 longest sizes",
    ),
]
