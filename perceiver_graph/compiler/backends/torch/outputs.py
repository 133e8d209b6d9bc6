"""Writes `decode` and `decode_all`: what is asked of outputs, and how it is computed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from perceiver_graph.compiler.backends.torch import text as py
from perceiver_graph.compiler.backends.torch.class_text import ClassText
from perceiver_graph.compiler.backends.torch.extents import Extent, read, written
from perceiver_graph.compiler.backends.torch.inputs import EAGERLY, SIZES, TENSORS, Inputs
from perceiver_graph.compiler.backends.torch.interface import (
    Axes,
    Interface,
    all_permitted,
    given,
    permitted,
)
from perceiver_graph.compiler.backends.torch.modules import Method
from perceiver_graph.compiler.backends.torch.names import identifier, unique
from perceiver_graph.compiler.backends.torch.statements import Body, Step
from perceiver_graph.compiler.ir.dims import Symbol, format_shape, product
from perceiver_graph.compiler.ir.graph import Input, Value
from perceiver_graph.compiler.ir.sizes import places, symbols_of
from perceiver_graph.spec.programs import ASKED

QUERIES = f"queries: {TENSORS} | None = None"
_TAKEN = frozenset({"grids", "outputs", "points", "queries", "self", "sizes", "state"})
"""Other variables of the methods that sizes stand in."""


@dataclass
class OutputSizes:
    """How decode knows the sizes of its outputs: `variables` by the symbols that they stand for, with
    the statements that read them off the state or take what the call gives.

    Where nothing in the state says a size, it holds an input's shape: an array without elements, so
    that it is cut, moved and stored with the rest. `empty` are the keys of these by input.
    """

    variables: dict[str, str] = field(default_factory=dict)
    extents: dict[Value, str] = field(default_factory=dict)
    """The variables by what they stand for in the program."""
    lines: list[str] = field(default_factory=list)
    empty: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Outputs:
    """Writes for the module of the model. `state` has the keys of what encode hands over."""

    text: ClassText
    interface: Interface
    inputs: Inputs
    state: Mapping[Value, str]
    chunks: int

    @cached_property
    def asked(self) -> list[Input]:
        """What is asked: outputs at positions that they have, or at points."""
        return [leaf for leaf in self.text.model.decode.graph.inputs if leaf.role in ASKED]

    @cached_property
    def axes(self) -> dict[str, Axes]:
        """The axes of each output with positions."""
        return {name: self.interface.outputs.get(name, ()) for name in self.positioned}

    @cached_property
    def free(self) -> dict[str, Symbol]:
        """The symbols of outputs that no input says: given with the call, or else the largest."""
        leaves = (i for i in self.text.model.graph.inputs if i.role not in ASKED)
        said = set(symbols_of(leaf.value.shape for leaf in leaves))
        found = symbols_of([dim for _, dim in axes] for axes in self.axes.values())
        return {symbol.name: symbol for symbol in found if symbol not in said}

    @property
    def named(self) -> dict[str, Symbol]:
        """The symbols that the call may give."""
        return {**self.inputs.filled, **self.free}

    @cached_property
    def sizes(self) -> OutputSizes:
        """The sizes of outputs and those that decode holds besides, told by the state, or by the data
        of inputs."""
        root, found = self.text.model.decode.root, OutputSizes()
        axes = [[dim for _, dim in axes] for axes in self.axes.values()]
        held = [value.dim for value in root.inputs if isinstance(value, Extent)]
        state = {key: value for value, key in self.state.items()}
        for symbol in symbols_of([*axes, held]):
            told = [place for place in places(symbol, state) if place.is_plain]
            if symbol.name in self.free:
                text = given(symbol, symbol.highest)
            elif told:
                text = read(told[0], f"state[{py.quoted(told[0].of)}]")
            elif told := places(symbol, self.inputs.data):
                of = told[0].of
                key = found.empty.setdefault(of, unique(f"{of}_shape", state))
                text = read(told[0], f"state[{py.quoted(key)}]")
            else:
                continue
            taken = {*self.text.reserved, *_TAKEN, *found.variables.values()}
            name = unique(identifier(symbol.name), taken)
            found.variables[symbol.name] = found.extents[Extent.of(symbol)] = name
            found.lines.append(f"{name} = {text}")
        return found

    @cached_property
    def grids(self) -> dict[str, str]:
        """The sizes of each output with positions as a tuple, where they are known."""
        variables = self.sizes.variables
        sizes = {name: [written(d, variables) for _, d in axes] for name, axes in self.axes.items()}
        return {name: py.several(x) for name, x in sizes.items() if x and None not in x}

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
        held = (key for x, key in self.state.items() if x.shape and str(x.shape[0]) == "batch")
        return next((f"state[{py.quoted(key)}].shape[0]" for key in held), None)

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
        return bool(self.positioned) and set(self.positioned) <= self.grids.keys()

    @property
    def arguments(self) -> list[str]:
        """The arguments that say what is decoded."""
        return [QUERIES, SIZES] if self.named else [QUERIES]

    @property
    def _given(self) -> str:
        """The sizes as the last argument of a call."""
        return ", sizes" if self.named else ""

    def decode(self) -> py.Statement:
        """The method `decode`."""
        counts = [name for name in self.positioned if name in self.grids]
        root = self.text.model.decode.root
        reads = any(v in self.sizes.extents for item in (root, *root.items) for v in item.inputs)
        body = [(EAGERLY, *self._checks()), *self._whole()]
        body += self.sizes.lines if reads else []
        if counts:
            checks = [] if reads else [*self.sizes.lines]
            for name in counts:
                count = written(product(dim for _, dim in self.axes[name]), self.sizes.variables)
                asked = ("queries", py.quoted(name), count, '"positions of output"')
                checks.append(py.call("check_whole", *asked))
            body.append((EAGERLY, *checks))
        if self.points:
            body.append(self._numbers())
        body += [f"outputs: {TENSORS} = {{}}", *self._outputs(), "return outputs"]
        arguments = [f"state: {TENSORS}", *self.arguments]
        return py.method("decode", arguments, TENSORS, self._summary(), *body)

    def _numbers(self) -> str:
        """The statement that brings points to the dtype that the model computes with."""
        leaves = [leaf for leaf in self.asked if leaf.role == "points"]
        found = {x.of: self.interface.periods.get(x.value.name, "None") for x in leaves}
        asked = py.call("points_as_numbers", "queries", self.inputs.like, py.entries(found))
        return f"queries = {asked}"

    def _checks(self) -> Iterator[str]:
        """Statements that tell what is wrong with what is asked for."""
        graph = self.text.model.graph
        known = py.strings(sorted(leaf.of for leaf in graph.inputs if leaf.role in ASKED))
        yield py.call("refuse_unknown", "queries", known, '"output with positions"')
        batch = {} if self._batch is None else {"batch": self._batch}
        for leaf in self.asked:
            if leaf.role == "points":
                asked = ("queries or {}", py.quoted(leaf.of))
                channels, periods = leaf.value.shape[-1], self.interface.periods
                options = {"periods": of} if (of := periods.get(leaf.value.name)) else {}
                yield py.call(
                    "refuse_points", *asked, channels, self.inputs.like, **batch, **options
                )
                if ranges := self.interface.ranges.get(leaf.value.name):
                    yield py.call("check_within", *asked, *ranges, what='"points of output"')
        yield from self.size_checks()

    def size_checks(self) -> list[str]:
        """Statements that refuse sizes that no input may have, or that are unknown."""
        limits = py.entries({name: permitted(symbol) for name, symbol in self.named.items()})
        return [py.call("check_sizes", "sizes", limits)] if self.named else []

    def _whole(self) -> Iterator[py.Statement]:
        """Statements that decode all positions, where none are chosen."""
        points = py.strings(self.points)
        sources = {n: py.quoted(of) for n, of in self.interface.sources.items() if n in self.points}
        alone: list[py.Statement] = []
        if sources:
            alone.append(f"queries = {py.call('asked_too', 'queries', py.entries(sources))}")
        if self.points and self.all_counted:
            alone.append(f"return self.decode_all(state, queries{self._given})")
        if alone:
            yield (f"if queries and {py.call('points_alone', 'queries', points)}:", *alone)
        if not self.asked:
            yield "queries = queries or {}"
        elif self.points or not self.all_counted:
            # Beside points, outputs whose positions are counted are decoded whole.
            left = {
                leaf.of: "POINTS" if leaf.role == "points" else "POSITIONS" for leaf in self.asked
            }
            whole = self.positioned if self.points and self.all_counted else []
            needed = {name: word for name, word in left.items() if name not in (*whole, *sources)}
            each = ", ".join(f"{name!r}: {word}" for name, word in needed.items())
            text = f"give queries, how many there are varies: {{{each}}}"
            yield ("if queries is None:", f"raise ValueError({py.quoted(text)})")
        else:
            yield ("if queries is None:", f"return self.decode_all(state{self._given})")

    def _outputs(self) -> Iterator[py.Statement]:
        """Statements that compute each output under the condition that it is asked for."""
        program = self.text.model.decode
        names: dict[Value, str] = dict(self.sizes.extents)
        method = Method("decode", [program.root])
        steps = [
            step
            for step in self.text.steps(method, names)
            if step.writes[0] not in self.sizes.extents
        ]
        made = {value for step in steps for value in step.writes}
        for name, value in program.graph.outputs.items():
            target = f"outputs[{py.quoted(name)}]"
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
            found = body.write(len(group))
            condition = " and ".join(f"{py.quoted(name)} in queries" for name in sorted(needs))
            yield from [(f"if {condition}:", *found)] if needs else found

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
            return self.text.atom(model.decode.root, value)
        if leaf.role in ASKED:
            return f"queries[{py.quoted(leaf.of)}]"
        return f"state[{py.quoted(self.state[model.encode.graph.outputs[value.name]])}]"

    def decode_all(self) -> py.Statement:
        """The method `decode_all`."""
        arguments = [f"state: {TENSORS}", *([f"points: {TENSORS}"] if self.points else [])]
        grids = py.entries({name: self.grids[name] for name in self.positioned})
        device = next((f"state[{py.quoted(key)}].device" for key in self.state.values()), "None")
        decode = f"lambda queries: self.decode(state, queries{self._given})"
        options: dict[str, object] = {"chunks": self.chunks} if self.chunks > 1 else {}
        if self.points:
            options["points"] = "points"
        made = py.call("decode_grids", decode, "grids", device, **options)
        body = [*self.sizes.lines, f"grids = {grids}", f"return {made}"]
        arguments += self.arguments[1:]
        return py.method("decode_all", arguments, TENSORS, self._summary_of_all(), *body)

    def _summary(self) -> str:
        """What `decode` says of itself: shapes, what is asked and how, sizes that may be given."""
        found = self.text.model.decode.graph.outputs.items()
        made = ", ".join(f"{name} {format_shape(value.shape)}" for name, value in found)
        lines = [f"The outputs: {made}."]
        names = ", ".join(self.positioned)
        wanted = [f"the flat positions (int64, first axis slowest) that are wanted of {names}"]
        wanted = wanted if names else []
        for leaf in self.asked:
            if leaf.role == "points":
                wanted.append(f"the points {format_shape(leaf.value.shape)} to ask {leaf.of} at")
        if wanted:
            text = f"`queries` holds {' and '.join(wanted)}; an output that it lacks is left out."
            if names:
                alone = f"Points alone stand for all positions of {names} as well"
                text += f" {alone if self.points else 'None stands for all positions'}"
                text += f", in {self.chunks} chunks" if self.chunks > 1 else ""
                on_axes = any(len(axes) > 1 for axes in self.axes.values())
                text += ", on the axes of the output." if on_axes else "."
            lines.append(text)
        if free := self.free:
            sizes = all_permitted(free)
            lines.append(f"`sizes` are those that no input says: {sizes}; the largest if left out.")
        return "\n\n".join(lines)

    def _summary_of_all(self) -> str:
        """`image [batch, height 224, width 224, 3]` of each output with positions."""
        shapes = []
        for output in self.positioned:
            axes = self.axes[output]
            names = (axis if axis == str(dim) else f"{axis} {dim}" for axis, dim in axes)
            channels = self.text.model.decode.graph.outputs[output].shape[-1]
            shapes.append(f"{output} [batch, {', '.join(names)}, {channels}]")
        chunks = self.chunks
        in_chunks = f", in {chunks} chunks: memory for one is enough" if chunks > 1 else ""
        return f"Decode every position{in_chunks}. Shapes: {', '.join(shapes)}."
