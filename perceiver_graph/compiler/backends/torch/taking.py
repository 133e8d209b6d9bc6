"""How encode takes its inputs from the dict that it is called with: data, what is left out, masks."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass

from perceiver_graph.compiler.backends.torch.interface import given, telling, written
from perceiver_graph.compiler.backends.torch.names import identifier, unique
from perceiver_graph.compiler.backends.torch.printer import (
    Piece,
    call,
    comma_tuple,
    lay_out,
)
from perceiver_graph.compiler.dims import Dim
from perceiver_graph.compiler.ir import Input, Value
from perceiver_graph.compiler.sizes import places, symbols_of

_WORDS = {"present": "present", "attention_mask": "mask"}
"""How the variables of inputs that come with the data end."""


def variables(inputs: Iterable[Input], reserved: AbstractSet[str]) -> dict[Value, str]:
    """Variables for the inputs of encode."""
    names: dict[Value, str] = {}
    for leaf in inputs:
        wanted = leaf.of if leaf.role == "data" else f"{leaf.of}_{_WORDS[leaf.role]}"
        names[leaf.value] = unique(identifier(wanted), {*names.values(), *reserved})
    return names


@dataclass(frozen=True)
class Taking:
    """The statements that give the variables their values; `like` tells dtype and device, `filled`
    are the symbols that the call may give."""

    inputs: Sequence[Input]
    arguments: Mapping[Value, str]
    like: str
    filled: AbstractSet[str] = frozenset()

    def lines(self) -> Iterator[str]:
        """Masks last: one that is left out takes its sizes from the data."""
        for leaf in self.inputs:
            if leaf.role == "data":
                yield from self._take(leaf)
        for leaf in self.inputs:
            if leaf.role == "attention_mask":
                yield from self._take_mask(leaf)

    def _take(self, leaf: Input) -> list[str]:
        name = self.arguments[leaf.value]
        present = [
            self.arguments[other.value]
            for other in self.inputs
            if other.role == "present" and other.of == leaf.of
        ]
        beside = self._optional_beside(leaf)
        if not present and not beside:
            return [f'        {name} = inputs["{leaf.of}"]']
        sizes, before = self._sizes_without(leaf)
        asked: list[Piece] = ["inputs", f'"{leaf.of}"', comma_tuple(sizes)]
        options = {"like": self.like}
        if beside:
            return [*before, *lay_out(call("given_beside", *asked, **options), 2, f"{name} = ")]
        if leaf.value.dtype != "float32":
            options["dtype"] = f"torch.{leaf.value.dtype}"
        taken = call("given_or_not", *asked, **options)
        return [*before, *lay_out(taken, 2, f"{name}, {present[0]} = ")]

    def _optional_beside(self, leaf: Input) -> tuple[str, ...]:
        """The modalities whose positions these are, if all of them may be left out."""
        optional = {other.of for other in self.inputs if other.role == "present"}
        return leaf.beside if optional.issuperset(leaf.beside) else ()

    def _sizes_without(self, leaf: Input) -> tuple[list[str], list[str]]:
        """The sizes of an input that is left out, and the statements before that tell them: what
        others say that share a symbol, or else the smallest."""
        data = {i.of: i.value for i in self.inputs if i.role == "data" and i is not leaf}
        lines: list[str] = []
        values: dict[str, str] = {}
        for symbol in symbols_of([leaf.value.shape[1:]]):
            smallest = str(symbol.lowest)
            if symbol.name in self.filled:
                smallest = given(symbol, smallest)
            values[symbol.name] = smallest
            if found := places(symbol, data):
                taken = {*self.arguments.values(), "inputs", "self", "sizes"}
                name = values[symbol.name] = unique(identifier(symbol.name), taken)
                axes, scaled = telling(found)
                shared = call("shared_size", "inputs", axes, smallest, **scaled)
                lines += lay_out(shared, 2, f"{name} = ")
        return [written(dim, values) or str(dim) for dim in leaf.value.shape[1:]], lines

    def _take_mask(self, leaf: Input) -> list[str]:
        """A mask that is left out takes its sizes from the data, if they say them."""
        start = f"{self.arguments[leaf.value]} = "
        data = [i.value for i in self.inputs if i.role == "data" and i.of == leaf.of]
        shape = _shape_like(leaf.value, data[0], self.arguments[data[0]]) if data else None
        if shape is not None:
            x = self.arguments[data[0]]
            return lay_out(call("given_mask", "inputs", f'"{leaf.of}"', x, shape), 2, start)
        return [f'        {start}inputs["{leaf.of}.attention_mask"].bool()']


def _shape_like(value: Value, x: Value, name: str) -> str | None:
    """The shape of a value in terms of the shape of another, which is at hand under a name."""
    rank = value.type.rank
    if value.shape == x.shape[:rank]:
        return f"{name}.shape[:{rank}]"
    axes = {str(dim): f"{name}.shape[{i}]" for i, dim in reversed([*enumerate(x.shape)])}
    unsaid = [dim for dim in value.shape if str(dim) not in axes]
    if any(symbol.name not in axes for dim in unsaid for symbol in dim.symbols):
        return None

    def size(dim: Dim) -> str:
        text = str(dim).replace("*", " * ").replace("/", " // ")
        return axes.get(str(dim)) or re.sub(r"[A-Za-z_]\w*", lambda word: axes[word[0]], text)

    return str(comma_tuple([size(dim) for dim in value.shape]))
