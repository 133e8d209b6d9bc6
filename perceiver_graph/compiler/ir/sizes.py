"""How sizes are found at run time: read off the shapes of arrays or, where none tells them, given."""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from operator import attrgetter

from perceiver_graph.compiler.ir.dims import Dim, Symbol, shape_of
from perceiver_graph.compiler.ir.graph import Input, Node, Value
from perceiver_graph.compiler.ir.op import TensorType


@dataclass(frozen=True)
class Place:
    """An axis that a size can be read off: its own size is `times / over * size + plus`."""

    of: str
    axis: int
    times: int = 1
    over: int = 1
    plus: int = 0

    @property
    def is_plain(self) -> bool:
        return (self.times, self.over, self.plus) == (1, 1, 0)


def places(dim: Dim | Symbol, arrays: Mapping[str, Value]) -> list[Place]:
    """The axes that a symbolic size can be read off, one of an array; those of just that size first.

    From others it follows where it is a symbol, and their size a multiple of it plus a number.
    """
    dim, found = Dim.of(dim), dict[str, Place]()
    for name, value in arrays.items():
        for axis, size in enumerate(value.shape):
            place = _place(dim, name, axis, size)
            if place and (name not in found or place.is_plain > found[name].is_plain):
                found[name] = place
    return sorted(found.values(), key=lambda place: not place.is_plain)


def _place(dim: Dim, name: str, axis: int, size: Dim) -> Place | None:
    if size == dim:
        return Place(name, axis)
    symbol = dim.symbol
    if symbol is None or size.symbols != {symbol}:
        return None
    low, step = symbol.lowest, symbol.multiple_of
    ends = [low + step * i for i in range(3)]
    if symbol.highest is not None and symbol.highest < ends[-1]:
        if symbol.highest == low:
            return None
        ends = [low, symbol.highest, symbol.highest]
    at = [size.evaluate({symbol.name: end}) for end in ends]
    slope = Fraction(at[1] - at[0], ends[1] - ends[0])
    offset = at[0] - slope * low
    if slope <= 0 or offset.denominator != 1 or at[2] != slope * ends[2] + offset:
        return None
    return Place(name, axis, slope.numerator, slope.denominator, int(offset))


def largest(symbols: Mapping[str, Symbol]) -> dict[str, int]:
    """A value for each symbol: batch 1, and the largest (else smallest) of others."""
    found = {name: s.lowest if s.highest is None else s.highest for name, s in symbols.items()}
    return found | {"batch": 1}


def symbols_of(shapes: Iterable[Iterable[Dim]]) -> list[Symbol]:
    """The symbols of some shapes, each once, in order."""
    found = {
        s: None
        for shape in shapes
        for dim in shape
        for s in sorted(dim.symbols, key=attrgetter("name"))
    }
    return list(found)


def held(nodes: Iterable[Node]) -> list[Dim]:
    """The sizes that primitives hold and that are known only at run time, each once."""
    return list(dict.fromkeys(dim for node in nodes for dim in node.op.dims))


def unsaid(dims: Iterable[Dim], arrays: Mapping[str, Value]) -> list[Symbol]:
    """The symbols in these sizes that no shape of an array tells."""
    open_ = [dim for dim in dims if not places(dim, arrays)]
    return [symbol for symbol in symbols_of([open_]) if not places(symbol, arrays)]


def inputs_for(
    nodes: Iterable[Node], inputs: Iterable[Input], read: Container[Value]
) -> tuple[Input, ...]:
    """The inputs that are read, those whose shapes alone tell a size that nodes hold, and for each
    symbol that no shape tells one that gives it."""
    inputs, dims = list(inputs), held(nodes)
    given = {leaf.of: leaf for leaf in inputs if leaf.role == "size"}
    arrays = [leaf for leaf in inputs if leaf.role != "size"]
    kept = {leaf.value.name: leaf.value for leaf in arrays if leaf.value in read}
    missing = unsaid(dims, kept)
    for leaf in arrays if missing else ():
        more = kept | {leaf.value.name: leaf.value}
        if len(left := unsaid(dims, more)) < len(missing):
            kept, missing = more, left
    found = [leaf for leaf in arrays if leaf.value.name in kept]
    return (*found, *(given.get(symbol.name) or _giving(symbol) for symbol in missing))


def _giving(symbol: Symbol) -> Input:
    value = Value(f"{symbol.name}.size", TensorType(shape_of(1), "int64"))
    return Input(value, "size", symbol.name, ("size",))
