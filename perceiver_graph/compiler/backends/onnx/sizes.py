"""How a program finds the sizes that are known only at run time: from the shapes of its inputs or,
where none says them, from inputs that give them. Each is found once, whoever asks for it."""

from __future__ import annotations

from functools import reduce
from itertools import groupby

import onnx_ir as ir

from perceiver_graph.compiler.backends.onnx.node_builder import NodeBuilder
from perceiver_graph.compiler.ir.dims import Dim
from perceiver_graph.compiler.ir.sizes import Place, places


def vector(b: NodeBuilder, *sizes: int | Dim) -> ir.Value:
    """Sizes one after the other: int64 [n]."""
    parts: list[ir.Value] = []
    for known, run in groupby(map(Dim.of, sizes), lambda size: size.is_constant):
        each = list(run)
        parts += [b.ints(*map(int, each))] if known else [_one(b, size) for size in each]
    if len(parts) == 1:
        return parts[0]
    return b.sizes(sizes, "Concat", *parts, axis=0)


def _one(b: NodeBuilder, size: Dim) -> ir.Value:
    """A symbolic size: int64 [1]."""
    inputs = b.emitter.program.inputs
    said = places(size, {leaf.value.name: leaf.value for leaf in inputs if leaf.role != "size"})
    if said:
        return _read(b, size, said[0])
    for leaf in inputs:
        if leaf.role == "size" and leaf.of == str(size):
            return b.emitter.inputs[leaf.value]
    if size.symbol:
        raise ValueError(f"no input of `{b.emitter.program.name}` says how large `{size}` is")
    return reduce(lambda x, y: b.sizes([size], "Add", x, y), _terms(b, size))


def _read(b: NodeBuilder, size: Dim, place: Place) -> ir.Value:
    """A size that an axis of an input says."""
    array = next(x for x in b.emitter.inputs.values() if x.name == place.of)
    found = b.sizes([size], "Shape", array, start=place.axis, end=place.axis + 1)
    for op_type, number, nothing in (
        ("Sub", place.plus, 0),
        ("Mul", place.over, 1),
        ("Div", place.times, 1),
    ):
        if number != nothing:
            found = b.sizes([size], op_type, found, b.ints(number))
    return found


def _terms(b: NodeBuilder, size: Dim) -> list[ir.Value]:
    """What a size is the sum of."""
    found = []
    for times, symbols, over in size.terms:
        factors = [_one(b, Dim.of(symbol)) for symbol in symbols]
        factors += [b.ints(times)] if times != 1 or not factors else []
        term = reduce(lambda x, y: b.sizes([size], "Mul", x, y), factors)
        found.append(term if over == 1 else b.sizes([size], "Div", term, b.ints(over)))
    return found
