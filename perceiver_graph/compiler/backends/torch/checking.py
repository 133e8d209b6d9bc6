"""Writes `check`: what is wrong with the inputs of a call is told before anything is computed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass

from perceiver_graph.compiler.backends.torch.interface import (
    Interface,
    given,
    permitted,
    telling,
    written,
)
from perceiver_graph.compiler.backends.torch.names import identifier, unique
from perceiver_graph.compiler.backends.torch.printer import (
    Group,
    Piece,
    call,
    docstring,
    lay_out,
    strings,
)
from perceiver_graph.compiler.dims import Dim, Symbol
from perceiver_graph.compiler.ir import Input
from perceiver_graph.compiler.sizes import Place, places, symbols_of

SKIP = "        if not torch.compiler.is_compiling():"

_SUMMARY = """ValueError for inputs that are missing, unknown, or fit neither the model nor each other.

It takes microseconds, and is left out of what torch.compile and torch.export make. Values are looked \
at on a CPU only: a GPU would have to be waited for."""


@dataclass(frozen=True)
class Checking:
    """`declared` are the inputs of the model, `read` those of the encode program, `filled` the symbols
    that the call may give."""

    declared: Sequence[Input]
    read: Sequence[Input]
    interface: Interface
    filled: Mapping[str, Symbol]
    reserved: AbstractSet[str]

    def lines(self, sizes: str = "", before: Sequence[str] = ()) -> Iterator[str]:
        """The method, with an argument `sizes` and the statements `before` that check it, if any."""
        arguments = ["self", "inputs: dict[str, Tensor]", *([sizes] if sizes else [])]
        yield from lay_out(Group("def check", tuple(arguments)), 1, suffix=" -> None:")
        yield from docstring(_SUMMARY, 2)
        optional = [leaf.of for leaf in self.read if leaf.role == "present"]
        data = {leaf.of: leaf.value for leaf in self.read if leaf.role == "data"}
        names = sorted(_key(leaf) for leaf in self.declared)
        yield from lay_out(call("refuse_unknown", "inputs", strings(names), '"input"'), 2)
        if optional:
            yield "        if not inputs:"
            yield '            raise ValueError("no input is given, so the batch has no size")'
        company = {
            leaf.of: leaf.beside
            for leaf in self.read
            if leaf.beside and set(optional).issuperset(leaf.beside)
        }
        needed = [name for name in data if name not in optional and name not in company]
        if needed or optional:
            yield from lay_out(call("refuse_missing", "inputs", strings(needed)), 2)
        for name, beside in company.items():
            yield from lay_out(call("refuse_alone", "inputs", f'"{name}"', strings(beside)), 2)
        yield from before if sizes else ()
        variables: dict[str, str] = {}
        for symbol in symbols_of(value.shape for value in data.values()):
            if found := places(symbol, data):
                name = unique(identifier(symbol.name), {*variables.values(), *self.reserved})
                variables[symbol.name] = name
                yield from lay_out(self._size(symbol, found), 2, f"{name} = ")
        for leaf in self.read:
            yield from self._shape(leaf, variables)
        for leaf in self.read:
            count = self._values(leaf)
            if count is not None:
                checked = call("check_whole", "inputs", f'"{_key(leaf)}"', str(count))
                yield from lay_out(checked, 2)
            if leaf.role == "data" and (ranges := self.interface.ranges.get(leaf.of)):
                yield from lay_out(call("check_within", "inputs", f'"{leaf.of}"', *ranges), 2)

    def _size(self, symbol: Symbol, found: Sequence[Place]) -> Piece:
        axes, scaled = telling(found)
        text = f'"{symbol.name}"'
        if symbol.name in self.filled:
            scaled["given"] = given(symbol, None)
        return call("agreed_size", "inputs", text, axes, permitted(symbol), **scaled)

    def _shape(self, leaf: Input, variables: Mapping[str, str]) -> list[str]:
        sizes = [self._written(dim, variables) for dim in leaf.value.shape]
        axes = [*leaf.axes, *(f"axis_{i}" for i in range(len(leaf.axes), len(sizes)))]
        pairs = (f'"{axis}": {size}' for axis, size in zip(axes, sizes, strict=False))
        return lay_out(
            call("check_shape", "inputs", f'"{_key(leaf)}"', Group("", tuple(pairs), "{")), 2
        )

    def _written(self, dim: Dim, variables: Mapping[str, str]) -> str:
        return written(dim, variables) or "None"

    def _values(self, leaf: Input) -> int | None:
        """How many values there may be, from 0 on: of ids, and of what says yes and no."""
        if leaf.role == "data":
            return self.interface.vocabularies.get(leaf.of) if leaf.value.dtype == "int64" else None
        return 2 if leaf.role in {"present", "attention_mask"} else None


def _key(leaf: Input) -> str:
    return leaf.of if leaf.role == "data" else f"{leaf.of}.{leaf.role}"
