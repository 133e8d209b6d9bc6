"""Writes `decode` and `decode_all`: what is asked of outputs, and how it is computed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from functools import cached_property

from perceiver_graph.compiler.backends.torch.class_text import ClassText
from perceiver_graph.compiler.backends.torch.comments import Comments
from perceiver_graph.compiler.backends.torch.extents import Extent, read, written
from perceiver_graph.compiler.backends.torch.inputs import EAGERLY, SIZES
from perceiver_graph.compiler.backends.torch.interface import Axes, Interface, given, permitted
from perceiver_graph.compiler.backends.torch.modules import Method
from perceiver_graph.compiler.backends.torch.names import identifier, unique
from perceiver_graph.compiler.backends.torch.statements import Body, Step
from perceiver_graph.compiler.backends.torch.text import (
    block,
    call,
    docstring,
    entries,
    quoted,
    several,
    statement,
    strings,
)
from perceiver_graph.compiler.ir.dims import Dim, Symbol, product
from perceiver_graph.compiler.ir.graph import Input, Value
from perceiver_graph.compiler.ir.sizes import places, symbols_of
from perceiver_graph.spec.programs import ASKED

TENSORS = "dict[str, Tensor]"
QUERIES = f"queries: {TENSORS} | None = None"
_TAKEN = frozenset({"grids", "outputs", "points", "queries", "self", "sizes", "state"})
"""Other variables of the methods that sizes stand in."""


@dataclass(frozen=True)
class OutputSizes:
    """How decode knows the sizes of its outputs: `variables` by the symbols that they stand for, with
    the statements that read them off the state or take what the call gives.

    Where nothing in the state says a size, it holds an input's shape: an array without elements, so
    that it is cut, moved and stored with the rest. `empty` are the keys of these by input.
    """

    outputs: Mapping[str, Axes]
    """The axes of each output with positions."""
    free: Mapping[str, Symbol]
    """The symbols that no input says."""
    variables: dict[str, str] = field(default_factory=dict)
    extents: dict[Value, str] = field(default_factory=dict)
    """The variables by what they stand for in the program."""
    lines: list[str] = field(default_factory=list)
    empty: dict[str, str] = field(default_factory=dict)

    def find(
        self,
        held: Sequence[Dim],
        state: Mapping[str, Value],
        data: Mapping[str, Value],
        reserved: AbstractSet[str],
    ) -> None:
        """Find the sizes of outputs, and those that decode holds besides, in the state or the data of
        inputs."""
        axes = [[dim for _, dim in axes] for axes in self.outputs.values()]
        for symbol in symbols_of([*axes, held]):
            told = [place for place in places(symbol, state) if place.is_plain]
            if symbol.name in self.free:
                text = given(symbol, symbol.highest)
            elif told:
                text = read(told[0], f"state[{quoted(told[0].of)}]")
            elif told := places(symbol, data):
                of = told[0].of
                key = self.empty.setdefault(of, unique(f"{of}_shape", state))
                text = read(told[0], f"state[{quoted(key)}]")
            else:
                continue
            taken = {*reserved, *_TAKEN, *self.variables.values()}
            name = unique(identifier(symbol.name), taken)
            self.variables[symbol.name] = self.extents[Extent.of(symbol)] = name
            self.lines.append(f"{name} = {text}")

    @cached_property
    def grids(self) -> dict[str, str]:
        """The sizes of each output with positions as a tuple, where they are known."""
        found: dict[str, str] = {}
        for output, axes in self.outputs.items():
            sizes = [written(dim, self.variables) for _, dim in axes]
            if sizes and None not in sizes:
                found[output] = several(sizes)
        return found

    def count(self, output: str) -> str | None:
        """How many positions an output with such a grid has, as Python."""
        return written(product(dim for _, dim in self.outputs[output]), self.variables)


@dataclass(frozen=True)
class Outputs:
    """Writes for the module of the model. `state` has the keys of what encode hands over, `named` the
    sizes that the call may give, and `like` is a parameter that tells the dtype."""

    text: ClassText
    interface: Interface
    state: Mapping[Value, str]
    sizes: OutputSizes
    named: Mapping[str, Symbol]
    chunks: int
    like: str

    @cached_property
    def asked(self) -> list[Input]:
        """What is asked: outputs at positions that they have, or at points."""
        return [leaf for leaf in self.text.model.decode.graph.inputs if leaf.role in ASKED]

    @cached_property
    def labels(self) -> dict[Value, str]:
        """What the inputs of the program are called in the classes that it calls."""
        model = self.text.model
        words = {"queries": "positions", "points": "points"}
        found: dict[Value, str] = {}
        for leaf in model.decode.graph.inputs:
            if leaf.role == "state":
                key = self.state[model.encode.graph.outputs[leaf.value.name]]
                found[leaf.value] = identifier(key)
            else:
                found[leaf.value] = words.get(leaf.role, leaf.of)
        return found

    @property
    def _batch(self) -> str | None:
        """How many examples the state is of, as Python, where an array of it says so."""
        for value, key in self.state.items():
            if value.shape and str(value.shape[0]) == "batch":
                return f"state[{quoted(key)}].shape[0]"
        return None

    @property
    def points(self) -> list[str]:
        """The outputs that are asked at points that the caller chooses."""
        return [leaf.of for leaf in self.asked if leaf.role == "points"]

    @property
    def positioned(self) -> list[str]:
        """The outputs that are asked at positions."""
        return [leaf.of for leaf in self.asked if leaf.role != "points"]

    @property
    def all_counted(self) -> bool:
        """Whether there are such outputs, and it is known how many positions each has."""
        return bool(self.positioned) and set(self.positioned) <= self.sizes.grids.keys()

    @property
    def arguments(self) -> list[str]:
        """The arguments that say what is decoded."""
        return [QUERIES, SIZES] if self.named else [QUERIES]

    @property
    def _given(self) -> str:
        """The sizes as the last argument of a call."""
        return ", sizes" if self.named else ""

    def decode(self, summary: str) -> Iterator[str]:
        """The method `decode`."""
        signature = ", ".join(["self", f"state: {TENSORS}", *self.arguments])
        yield from statement(f"def decode({signature}) -> {TENSORS}:", 1)
        yield from docstring(summary, 2)
        yield EAGERLY
        yield from self._checks()
        yield from self._whole()
        counts = [name for name in self.positioned if name in self.sizes.grids]
        root = self.text.model.decode.root
        read = any(v in self.sizes.extents for item in (root, *root.items) for v in item.inputs)
        if read:
            yield from block(self.sizes.lines, 2)
        if counts:
            yield EAGERLY
            yield from block([] if read else self.sizes.lines, 3)
        for name in counts:
            what = ("queries", quoted(name), self.sizes.count(name), '"positions of output"')
            yield from statement(call("check_whole", *what), 3)
        yield f"        outputs: {TENSORS} = {{}}"
        yield from self._outputs()
        yield "        return outputs"

    def _checks(self) -> Iterator[str]:
        """Statements that tell what is wrong with what is asked for."""
        graph = self.text.model.graph
        known = strings(sorted(leaf.of for leaf in graph.inputs if leaf.role in ASKED))
        unknown = call("refuse_unknown", "queries", known, '"output with positions"')
        yield from statement(unknown, 3)
        for leaf in self.asked:
            if leaf.role == "points":
                asked = ("queries or {}", quoted(leaf.of))
                options = {} if self._batch is None else {"batch": self._batch}
                refused = call("refuse_points", *asked, leaf.value.shape[-1], self.like, **options)
                yield from statement(refused, 3)
                if ranges := self.interface.ranges.get(leaf.value.name):
                    what = call("check_within", *asked, *ranges, what='"points of output"')
                    yield from statement(what, 3)
        yield from block(self.size_checks(), 1)

    def size_checks(self) -> list[str]:
        """Statements that refuse sizes that no input may have, or that are unknown."""
        limits = entries({name: permitted(symbol) for name, symbol in self.named.items()})
        return statement(call("check_sizes", "sizes", limits), 2) if self.named else []

    def _whole(self) -> Iterator[str]:
        """Statements that decode all positions, where none are chosen."""
        points = strings(self.points)
        sources = {n: quoted(of) for n, of in self.interface.sources.items() if n in self.points}
        if sources or (self.points and self.all_counted):
            alone = call("points_alone", "queries", points)
            yield from statement(f"if queries and {alone}:", 2)
        if sources:
            yield from statement(f"queries = {call('asked_too', 'queries', entries(sources))}", 3)
        if self.points and self.all_counted:
            yield f"            return self.decode_all(state, queries{self._given})"
        if not self.asked:
            yield "        queries = queries or {}"
        elif self.points or not self.all_counted:
            yield "        if queries is None:"
            first = self.asked[0]
            given = "POINTS" if first.role == "points" else "POSITIONS"
            text = f"give queries, how many there are varies: {{{first.of!r}: {given}}}"
            yield from statement(f"raise ValueError({quoted(text)})", 3)
        else:
            yield "        if queries is None:"
            yield f"            return self.decode_all(state{self._given})"

    def _outputs(self) -> Iterator[str]:
        """Statements that compute each output under the condition that it is asked for."""
        program = self.text.model.decode
        names: dict[Value, str] = dict(self.sizes.extents)
        comments = Comments(Method("decode", [program.root]))
        steps = [
            step
            for step in self.text.steps(program.root, names, comments)
            if step.writes[0] not in self.sizes.extents
        ]
        made = {value for step in steps for value in step.writes}
        for name, value in program.graph.outputs.items():
            target = f"outputs[{quoted(name)}]"
            if value in made and value not in names:
                names[value] = target
            else:
                copy = Value(target, value.type)
                names[copy] = target
                steps.append(Step((value,), (copy,), str, ("",)))
        groups = self._by_condition(steps)
        reserved = self.text.reserved | {"outputs", "queries", "sizes", "state"}
        reserved |= set(self.sizes.variables.values())
        ordered = [step for group in groups.values() for step in group]
        body = Body(ordered, self._atom, names, reserved)
        for needs, group in groups.items():
            if needs:
                condition = " and ".join(f"{quoted(name)} in queries" for name in sorted(needs))
                yield from statement(f"if {condition}:", 2)
            yield from body.write(len(group), 3 if needs else 2)

    def _by_condition(self, steps: Sequence[Step]) -> dict[frozenset[str], list[Step]]:
        """The steps by the outputs that they are for, those that are for all first."""
        wanted = {leaf.value: frozenset((leaf.of,)) for leaf in self.asked}
        groups: dict[frozenset[str], list[Step]] = {}
        for step in steps:
            needs = frozenset[str]().union(*(wanted.get(v, frozenset()) for v in step.reads))
            wanted |= dict.fromkeys(step.writes, needs)
            groups.setdefault(needs, []).append(step)
        return dict(sorted(groups.items(), key=lambda group: len(group[0])))

    def _atom(self, value: Value) -> str:
        model = self.text.model
        leaf = model.decode.graph.leaves.get(value)
        if not isinstance(leaf, Input):
            return self.text.atom(value)
        if leaf.role in ASKED:
            return f"queries[{quoted(leaf.of)}]"
        return f"state[{quoted(self.state[model.encode.graph.outputs[value.name]])}]"

    def decode_all(self, summary: str) -> Iterator[str]:
        """The method `decode_all`."""
        arguments = ["self", f"state: {TENSORS}", *([f"points: {TENSORS}"] if self.points else [])]
        signature = ", ".join([*arguments, *self.arguments[1:]])
        yield from statement(f"def decode_all({signature}) -> {TENSORS}:", 1)
        yield from docstring(summary, 2)
        yield from block(self.sizes.lines, 2)
        grids = entries({name: self.sizes.grids[name] for name in self.positioned})
        yield from statement(f"grids = {grids}", 2)
        device = next((f"state[{quoted(key)}].device" for key in self.state.values()), "None")
        decode = f"lambda queries: self.decode(state, queries{self._given})"
        options: dict[str, object] = {"chunks": self.chunks} if self.chunks > 1 else {}
        if self.points:
            options["points"] = "points"
        made = call("decode_grids", decode, "grids", device, **options)
        yield from statement(f"return {made}", 2)
