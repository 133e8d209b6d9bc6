"""Lowerings of position features and of tables of positions."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from perceiver_graph.compiler import ops
from perceiver_graph.compiler.backends.onnx.node_builder import NodeBuilder
from perceiver_graph.compiler.backends.onnx.sizes import vector
from perceiver_graph.compiler.backends.onnx.tensors import DATA_TYPES
from perceiver_graph.compiler.ir.dims import Dim
from perceiver_graph.compiler.ops import Array, TensorType

_END = 2**63 - 1


def fourier_table(op: ops.FourierTable, b: NodeBuilder) -> ir.Value:
    """Known, so a tensor."""
    return b.tensor(op.evaluate())


def fourier_features(op: ops.FourierFeatures, b: NodeBuilder) -> ir.Value:
    """Of what the node reads."""
    return features(op, b, b.input("x"), b.type("x"))


def features(op: ops.FourierFeatures, b: NodeBuilder, x: ir.Value, type: TensorType) -> ir.Value:
    """Frequency before pi, as in the reference: in float32 the order shows."""
    before, dtype = type.shape[:-1], DATA_TYPES[type.dtype].numpy()
    last = b.ints(-1)
    position, rest = x, []
    if op.channels != type.shape[-1]:
        place = type.with_shape(*before, Dim.of(op.channels))
        others = type.with_shape(*before, type.shape[-1] - op.channels)
        first, split = b.ints(0), b.ints(op.channels)
        position = b.part("position", place, "Slice", x, first, split, last)
        rest = [b.part("rest", others, "Slice", x, split, b.ints(_END), last)]
    place = type.with_shape(*before, Dim.of(op.channels))

    def mapped(kind: str, x: ir.Value, what: str, numbers: Array, **options: int) -> ir.Value:
        which = f"{op.periodic} of {op.channels} " if op.periodic else ""
        name = f"{type.dtype}[{op.ranges}:{which}{what}]"
        factor = b.emitter.initializer(name, numbers.astype(dtype))
        return b.part(f"range_{kind.lower()}", place, kind, x, factor, **options)

    if op.periodic:
        position = mapped("Mod", position, "period", op.periods(), fmod=1)
    if op.ranges:
        position = mapped("Sub", position, "Sub", op.mapping()[0])
    if op.periodic:
        quotient = mapped("Div", position, "period", op.periods())
        turns = b.part("turns", place, "Round", quotient)
        whole = mapped("Mul", turns, "period", op.periods())
        position = b.part("turn", place, "Sub", position, whole)
    if op.ranges:
        position = mapped("Mul", position, "Mul", op.mapping()[1])
    angles = (
        _of_lengths(op, b, position, place) if op.wavelengths else _angles(op, b, position, place)
    )
    flat = type.with_shape(*before, Dim.of(op.channels * op.bands))
    target = b.ints(*[0] * len(before), op.channels * op.bands)
    phases = b.part("phases", flat, "Reshape", angles, target)
    kinds = ("Sin",) if op.sine_only else ("Sin", "Cos")
    waves = [b.part(wave.lower(), flat, wave, phases) for wave in kinds]
    front = [position] if op.kept else []
    if 0 < len(op.kept) < op.channels:
        kept = type.with_shape(*before, Dim.of(len(op.kept)))
        front = [b.part("kept", kept, "Gather", position, b.ints(*op.kept), axis=-1)]
    if op.order == "waves":
        return b.result("Concat", *front, *waves, *rest, axis=-1)
    columns, after = op.columns(), int(type.shape[-1]) - op.channels
    whole = b.part("waves", b.output, "Concat", *front, *waves, *rest, axis=-1)
    order = [*columns, *range(len(columns), len(columns) + after)]
    return b.result("Gather", whole, b.ints(*order), axis=-1)


def _angles(
    op: ops.FourierFeatures, b: NodeBuilder, position: ir.Value, type: TensorType
) -> ir.Value:
    """Of coordinates in [-1, 1]: [..., channels] -> [..., channels, bands]."""
    column = type.with_shape(*type.shape, Dim.of(1))
    points = b.part("points", column, "Unsqueeze", position, b.ints(-1))
    table = type.with_shape(*type.shape, Dim.of(op.bands))
    numbers = op.frequencies()
    octaves = op.spacing == "octaves"
    if octaves or (len(set(op.resolutions)) == 1 and len(op.periodic) in (0, op.channels)):
        numbers = numbers[0]  # the same for all
    name = f"{type.dtype}[1..{op.max_resolution!r}/2:{op.bands}"
    name += f":{list(op.periodic)} of {op.channels}]" if op.periodic else "]"
    if octaves:
        name = f"{type.dtype}[octaves:{op.bands}]"
    frequencies = b.emitter.initializer(name, numbers.astype(DATA_TYPES[type.dtype].numpy()))
    cycles = b.part("cycles", table, "Mul", points, frequencies)
    return b.part("angles", table, "Mul", cycles, b.scalar(np.pi, type)) if op.pi else cycles


def _of_lengths(
    op: ops.FourierFeatures, b: NodeBuilder, position: ir.Value, type: TensorType
) -> ir.Value:
    """Of waves that have lengths, less whole turns: [..., channels] -> [..., channels, bands].

    Turns are counted in float64, as in the reference; the sines are of float32.
    """
    double = TensorType(type.shape, "float64")
    column = double.with_shape(*type.shape, Dim.of(1))
    wide = double.with_shape(*type.shape, Dim.of(op.bands))
    exact = b.cast("exact", position, type, "float64")
    points = b.part("points", column, "Unsqueeze", exact, b.ints(-1))
    name = f"float64[wavelengths {op.wavelengths}:{op.bands}]"
    turns = b.part("turns", wide, "Div", points, b.emitter.initializer(name, op.lengths()))
    whole = b.part("whole_turns", wide, "Round", turns)
    rest = b.part("turn", wide, "Sub", turns, whole)
    narrow = type.with_shape(*wide.shape)
    turn = b.cast("turn_rounded", rest, wide, type.dtype)
    return b.part("angles", narrow, "Mul", turn, b.scalar(2 * np.pi, type))


def interpolate(op: ops.Interpolate, b: NodeBuilder) -> ir.Value:
    """A product with a known matrix for each axis, between reshapes that cost nothing.

    ONNX's Resize computes the same weights, but is slow where many channels come last.
    """
    x, type = b.input("table"), b.type("table")
    dtype = DATA_TYPES[type.dtype].numpy()
    sizes = [*op.sizes, int(type.shape[-1])]
    for axis, matrix in enumerate(op.matrices(np.float32)):
        if op.sizes[axis] == op.to[axis]:
            continue  # the matrix is the identity
        around = (int(np.prod(sizes[:axis])), int(np.prod(sizes[axis + 1 :])))
        lines = [around[0], sizes[axis], around[1]]
        x = b.part("lines", _fixed(lines, type), "Reshape", x, b.ints(*lines))
        name = f"{type.dtype}[{op.sizes[axis]}->{op.to[axis]}]"
        weights = b.emitter.initializer(name, matrix.astype(dtype))
        sizes[axis] = lines[1] = op.to[axis]
        x = b.part("resized", _fixed(lines, type), "MatMul", weights, x)
    return b.result("Reshape", x, b.ints(*(int(size) for size in b.output.shape)))


def trim(op: ops.Trim, b: NodeBuilder) -> ir.Value:
    """The first rows."""
    first = b.ints(0)
    return b.result("Slice", b.input("table"), first, vector(b, op.size), first)


def _fixed(sizes: list[int], like: TensorType) -> TensorType:
    return like.with_shape(*map(Dim.of, sizes))
