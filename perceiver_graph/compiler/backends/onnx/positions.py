"""Lowerings of position features and of tables of positions."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from perceiver_graph.compiler import ops
from perceiver_graph.compiler.backends.onnx.emitter import Site
from perceiver_graph.compiler.backends.onnx.sizes import vector
from perceiver_graph.compiler.backends.onnx.tensors import DATA_TYPES
from perceiver_graph.compiler.ir.dims import Dim
from perceiver_graph.compiler.ops import TensorType

_END = 2**63 - 1


def fourier_table(op: ops.FourierTable, site: Site) -> ir.Value:
    """Known, so a tensor."""
    return site.tensor(op.evaluate())


def fourier_features(op: ops.FourierFeatures, site: Site) -> ir.Value:
    """Of what the node reads."""
    return features(op, site, site.input("x"), site.type("x"))


def features(op: ops.FourierFeatures, site: Site, x: ir.Value, type: TensorType) -> ir.Value:
    """Frequency before pi, as in the reference: in float32 the order shows."""
    before, dtype = type.shape[:-1], DATA_TYPES[type.dtype].numpy()
    last = site.ints(-1)
    position, rest = x, []
    if op.channels != type.shape[-1]:
        place = type.with_shape(*before, Dim.of(op.channels))
        others = type.with_shape(*before, type.shape[-1] - op.channels)
        first, split = site.ints(0), site.ints(op.channels)
        position = site.part("position", place, "Slice", x, first, split, last)
        rest = [site.part("rest", others, "Slice", x, split, site.ints(_END), last)]
    if op.ranges:
        place = type.with_shape(*before, Dim.of(op.channels))
        for kind, numbers in zip(("Sub", "Mul"), op.mapping(), strict=True):
            name = f"{type.dtype}[{op.ranges}:{kind}]"
            factor = site.emitter.initializer(name, numbers.astype(dtype))
            position = site.part(f"range_{kind.lower()}", place, kind, position, factor)
    column = type.with_shape(*before, Dim.of(op.channels), Dim.of(1))
    points = site.part("points", column, "Unsqueeze", position, last)
    table = type.with_shape(*before, Dim.of(op.channels), Dim.of(op.bands))
    numbers = op.frequencies()
    if len(set(op.resolutions)) == 1 and len(op.periodic) in (0, op.channels):
        numbers = numbers[0]  # the same for all
    name = f"{type.dtype}[1..{op.max_resolution!r}/2:{op.bands}"
    name += f":{list(op.periodic)}]" if op.periodic else "]"
    frequencies = site.emitter.initializer(name, numbers.astype(dtype))
    cycles = site.part("cycles", table, "Mul", points, frequencies)
    angles = site.part("angles", table, "Mul", cycles, site.scalar(np.pi, type))
    flat = type.with_shape(*before, Dim.of(op.channels * op.bands))
    target = site.ints(*[0] * len(before), op.channels * op.bands)
    phases = site.part("phases", flat, "Reshape", angles, target)
    kinds = ("Sin",) if op.sine_only else ("Sin", "Cos")
    waves = [site.part(wave.lower(), flat, wave, phases) for wave in kinds]
    front = [position] if op.kept else []
    if 0 < len(op.kept) < op.channels:
        kept = type.with_shape(*before, Dim.of(len(op.kept)))
        front = [site.part("kept", kept, "Gather", position, site.ints(*op.kept), axis=-1)]
    return site.result("Concat", *front, *waves, *rest, axis=-1)


def interpolate(op: ops.Interpolate, site: Site) -> ir.Value:
    """A product with a known matrix for each axis, between reshapes that cost nothing.

    ONNX's Resize computes the same weights, but is slow where many channels come last.
    """
    x, type = site.input("table"), site.type("table")
    dtype = DATA_TYPES[type.dtype].numpy()
    sizes = [*op.sizes, int(type.shape[-1])]
    for axis, matrix in enumerate(op.matrices(np.float32)):
        if op.sizes[axis] == op.to[axis]:
            continue  # the matrix is the identity
        around = (int(np.prod(sizes[:axis])), int(np.prod(sizes[axis + 1 :])))
        lines = [around[0], sizes[axis], around[1]]
        x = site.part("lines", _fixed(lines, type), "Reshape", x, site.ints(*lines))
        name = f"{type.dtype}[{op.sizes[axis]}->{op.to[axis]}]"
        weights = site.emitter.initializer(name, matrix.astype(dtype))
        sizes[axis] = lines[1] = op.to[axis]
        x = site.part("resized", _fixed(lines, type), "MatMul", weights, x)
    return site.result("Reshape", x, site.ints(*(int(size) for size in site.output.shape)))


def trim(op: ops.Trim, site: Site) -> ir.Value:
    """The first rows."""
    first = site.ints(0)
    return site.result("Slice", site.input("table"), first, vector(site, op.size), first)


def _fixed(sizes: list[int], like: TensorType) -> TensorType:
    return like.with_shape(*map(Dim.of, sizes))
