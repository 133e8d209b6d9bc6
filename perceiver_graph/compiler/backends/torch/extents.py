"""How methods find sizes that are known only at run time: from the shapes of what they have at hand,
or else from arguments, which their callers find in the same way."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from perceiver_graph.compiler.ir.dims import Dim, Symbol
from perceiver_graph.compiler.ir.graph import Value
from perceiver_graph.compiler.ir.sizes import Place, places, symbols_of
from perceiver_graph.compiler.ops import TensorType


@dataclass(frozen=True)
class Extent(Value):
    """A size that is known only at run time, as a value of the code: an int."""

    dim: Dim

    def __hash__(self) -> int:
        return hash(self.dim)

    @staticmethod
    def of(size: Dim | Symbol) -> Extent:
        dim = Dim.of(size)
        return Extent(dim.symbol.name if dim.symbol else "size", TensorType((), "int64"), dim)


@dataclass(frozen=True)
class Reading:
    """Reads a size off the shape of an array."""

    source: Value
    place: Place
    output: Extent

    @property
    def inputs(self) -> tuple[Value, ...]:
        return (self.source,)


@dataclass
class Finder:
    """Finds the sizes of a method, each once, from what it is given or has made so far."""

    given: Sequence[Value]
    made: list[Value] = field(default_factory=list)
    early: list[Reading] = field(default_factory=list)
    """Readings of what is given: the method begins with them."""
    late: list[Reading] = field(default_factory=list)
    """Readings of what it has made."""
    arguments: list[Extent] = field(default_factory=list)
    """What has to be given too."""

    def find(self, dims: Iterable[Dim]) -> tuple[Extent, ...]:
        """What sizes are computed from: themselves, or their symbols."""
        found: dict[Extent, None] = {}
        for dim in dims:
            extent = Extent.of(dim)
            parts = (
                (extent,) if self._finds(extent) else self.find(map(Dim.of, symbols_of([[dim]])))
            )
            found |= dict.fromkeys(parts)
        return tuple(found)

    def _finds(self, extent: Extent) -> bool:
        """Whether a size is at hand itself, as every symbol is: if nothing says it, it is given."""
        if extent in (*self.arguments, *(reading.output for reading in self.early + self.late)):
            return True
        arrays = {value.name: value for value in (*self.given, *reversed(self.made))}
        if found := places(extent.dim, arrays):
            source = arrays[found[0].of]
            readings = self.early if source in self.given else self.late
            readings.append(Reading(source, found[0], extent))
            return True
        if extent.dim.symbol:
            self.arguments.append(extent)
        return extent in self.arguments

    def begin(self) -> list[Reading]:
        """The readings of what is given, in the order of its axes."""
        order = {value: i for i, value in enumerate(self.given)}
        return sorted(self.early, key=lambda r: (order[r.source], r.place.axis))


def text_of(dim: Dim, texts: Mapping[Value, str]) -> str:
    """A size as Python, in terms of the texts of what it is computed from."""
    if (extent := Extent.of(dim)) in texts:
        return texts[extent]
    symbols = {x.name: text for x, text in texts.items() if isinstance(x, Extent) and x.dim.symbol}
    text = written(dim, symbols)
    assert text is not None
    return text


def written(dim: Dim, variables: Mapping[str, str]) -> str | None:
    """A size as Python; None where a symbol has no variable."""
    if any(symbol.name not in variables for symbol in dim.symbols):
        return None
    text = str(dim).replace("*", " * ").replace("/", " // ")
    return re.sub(r"[^\W\d]\w*", lambda word: variables[word[0]], text)


def said(dim: Dim, arrays: Mapping[str, Value]) -> str | None:
    """A size as Python, read off the shapes of arrays that have names; None where they do not say it."""
    if found := places(dim, arrays):
        return read(found[0], found[0].of)
    if dim.symbol:
        return None
    parts = {symbol.name: said(Dim.of(symbol), arrays) for symbol in dim.symbols}
    return written(dim, {name: part for name, part in parts.items() if part})


def read(place: Place, array: str) -> str:
    """A size as Python, read off an array."""
    text = f"{array}.shape[{place.axis}]"
    if place.plus:
        text = f"({text} {'-' if place.plus > 0 else '+'} {abs(place.plus)})"
    text += f" * {place.over}" if place.over > 1 else ""
    return text + (f" // {place.times}" if place.times > 1 else "")
