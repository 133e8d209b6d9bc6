"""What a spec says of its model beyond the graph: axes and vocabularies, and how sizes are given."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from perceiver_graph.compiler.backends.torch import text as py
from perceiver_graph.compiler.blocks.context import Coordinates
from perceiver_graph.compiler.ir.dims import Dim, Symbol
from perceiver_graph.compiler.ir.sizes import Place
from perceiver_graph.compiler.lowering.lowered import Lowered
from perceiver_graph.compiler.lowering.media import vocabularies, vocabulary
from perceiver_graph.media.base import InputMedia

Axes = Sequence[tuple[str, Dim]]
UNLIMITED = "2**63"
WIDE, NARROW = "int64", ("uint8", "int8", "int16", "int32")
"""Whole numbers as they are computed with, and as files have them."""


@dataclass(frozen=True)
class Interface:
    """`outputs`: the axes of each output that count queries, by name and size; none for a single query.
    `vocabularies`: how many ids there are of each input of ids, or in each of its channels. `sources`:
    for outputs that are asked where another one is, that one. `ranges`: arguments of `check_within` for
    arrays of coordinates, by name."""

    outputs: Mapping[str, Axes] = field(default_factory=dict)
    vocabularies: Mapping[str, int | tuple[int, ...]] = field(default_factory=dict)
    sources: Mapping[str, str] = field(default_factory=dict)
    ranges: Mapping[str, Sequence[str]] = field(default_factory=dict)
    periods: Mapping[str, str] = field(default_factory=dict)
    """Of arrays with periodic coordinates, the least and the greatest value by channel, as source."""
    among: Mapping[str, Dim] = field(default_factory=dict)
    """Of arrays that choose tokens by their numbers, how many there are to choose from."""
    scaled: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """Of inputs that are read from files, what scales whole numbers: arguments of `check_scaled`."""


def interface_of(lowered: Lowered) -> Interface:
    """What a lowered spec says of its inputs and outputs."""
    outputs = {
        name: [(axis.name, axis.size) for axis in output.asked]
        for name, output in lowered.outputs.items()
    }
    counts = {
        name: vocabulary(spec) or tuple(vocabularies(spec).values())
        for name, spec in lowered.inputs.items()
    }
    ids = {name: count for name, count in counts.items() if count}
    sources = {name: output.source for name, output in lowered.outputs.items() if output.source}
    ranges = {name: _within(c) for name, c in lowered.coordinates.items() if any(c.ranges)}
    periods = {name: _periods(c) for name, c in lowered.coordinates.items() if any(c.periods)}
    among = {name: c.among for name, c in lowered.coordinates.items() if c.among is not None}
    scaled = {
        name: _scaling(name, spec.media)
        for name, spec in lowered.inputs.items()
        if spec.media and spec.media.bounds()
    }
    return Interface(outputs, ids, sources, ranges, periods, among, scaled)


def _scaling(name: str, media: InputMedia) -> list[str]:
    """The expression that does it, and those of other widths, as source."""
    way, *others = (media.scaled(name, np.dtype(width)) for width in (WIDE, *NARROW))
    each = zip(NARROW, others, strict=True)
    ways = ", ".join(f"torch.{width}: {py.quoted(one)}" for width, one in each if one != way)
    bounds = repr(tuple(float(f"{end:.6g}") for end in media.bounds() or (-1.0, 1.0)))
    return [py.quoted(way), bounds, *([f"{{{ways}}}"] if ways else [])]


def _within(coordinates: Coordinates) -> list[str]:
    """The ranges as a dict, and the inputs whose tokens lie there, as source."""
    names = coordinates.names or [f"channel {i}" for i in range(len(coordinates.ranges))]
    bounds = enumerate(zip(names, coordinates.ranges, strict=True))
    ranges = {name: (channel, *ends) for channel, (name, ends) in bounds if ends is not None}
    return [py.entries(ranges), *([py.strings(coordinates.beside)] if coordinates.beside else [])]


def _periods(coordinates: Coordinates) -> str:
    """`{0: (0.0, 24.0)}`, as source."""
    return repr({i: ends for i, ends in enumerate(coordinates.periods) if ends is not None})


def telling(found: Sequence[Place]) -> tuple[str, dict[str, str]]:
    """The axes by array, and the keyword that says how those differ that are not the size itself."""
    axes = py.entries({place.of: place.axis for place in found})
    scaled = {p.of: (p.times, p.over, p.plus) for p in found if not p.is_plain}
    return axes, {"scaled": py.entries(scaled)} if scaled else {}


def permitted(symbol: Symbol) -> str:
    """The values of a symbol as a range of Python."""
    end = UNLIMITED if symbol.highest is None else str(symbol.highest + 1)
    step = f", {symbol.multiple_of}" if symbol.multiple_of > 1 else ""
    return f"range({symbol.lowest}, {end}{step})"


def all_permitted(symbols: Mapping[str, Symbol]) -> str:
    """`length (range(1, 10)), ..`."""
    return ", ".join(f"{name} ({permitted(symbol)})" for name, symbol in symbols.items())


def given(symbol: Symbol, default: int | str | None) -> str:
    """The value of a symbol that the call may give."""
    return f'(sizes or {{}}).get("{symbol.name}"{"" if default is None else f", {default}"})'
