"""How encode takes its inputs from a dict, and `check`, which tells first what is wrong with them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from functools import cached_property

from perceiver_graph.compiler.backends.torch.extents import said, written
from perceiver_graph.compiler.backends.torch.interface import Interface, given, permitted, telling
from perceiver_graph.compiler.backends.torch.names import identifier, unique
from perceiver_graph.compiler.backends.torch.text import (
    call,
    docstring,
    entries,
    quoted,
    several,
    statement,
    strings,
)
from perceiver_graph.compiler.ir.dims import Symbol
from perceiver_graph.compiler.ir.graph import Input, Value
from perceiver_graph.compiler.ir.sizes import places, symbols_of

EAGERLY = "        if not (torch.compiler.is_compiling() or torch.jit.is_tracing()):"
SIZES = "sizes: dict[str, int] | None = None"

_CHECK = """ValueError for inputs that are missing, unknown, or fit neither the model nor each other.

It is left out of what torch.compile, torch.export and torch.jit.trace make. Values are looked at once \
each, and on a CPU only: a GPU would have to be waited for."""

_WORDS = {"present": "present", "attention_mask": "mask"}
"""How the variables of inputs that come with the data end."""


@dataclass(frozen=True)
class Inputs:
    """The inputs of encode. `like` is a parameter that tells dtype and device, `filled` are the
    symbols that the call may give where inputs are left out, `reserved` names of the file."""

    leaves: Sequence[Input]
    like: str
    filled: Mapping[str, Symbol]
    reserved: AbstractSet[str]

    @cached_property
    def data(self) -> dict[str, Value]:
        return {leaf.of: leaf.value for leaf in self.leaves if leaf.role == "data"}

    @cached_property
    def variables(self) -> dict[Value, str]:
        """Variables for the inputs."""
        names: dict[Value, str] = {}
        for leaf in self.leaves:
            wanted = leaf.of if leaf.role == "data" else f"{leaf.of}_{_WORDS[leaf.role]}"
            names[leaf.value] = unique(identifier(wanted), {*names.values(), *self._taken})
        return names

    @property
    def _taken(self) -> AbstractSet[str]:
        return self.reserved | {"inputs", "sizes"}

    @property
    def optional(self) -> list[str]:
        """The modalities that may be left out."""
        return [leaf.of for leaf in self.leaves if leaf.role == "present"]

    @cached_property
    def labels(self) -> dict[Value, str]:
        """What the inputs are called in the classes that encode calls."""
        return {leaf.value: identifier(_WORDS.get(leaf.role, leaf.of)) for leaf in self.leaves}

    @cached_property
    def _left_out(self) -> list[Input]:
        """Data that may be left out."""
        optional = set(self.optional)
        data = [leaf for leaf in self.leaves if leaf.role == "data"]
        beside = {leaf.of for leaf in data if leaf.beside and optional.issuperset(leaf.beside)}
        return [leaf for leaf in data if leaf.of in optional | beside]

    def lines(self) -> Iterator[str]:
        """Statements that give the variables their values; masks last: one that is left out takes its
        sizes from the data."""
        sizes: dict[str, str] = {}
        for symbol in symbols_of(leaf.value.shape[1:] for leaf in self._left_out):
            taken = {*self.variables.values(), *sizes.values(), *self._taken, "self"}
            name = sizes[symbol.name] = unique(identifier(symbol.name), taken)
            axes, scaled = telling(places(symbol, self.data))
            smallest = str(symbol.lowest)
            default = given(symbol, smallest) if symbol.name in self.filled else smallest
            size = call("shared_size", "inputs", axes, default, **scaled)
            yield from statement(f"{name} = {size}", 2)
        for leaf in self.leaves:
            if leaf.role == "data":
                yield from statement(self._take(leaf, sizes), 2)
        for leaf in self.leaves:
            if leaf.role == "attention_mask":
                yield from statement(f"{self.variables[leaf.value]} = {self._mask(leaf)}", 2)

    def _take(self, leaf: Input, sizes: Mapping[str, str]) -> str:
        """The statement that takes the data of an input."""
        name = self.variables[leaf.value]
        if leaf not in self._left_out:
            return f"{name} = inputs[{quoted(leaf.of)}]"
        shape = several([written(dim, sizes) for dim in leaf.value.shape[1:]])
        asked, options = ("inputs", quoted(leaf.of), shape), {"like": self.like}
        present = [x.value for x in self.leaves if x.role == "present" and x.of == leaf.of]
        if not present:
            return f"{name} = {call('given_beside', *asked, **options)}"
        if leaf.value.dtype != "float32":
            options["dtype"] = f"torch.{leaf.value.dtype}"
        return f"{name}, {self.variables[present[0]]} = {call('given_or_not', *asked, **options)}"

    def _mask(self, leaf: Input) -> str:
        """A mask that is left out takes its sizes from the data, if they say them."""
        x, axes = self.data.get(leaf.of), leaf.value.shape
        name = self.variables[x] if x else ""
        sizes = [said(dim, {name: x}) if x else None for dim in axes]
        if x is None or None in sizes:
            return f"inputs[{quoted(_key(leaf))}].bool()"
        shape = f"{name}.shape[:{len(axes)}]" if axes == x.shape[: len(axes)] else several(sizes)
        return call("given_mask", "inputs", quoted(leaf.of), name, shape)

    def check(
        self, declared: Iterable[Input], interface: Interface, before: Iterable[str]
    ) -> Iterator[str]:
        """The method `check` for `declared` inputs; the statements `before` check the sizes that are
        given, if any."""
        arguments = ["self", "inputs: dict[str, Tensor]", *([SIZES] if self.filled else [])]
        yield from statement(f"def check({', '.join(arguments)}) -> None:", 1)
        yield from docstring(_CHECK, 2)
        names = strings(sorted(map(_key, declared)))
        yield from statement(call("refuse_unknown", "inputs", names, '"input"'), 2)
        if self.optional:
            yield "        if not inputs:"
            yield '            raise ValueError("no input is given, so the batch has no size")'
        left_out = {leaf.of for leaf in self._left_out}
        needed = [name for name in self.data if name not in left_out]
        if needed or self.optional:
            yield from statement(call("refuse_missing", "inputs", strings(needed)), 2)
        for leaf in self._left_out:
            if leaf.of not in self.optional:
                beside = strings(leaf.beside)
                yield from statement(call("refuse_alone", "inputs", quoted(leaf.of), beside), 2)
        yield from before if self.filled else ()
        variables: dict[str, str] = {}
        for symbol in symbols_of(value.shape for value in self.data.values()):
            if found := places(symbol, self.data):
                axes, options = telling(found)
                if symbol.name in self.filled:
                    options["given"] = given(symbol, None)
                asked = ("inputs", quoted(symbol.name), axes, permitted(symbol))
                name = unique(identifier(symbol.name), {*variables.values(), *self._taken})
                variables[symbol.name] = name
                yield from statement(f"{name} = {call('agreed_size', *asked, **options)}", 2)
        for leaf in self.leaves:
            sizes = [written(dim, variables) for dim in leaf.value.shape]
            axes = entries(dict(zip(_axes(leaf), sizes, strict=False)))
            yield from statement(call("check_shape", "inputs", quoted(_key(leaf)), axes), 2)
        yield from self._check_values(interface)

    def _check_values(self, interface: Interface) -> Iterator[str]:
        """Statements that check what the inputs hold."""
        for leaf in self.leaves:
            ids = leaf.role == "data" and leaf.value.dtype == "int64"
            count = interface.vocabularies.get(leaf.of) if ids else None
            asked = ("inputs", quoted(_key(leaf)))
            if leaf.role != "data":
                yield from statement(call("check_mask", *asked), 2)
            elif count:
                yield from statement(call("check_whole", *asked, count), 2)
            elif leaf.value.dtype == "float32":
                yield from statement(call("check_numbers", *asked, self.like), 2)
            if leaf.role == "data" and (ranges := interface.ranges.get(leaf.of)):
                within = call("check_within", "inputs", quoted(leaf.of), *ranges)
                yield from statement(within, 2)


def _axes(leaf: Input) -> list[str]:
    return [*leaf.axes, *(f"axis_{i}" for i in range(len(leaf.axes), leaf.value.type.rank))]


def _key(leaf: Input) -> str:
    return leaf.of if leaf.role == "data" else f"{leaf.of}.{leaf.role}"
