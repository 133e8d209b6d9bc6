"""How decode knows the sizes of its outputs: from the state, or from what the call gives."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from functools import cached_property

from perceiver_graph.compiler.backends.torch.interface import Axes, given, read, written
from perceiver_graph.compiler.backends.torch.names import identifier, unique
from perceiver_graph.compiler.dims import Dim, Symbol, product
from perceiver_graph.compiler.ir import Value
from perceiver_graph.compiler.sizes import Place, places, symbols_of

_TAKEN = {"chunks", "device", "found", "i", "name", "outputs", "part", "parts", "queries"}
_TAKEN |= {"self", "sizes", "state"}
"""Other variables of the methods that sizes stand in."""


@dataclass(frozen=True)
class Sizes:
    """`state` is what encode hands over, by key, `data` the inputs, `outputs` the axes of those with
    positions, `read` the sizes that decode reads besides, `given` the symbols that no input says,
    `left_out` those that no needed input says."""

    state: Mapping[str, Value]
    data: Mapping[str, Value]
    outputs: Mapping[str, Axes]
    read: Sequence[Dim]
    given: Sequence[Symbol]
    left_out: Sequence[Symbol]
    reserved: AbstractSet[str]

    @cached_property
    def free(self) -> dict[str, Symbol]:
        """The symbols that no input says, by name."""
        return {symbol.name: symbol for symbol in self.given}

    @cached_property
    def filled(self) -> dict[str, Symbol]:
        """The symbols that the call may give where inputs are left out, by name."""
        return {symbol.name: symbol for symbol in self.left_out}

    @property
    def named(self) -> dict[str, Symbol]:
        """All that the call may give."""
        return {**self.filled, **self.free}

    def of(self, output: str) -> list[str] | None:
        """The sizes of an output's axes as Python; None where they are not known."""
        axes = self.outputs.get(output, ())
        sizes = [written(dim, self.variables) for _, dim in axes]
        known = [size for size in sizes if size]
        return known if axes and len(known) == len(axes) else None

    def count(self, output: str) -> str | None:
        """How many positions an output has, as Python; None where that is not known."""
        axes = self.outputs.get(output, ())
        return written(product(dim for _, dim in axes), self.variables) if axes else None

    @cached_property
    def grids(self) -> dict[str, list[str]]:
        """The sizes of outputs with several axes."""
        found = {name: self.of(name) for name in self.outputs}
        return {name: sizes for name, sizes in found.items() if sizes and len(sizes) > 1}

    @cached_property
    def variables(self) -> dict[str, str]:
        """What the symbols are called that the state or the call says."""
        names: dict[str, str] = {}
        for symbol in self._symbols:
            if symbol.name in {*self.free, *self._told, *self._told_by_inputs}:
                taken = {*self.reserved, *_TAKEN, *names.values()}
                names[symbol.name] = unique(identifier(symbol.name), taken)
        return names

    @cached_property
    def empty(self) -> dict[str, str]:
        """Inputs of which the state keeps the shape alone, by the keys that it has there.

        As an array without elements it is cut, moved and stored with the rest of the state.
        """
        names = {place.of for place in self._told_by_inputs.values()}
        return {name: unique(f"{name}_shape", set(self.state)) for name in sorted(names)}

    @property
    def handed_over(self) -> list[str]:
        """These arrays with their shapes."""
        shapes = {key: ", ".join(map(str, self.data[of].shape)) for of, key in self.empty.items()}
        return [f"{key} [{shape}, 0]" for key, shape in shapes.items()]

    def lines(self) -> list[str]:
        """Statements that give the variables of symbols their values."""
        lines: list[str] = []
        for name, variable in self.variables.items():
            if name in self.free:
                value = given(symbol := self.free[name], symbol.highest)
            else:
                place = self._told.get(name) or self._told_by_inputs[name]
                key = place.of if name in self._told else self.empty[place.of]
                value = read(place, f'state["{key}"]')
            lines.append(f"        {variable} = {value}")
        return lines

    @cached_property
    def _symbols(self) -> list[Symbol]:
        axes = [[dim for _, dim in axes] for axes in self.outputs.values()]
        return symbols_of([*axes, self.read])

    @cached_property
    def _told(self) -> dict[str, Place]:
        """The axes of what decode reads that say a symbol."""
        found = {symbol.name: places(symbol, self.state) for symbol in self._symbols}
        return {name: told[0] for name, told in found.items() if told and told[0].is_plain}

    @cached_property
    def _told_by_inputs(self) -> dict[str, Place]:
        """The axes of inputs that say the others."""
        others = [s for s in self._symbols if s.name not in {*self._told, *self.free}]
        found = {symbol.name: places(symbol, self.data) for symbol in others}
        return {name: told[0] for name, told in found.items() if told}
