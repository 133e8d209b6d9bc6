"""Writes the root class: the whole model and its two phases."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property

from perceiver_graph.compiler import ops
from perceiver_graph.compiler.backends.torch.body import Body, Lookup, Step
from perceiver_graph.compiler.backends.torch.checking import SKIP, Checking
from perceiver_graph.compiler.backends.torch.classes import ClassWriter
from perceiver_graph.compiler.backends.torch.extents import Extent
from perceiver_graph.compiler.backends.torch.interface import (
    Interface,
    filled_symbols,
    free_symbols,
    limits,
)
from perceiver_graph.compiler.backends.torch.labels import Labels
from perceiver_graph.compiler.backends.torch.names import identifier, unique
from perceiver_graph.compiler.backends.torch.printer import (
    Expr,
    Group,
    Piece,
    block,
    call,
    comma_tuple,
    docstring,
    keyed,
    lay_out,
    strings,
)
from perceiver_graph.compiler.backends.torch.regions import Program
from perceiver_graph.compiler.backends.torch.sizing import Sizes
from perceiver_graph.compiler.backends.torch.starting import starting
from perceiver_graph.compiler.backends.torch.summaries import Summary
from perceiver_graph.compiler.backends.torch.taking import Taking, variables
from perceiver_graph.compiler.ir import Graph, Input, Value
from perceiver_graph.spec.programs import ASKED, READS

METHODS = frozenset({"check", "decode", "decode_all", "encode", "forward", "reset_parameters"})
LATENTS = "latents"

TYPES = "dict[str, Tensor]"
SIZES = "sizes: dict[str, int] | None = None"


@dataclass(frozen=True)
class RootWriter:
    """Writes the root class. `graph` is the whole graph, `writer` that of the class's members."""

    name: str
    graph: Graph
    encode: Program
    decode: Program
    writer: ClassWriter
    chunks: int
    interface: Interface

    def lines(self) -> Iterator[str]:
        yield f"class {self.name}(nn.Module):"
        yield from docstring("The whole model: `encode` inputs once, `decode` what is asked.", 1)
        yield ""
        yield from self.writer.annotations()
        yield from self.writer.constructor("self.reset_parameters()")
        for method in (self._forward, self._encode, self._decode, self._decode_all, self._check):
            if lines := list(method()):
                yield ""
                yield from lines
        yield ""
        yield from starting(self.graph)

    @cached_property
    def state(self) -> Mapping[Value, str]:
        """The key of each value that encode hands to decode."""
        labels = Labels(self.graph, {})
        found: dict[Value, str] = {}
        for name, value in self.encode.graph.outputs.items():
            if value not in found:
                wanted = LATENTS if name == LATENTS else labels.of(value)
                found[value] = unique(wanted, set(found.values()))
        return found

    def _forward(self) -> Iterator[str]:
        yield from _signature("forward", f"inputs: {TYPES}", *self._asked)
        yield from docstring("What `decode` makes of what `encode` makes of the inputs.", 2)
        sizes = ", sizes" if self.sizes.named else ""
        read = ", sizes" if self.sizes.filled else ""
        yield f"        return self.decode(self.encode(inputs{read}), queries{sizes})"

    @property
    def _asked(self) -> list[str]:
        """The arguments that say what is decoded."""
        queries = [f"queries: {TYPES} | None = None"]
        return [*queries, SIZES] if self.sizes.named else queries

    @cached_property
    def sizes(self) -> Sizes:
        """The sizes of the outputs in terms of the state and the call."""
        state = {name: value for value, name in self.state.items()}
        data = {i.of: i.value for i in self.encode.graph.inputs if i.role == "data"}
        chosen = [leaf.of for leaf in self._queries if leaf not in self._points]
        outputs = {name: self.interface.outputs.get(name, ()) for name in chosen}
        free = free_symbols(self.graph, outputs)
        filled = filled_symbols(self.encode.graph.inputs)
        read = [value.dim for value in self.decode.root.inputs if isinstance(value, Extent)]
        return Sizes(state, data, outputs, read, free, filled, self.writer.reserved)

    @property
    def _summary(self) -> Summary:
        return Summary(self.state, self._queries, self.sizes)

    def _check(self) -> Iterator[str]:
        declared = [leaf for leaf in self.graph.inputs if leaf.role in READS["encode"] - {"size"}]
        read = self._inputs
        reserved = self.writer.reserved | {"inputs", "sizes"}
        filled = self.sizes.filled
        checking = Checking(declared, read, self.interface, filled, reserved)
        yield from checking.lines(SIZES if filled else "", self._size_checks())

    def _size_checks(self) -> list[str]:
        """Statements that refuse sizes that no input may have, or that are unknown."""
        named = self.sizes.named
        return lay_out(call("check_sizes", "sizes", limits(named)), 2) if named else []

    def _encode(self) -> Iterator[str]:
        filled = self.sizes.filled
        yield from _signature("encode", f"inputs: {TYPES}", *([SIZES] if filled else []))
        yield from docstring(self._summary.encode(self.graph, self.encode.graph), 2)
        yield SKIP
        yield f"            self.check(inputs{', sizes' if filled else ''})"
        arguments = variables(self._inputs, self.writer.reserved | {"inputs", "sizes"})
        yield from Taking(self._inputs, arguments, self._like(), frozenset(filled)).lines()
        for leaf, name in ((i, arguments[i.value]) for i in self._inputs if i.role == "data"):
            if key := self.sizes.empty.get(leaf.of):
                yield f"        {identifier(key)} = {name}.new_empty((*{name}.shape, 0))"
        steps = self._steps(self.encode, 0, arguments)
        steps.append(self._handed_over())
        reserved = self.writer.reserved | {"inputs", *map(identifier, self.sizes.empty.values())}
        yield from Body(steps, self.writer.atom, arguments, reserved).lines(2)

    @property
    def _inputs(self) -> list[Input]:
        """The arrays that encode is given."""
        return [leaf for leaf in self.encode.graph.inputs if leaf.role != "size"]

    def _like(self) -> str:
        """A parameter, for dtype and device."""
        names = [p.value.name for p in self.graph.parameters if p.value.dtype == "float32"]
        if not names:
            return "torch.empty(0)"
        return self.writer.slot.access(min(names, key=lambda name: name.count(".")))

    def _handed_over(self) -> Step:
        values = tuple(self.state)

        def render(get: Lookup) -> Expr:
            entries = [keyed(f'"{self.state[value]}": ', get(value).piece) for value in values]
            entries += [f'"{key}": {identifier(key)}' for key in self.sizes.empty.values()]
            return Expr(Group("", tuple(entries), "{"))

        return Step(values, (), render, prefix="return ")

    def _decode(self) -> Iterator[str]:
        yield from _signature("decode", f"state: {TYPES}", *self._asked)
        yield from docstring(self._summary.decode(self.decode.graph, self.chunks), 2)
        yield SKIP
        yield from block(self._decode_checks(), 1)
        yield from self._decode_whole()
        lines = self.sizes.lines()
        if self._given:
            yield from lines
            lines = []
        if counts := [(x.of, self._count(x)) for x in self._positioned if self._count(x)]:
            yield SKIP
            yield from block(lines, 1)
            for name, count in counts:
                what = '"positions of output"'
                yield from lay_out(call("check_whole", "queries", f'"{name}"', count, what), 3)
        yield f"        outputs: {TYPES} = {{}}"
        steps = self._decode_steps()
        reserved = self.writer.reserved | {"device", "outputs", "queries", "state"}
        reserved |= {*self.sizes.variables.values()}
        yield from Body(steps, self._decode_atom, self._given, reserved).lines(2)
        yield "        return outputs"

    def _decode_checks(self) -> Iterator[str]:
        """Statements that tell what is wrong with what is asked for."""
        known = strings(sorted(i.of for i in self.graph.inputs if i.role in ASKED))
        named = call("refuse_unknown", "queries", known, '"output with positions"')
        yield from lay_out(named, 2)
        for leaf in self._points:
            channels = str(leaf.value.shape[-1])
            asked = call("refuse_points", "queries or {}", f'"{leaf.of}"', channels)
            yield from lay_out(asked, 2)
            if ranges := self.interface.ranges.get(leaf.of):
                what = [*ranges, 'what="points of output"']
                within = call("check_within", "queries or {}", f'"{leaf.of}"', *what)
                yield from lay_out(within, 2)
        yield from self._size_checks()

    def _decode_whole(self) -> Iterator[str]:
        """Statements that decode all positions, where none are chosen."""
        sizes = ", sizes" if self.sizes.named else ""
        points = [leaf.of for leaf in self._points]
        sources = {n: of for n, of in self.interface.sources.items() if n in points}
        if sources or (points and self._all_counted):
            alone = call("points_alone", "queries", strings(points))
            yield from lay_out(alone, 2, "if queries and ", ":")
        if sources:
            entries = tuple(f'"{name}": "{of}"' for name, of in sources.items())
            asked = call("asked_too", "queries", Group("", entries, "{"))
            yield from lay_out(asked, 3, "queries = ")
        if points and self._all_counted:
            yield f"            return self.decode_all(state, queries{sizes})"
        if self._points or (self._queries and not self._all_counted):
            yield "        if queries is None:"
            yield '            raise ValueError("give queries: how many there are varies")'
        elif self._queries:
            yield "        if queries is None:"
            yield f"            return self.decode_all(state{sizes})"
        else:
            yield "        queries = queries or {}"

    @property
    def _points(self) -> list[Input]:
        """What is asked at coordinates that the caller chooses."""
        return [leaf for leaf in self._queries if leaf.role == "points"]

    @property
    def _positioned(self) -> list[Input]:
        """What is asked at positions that the output has."""
        return [leaf for leaf in self._queries if leaf.role != "points"]

    @property
    def _all_counted(self) -> bool:
        """Whether there are such outputs, and it is known how many positions each has."""
        return bool(self._positioned) and all(map(self._count, self._positioned))

    @cached_property
    def _given(self) -> dict[Value, str]:
        """The variables of the sizes that no array says which decode reads."""
        extents = [value for value in self.decode.root.inputs if isinstance(value, Extent)]
        return {extent: self.sizes.variables[extent.name] for extent in extents}

    @property
    def _queries(self) -> list[Input]:
        return [leaf for leaf in self.decode.graph.inputs if leaf.role in ASKED]

    @property
    def _device(self) -> str:
        name = next(iter(self.state.values()), None)
        return f'state["{name}"].device' if name else f"{self._like()}.device"

    def _positions(self, leaf: Input, tail: str = "") -> Piece:
        """All positions of an output."""
        return f"torch.arange({self._count(leaf)}, device=device){tail}"

    def _count(self, leaf: Input) -> str:
        """How many positions an output has; empty where that is not known."""
        count = self.sizes.count(leaf.of)
        if count is not None:
            return count
        for node in self.decode.graph.nodes:  # rows to choose from, else the most there can be
            if isinstance(node.op, ops.Gather) and node.inputs[1] == leaf.value:
                table, axis = node.inputs[0], node.op.axis
                atom = self._decode_atom(table)
                if not table.shape[axis].is_constant and atom is not None:
                    return f"{atom.text}.shape[{axis}]"
        (symbol,) = leaf.count.symbols
        return str(symbol.highest or "")

    def _decode_atom(self, value: Value) -> Expr | None:
        leaf = self.decode.graph.leaves.get(value)
        if isinstance(leaf, Input):
            if leaf.role in ASKED:
                return Expr(f'queries["{leaf.of}"]')
            return Expr(f'state["{self.state[self.encode.graph.outputs[value.name]]}"]')
        return self.writer.atom(value)

    def _decode_steps(self) -> list[Step]:
        """The steps of each output under the condition that it is asked for."""
        wanted: dict[Value, frozenset[str]] = {
            leaf.value: frozenset((leaf.of,)) for leaf in self._queries
        }
        groups: dict[frozenset[str], list[Step]] = {}
        steps = self._steps(self.decode, 1, self._given)
        for step in steps:
            needs = frozenset[str]().union(*(wanted.get(v, frozenset()) for v in step.reads))
            wanted |= dict.fromkeys(step.writes, needs)
            groups.setdefault(needs, []).append(step)
        for name, value in self.decode.graph.outputs.items():
            step = Step((value,), (), lambda get, v=value: get(v), prefix=f'outputs["{name}"] = ')  # type: ignore[misc]
            groups.setdefault(wanted.get(value, frozenset()), []).append(step)
        ordered = sorted(groups.items(), key=lambda group: len(group[0]))
        return [
            replace(step, condition=_condition(needs)) for needs, part in ordered for step in part
        ]

    def _decode_all(self) -> Iterator[str]:
        if not self._all_counted:
            return
        points = [f"points: {TYPES}"] if self._points else []
        yield from _signature("decode_all", f"state: {TYPES}", *points, *self._asked[1:])
        text = self._summary.decode_all(self.decode.graph, self.interface, self.chunks)
        yield from docstring(text, 2)
        yield f"        device = {self._device}"
        yield from self.sizes.lines()
        tail = f".tensor_split({self.chunks})" if self.chunks > 1 else ""
        entries = [
            keyed(f'"{leaf.of}": ', self._positions(leaf, tail)) for leaf in self._positioned
        ]
        given = ["sizes"] if self.sizes.named else []
        if self.chunks > 1:
            yield from lay_out(Group("", tuple(entries), "{"), 2, "chunks = ")
            if points:
                split = f"x.tensor_split({self.chunks}, dim=1)"
                yield f"        chunks |= {{name: {split} for name, x in points.items()}}"
            yield "        parts = []"
            yield f"        for i in range({self.chunks}):"
            # Beside points an output is asked at no positions: points alone would stand for all.
            some = "" if points else " if len(part[i])"
            yield f"            queries = {{name: part[i] for name, part in chunks.items(){some}}}"
            decoded = call("self.decode", "state", "queries", *given)
            yield from lay_out(call("parts.append", decoded), 3)
            yield "        outputs = dict(parts[0])"
            yield "        for name in chunks:"
            yield "            found = [part[name] for part in parts if name in part]"
            yield "            outputs[name] = torch.cat(found, dim=1)"
        else:
            positions = Group("", (*(["**points"] if points else []), *entries), "{")
            start = "outputs = " if self.sizes.grids else "return "
            yield from lay_out(call("self.decode", "state", positions, *given), 2, start)
            if not self.sizes.grids:
                return
        for name, sizes in self.sizes.grids.items():
            target = f'outputs["{name}"]'
            yield from lay_out(
                call(f"{target}.unflatten", "1", comma_tuple(sizes)), 2, f"{target} = "
            )
        yield "        return outputs"

    def _steps(self, program: Program, number: int, arguments: dict[Value, str]) -> list[Step]:
        steps = self.writer.steps(program.root, number, arguments)
        return [replace(step, alone=step.alone or bool(step.call)) for step in steps]


def _condition(needs: frozenset[str]) -> str:
    return " and ".join(f'"{name}" in queries' for name in sorted(needs))


def _signature(name: str, *arguments: str) -> list[str]:
    return lay_out(Group(f"def {name}", ("self", *arguments)), 1, suffix=f" -> {TYPES}:")
