"""How encode takes its inputs from a dict, and `check`, which tells first what is wrong with them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from functools import cached_property

from perceiver_graph.compiler.backends.torch import text as py
from perceiver_graph.compiler.backends.torch.extents import said, written
from perceiver_graph.compiler.backends.torch.interface import (
    Interface,
    all_permitted,
    given,
    permitted,
    telling,
)
from perceiver_graph.compiler.backends.torch.names import identifier, unique
from perceiver_graph.compiler.ir.dims import Symbol, format_shape
from perceiver_graph.compiler.ir.graph import Input, Value
from perceiver_graph.compiler.ir.sizes import places, symbols_of
from perceiver_graph.diagnostics.words import joined

EAGERLY = "if not (torch.compiler.is_compiling() or torch.jit.is_tracing()):"
TENSORS = "dict[str, Tensor]"
SIZES = "sizes: dict[str, int] | None = None"

_CHECK = """ValueError for inputs that are missing, unknown, or fit neither the model nor each other.

It is left out of what torch.compile, torch.export and torch.jit.trace make. Values are looked at once \
each, and on a CPU only, save for the scale of pixels and samples in the first calls: a GPU would have to \
be waited for."""

_WORDS = {"present": "present", "attention_mask": "mask"}
"""How the variables of inputs that come with the data end."""


@dataclass(frozen=True)
class Inputs:
    """The inputs of encode. `like` is a parameter that tells dtype and device, `reserved` are names of
    the file."""

    leaves: Sequence[Input]
    like: str
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
        return self.reserved | {"inputs", "named", "sizes"}

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

    @cached_property
    def filled(self) -> dict[str, Symbol]:
        """The symbols that no input says that has to be there: given with the call where those are
        left out that do, or else the smallest."""
        left_out = {leaf.of: leaf.value for leaf in self._left_out}
        needed = {name: x for name, x in self.data.items() if name not in left_out}
        found = symbols_of(value.shape[1:] for value in left_out.values())
        return {symbol.name: symbol for symbol in found if not places(symbol, needed)}

    def assignments(self, periods: Mapping[str, str] | None = None) -> Iterator[str]:
        """Statements that give the variables their values; masks last: one that is left out takes its
        sizes from the data."""
        sizes: dict[str, str] = {}
        for symbol in symbols_of(leaf.value.shape[1:] for leaf in self._left_out):
            taken = {*self.variables.values(), *sizes.values(), *self._taken, "self"}
            name = sizes[symbol.name] = unique(identifier(symbol.name), taken)
            axes, scaled = telling(places(symbol, self.data))
            smallest = str(symbol.lowest)
            default = given(symbol, smallest) if symbol.name in self.filled else smallest
            yield f"{name} = {py.call('shared_size', 'inputs', axes, default, **scaled)}"
        yield from (
            self._take(leaf, sizes, periods or {}) for leaf in self.leaves if leaf.role == "data"
        )
        for leaf in self.leaves:
            if leaf.role == "attention_mask":
                yield f"{self.variables[leaf.value]} = {self._mask(leaf)}"

    def _take(self, leaf: Input, sizes: Mapping[str, str], periods: Mapping[str, str]) -> str:
        """The statement that takes the data of an input, in the dtype that the model computes with."""
        name, found = self.variables[leaf.value], f"inputs[{py.quoted(leaf.of)}]"
        if leaf not in self._left_out:
            if leaf.value.dtype == "int64":
                return f"{name} = {found}.long()"
            if leaf.value.dtype != "float32":
                return f"{name} = {found}.to(torch.{leaf.value.dtype})"
            if leaf.of in periods:
                return f"{name} = {py.call('as_numbers', found, self.like, periods[leaf.of])}"
            return f"{name} = {found}.to({self.like}.dtype)"
        shape = py.several([written(dim, sizes) for dim in leaf.value.shape[1:]])
        asked, options = ("inputs", py.quoted(leaf.of), shape), {"like": self.like}
        present = [x.value for x in self.leaves if x.role == "present" and x.of == leaf.of]
        if not present:
            if leaf.value.dtype == "int64":
                return f"{name} = {py.call('given_numbers', *asked, **options)}"
            if leaf.of in periods:
                options["periods"] = periods[leaf.of]
            return f"{name} = {py.call('given_beside', *asked, **options)}"
        if leaf.value.dtype != "float32":
            options["dtype"] = f"torch.{leaf.value.dtype}"
        return (
            f"{name}, {self.variables[present[0]]} = {py.call('given_or_not', *asked, **options)}"
        )

    def _mask(self, leaf: Input) -> str:
        """A mask that is left out takes its sizes from the data, if they say them."""
        x, axes = self.data.get(leaf.of), leaf.value.shape
        name = self.variables[x] if x else ""
        sizes = [said(dim, {name: x}) if x else None for dim in axes]
        if x is None or None in sizes:
            return f"inputs[{py.quoted(_key(leaf))}].bool()"
        shape = f"{name}.shape[:{len(axes)}]" if axes == x.shape[: len(axes)] else py.several(sizes)
        return py.call("given_mask", "inputs", py.quoted(leaf.of), name, shape)

    def check(
        self,
        declared: Iterable[Input],
        interface: Interface,
        sizes: Sequence[py.Statement],
        name: str = "check",
        more: Sequence[str] = (),
        then: Sequence[py.Statement] = (),
    ) -> py.Statement:
        """The method `check` for `declared` inputs; statements check the sizes that are given, and `then`
        what `more` arguments are."""
        arguments = [f"inputs: {TENSORS}", *more, *([SIZES] if self.filled else [])]
        known = py.strings(sorted(map(_key, declared)))
        body: list[py.Statement] = [py.call("refuse_unknown", "inputs", known, '"input"')]
        if self.optional:
            nothing = 'raise ValueError("no input is given, so the batch has no size")'
            body.append(("if not inputs:", nothing))
        left_out = {leaf.of for leaf in self._left_out}
        needed = [name for name in self.data if name not in left_out]
        if needed or self.optional:
            body.append(py.call("refuse_missing", "inputs", py.strings(needed)))
        body += [
            py.call("refuse_alone", "inputs", py.quoted(leaf.of), py.strings(leaf.beside))
            for leaf in self._left_out
            if leaf.of not in self.optional
        ]
        body += sizes if self.filled else ()
        # A size that is told by an axis which lies elsewhere would mislead.
        loose = [leaf for leaf in self.leaves if leaf.role == "data"]
        body += [self._check_shape(leaf, {}, interface) for leaf in loose]
        # Of those of fixed sizes nothing is left to check then but the batch, which is agreed on.
        shaped = [leaf for leaf in self.leaves if leaf not in loose or _is_open(leaf)]
        used = {symbol.name for symbol in symbols_of(leaf.value.shape for leaf in shaped)}
        variables: dict[str, str] = {}
        for symbol in symbols_of(value.shape for value in self.data.values()):
            if found := places(symbol, self.data):
                axes, options = telling(found)
                if symbol.name in self.filled:
                    options["given"] = given(symbol, None)
                asked = ("inputs", py.quoted(symbol.name), axes, permitted(symbol))
                variable = unique(identifier(symbol.name), {*variables.values(), *self._taken})
                variables[symbol.name] = variable
                agreed = py.call("agreed_size", *asked, **options)
                body.append(f"{variable} = {agreed}" if symbol.name in used else agreed)
        for leaf in shaped:
            body.append(self._check_shape(leaf, variables, interface))
        for leaf in self.leaves:
            body += self._check_values(leaf, interface, variables)
        return py.method(name, arguments, "None", _CHECK, *body, *then)

    def _check_shape(self, leaf: Input, sizes: Mapping[str, str], interface: Interface) -> str:
        """The statement that checks the axes of an input; a size that is not known may be any."""
        each = [written(dim, sizes) for dim in leaf.value.shape]
        axes = py.entries(dict(zip(_axes(leaf), each, strict=False)))
        count = interface.vocabularies.get(leaf.of) if leaf.role == "data" else None
        ids = [count] if count else []
        return py.call("check_shape", "inputs", py.quoted(_key(leaf)), axes, *ids)

    def _check_values(
        self, leaf: Input, interface: Interface, sizes: Mapping[str, str]
    ) -> Iterator[str]:
        """Statements that check what an input holds."""
        asked = ("inputs", py.quoted(_key(leaf)))
        if leaf.role != "data":
            yield py.call("check_mask", *asked)
            return
        count = interface.vocabularies.get(leaf.of)
        if leaf.value.dtype == "int64" and count:
            several = isinstance(count, tuple)
            yield py.call("check_ids" if several else "check_whole", *asked, count)
        elif among := interface.among.get(leaf.of):
            yield py.call("check_whole", *asked, written(among, sizes))
        elif leaf.value.dtype == "float32":
            of = interface.periods.get(leaf.of)
            yield py.call("check_numbers", *asked, self.like, **({"periods": of} if of else {}))
            if scaled := interface.scaled.get(leaf.of):
                yield py.call("check_scaled", *asked, *scaled)
        if ranges := interface.ranges.get(leaf.of):
            yield py.call("check_within", *asked, *ranges)

    def summary(self, made: Iterable[str], ignored: Iterable[str]) -> str:
        """What `encode` says of itself: what it gives, what may be left out, what it ignores."""
        takes = (f"{name} {format_shape(value.shape)}" for name, value in self.data.items())
        lines = [f"{', '.join(takes)} -> {', '.join(made)}."]
        if self.optional:
            flags = joined(f"`{name}.present`" for name in self.optional)
            lines.append(
                f"What may be left out ({', '.join(self.optional)}) is replaced by its mask "
                f"token: everywhere if it is not given, or where {flags}, bool [batch], is false."
            )
        for leaf in self.leaves:
            if leaf.role == "attention_mask":
                mask = f"`{leaf.of}.attention_mask`, bool {format_shape(leaf.value.shape)},"
                lines.append(f"{mask} says which tokens there are; without it, all.")
        if self.filled:
            sizes = all_permitted(self.filled)
            lines.append(
                f"`sizes` are those of what is left out: {sizes}; the smallest if not given."
            )
        if names := ", ".join(sorted(ignored)):
            lines.append(f"Always masked, so looked at by nothing: {names}.")
        return "\n\n".join(lines)


def _is_open(leaf: Input) -> bool:
    """Whether an axis behind the batch may have several sizes."""
    return not all(dim.is_constant for dim in leaf.value.shape[1:])


def _axes(leaf: Input) -> list[str]:
    return [*leaf.axes, *(f"axis_{i}" for i in range(len(leaf.axes), leaf.value.type.rank))]


def _key(leaf: Input) -> str:
    return leaf.of if leaf.role == "data" else f"{leaf.of}.{leaf.role}"
