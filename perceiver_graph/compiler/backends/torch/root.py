"""Writes the root class: the whole model, its two phases, and how its parameters start."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache, cached_property

from perceiver_graph.compiler import ops
from perceiver_graph.compiler.backends.torch.body import Body, Lookup, Step
from perceiver_graph.compiler.backends.torch.classes import ClassWriter
from perceiver_graph.compiler.backends.torch.labels import Labels
from perceiver_graph.compiler.backends.torch.names import unique
from perceiver_graph.compiler.backends.torch.printer import (
    Expr,
    Group,
    Piece,
    call,
    comma_tuple,
    docstring,
    keyed,
    lay_out,
)
from perceiver_graph.compiler.backends.torch.regions import Program
from perceiver_graph.compiler.backends.torch.taking import Taking, variables
from perceiver_graph.compiler.ir import ASKED, Graph, Input, Parameter, Value

METHODS = frozenset({"decode", "decode_all", "encode", "forward", "reset_parameters"})
LATENTS = "latents"

TYPES = "dict[str, Tensor]"

_RANDOM = {"normal", "truncated_normal", "fan_in"}
"""The kinds of `Initializer` that have a scale."""


@dataclass(frozen=True)
class RootWriter:
    """Writes the root class. `graph` is the whole graph, `writer` that of the class's members."""

    name: str
    graph: Graph
    encode: Program
    decode: Program
    writer: ClassWriter
    chunks: int

    def lines(self) -> Iterator[str]:
        yield f"class {self.name}(nn.Module):"
        yield from docstring("The whole model: `encode` inputs once, `decode` what is asked.", 1)
        yield ""
        yield from self.writer.annotations()
        yield from self.writer.constructor("self.reset_parameters()")
        for method in (self._forward, self._encode, self._decode, self._decode_all, self._reset):
            if lines := list(method()):
                yield ""
                yield from lines

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
        yield from _signature("forward", f"inputs: {TYPES}", f"queries: {TYPES} | None = None")
        yield from docstring("What `decode` makes of what `encode` makes of the inputs.", 2)
        yield "        return self.decode(self.encode(inputs), queries)"

    def _encode(self) -> Iterator[str]:
        yield from _signature("encode", f"inputs: {TYPES}")
        yield from docstring(self._encode_summary(), 2)
        program = self.encode.graph
        declared = [leaf for leaf in self.graph.inputs if leaf.role not in ASKED]
        names = sorted(i.of if i.role == "data" else f"{i.of}.{i.role}" for i in declared)
        if any(leaf.role == "present" for leaf in program.inputs):
            yield "        if not inputs:"
            yield '            raise ValueError("no input is given, so the batch has no size")'
        check = call("refuse_unknown", "inputs", _strings(names), '"input"')
        yield from lay_out(check, 2)
        arguments = variables(program.inputs, self.writer.reserved | {"inputs"})
        yield from Taking(program.inputs, arguments, self._like()).lines()
        steps = self._steps(self.encode, 0, arguments)
        steps.append(self._handed_over())
        reserved = self.writer.reserved | {"inputs"}
        yield from Body(steps, self.writer.atom, arguments, reserved).lines(2)

    def _encode_summary(self) -> str:
        inputs = [leaf for leaf in self.encode.graph.inputs if leaf.role == "data"]
        given = ", ".join(f"{leaf.of} {_shape(leaf.value)}" for leaf in inputs)
        made = ", ".join(f"{name} {_shape(value)}" for value, name in self.state.items())
        lines = [f"{given} -> {made}."]
        optional = [leaf.of for leaf in self.encode.graph.inputs if leaf.role == "present"]
        if optional:
            names = ", ".join(optional)
            text = (
                f"What may be left out ({names}) is replaced by its mask token: everywhere if it "
            )
            text += "is not given, or where `<name>.present`, bool [batch], is false."
            lines += ["", text]
        masked = [leaf for leaf in self.encode.graph.inputs if leaf.role == "attention_mask"]
        for leaf in masked:
            text = f"`{leaf.of}.attention_mask`, bool {_shape(leaf.value)}, says which tokens there are"
            lines += ["", f"{text}; without it, all."]
        ignored = {leaf.of for leaf in self.graph.inputs if leaf.role == "data"}
        ignored -= {leaf.of for leaf in inputs}
        if ignored:
            lines += ["", f"Always masked, so looked at by nothing: {', '.join(sorted(ignored))}."]
        return "\n".join(lines)

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
            return Expr(Group("", tuple(entries), "{"))

        return Step(values, (), render, prefix="return ")

    def _decode(self) -> Iterator[str]:
        yield from _signature("decode", f"state: {TYPES}", f"queries: {TYPES} | None = None")
        yield from docstring(self._decode_summary(), 2)
        queries = self._queries
        if not all(map(self._count, queries)):
            yield "        if queries is None:"
            yield '            raise ValueError("give queries: how many there are varies")'
        elif queries and self.chunks > 1:
            yield "        if queries is None:"
            yield "            return self.decode_all(state)"
        elif queries:
            positions = [keyed(f'"{leaf.of}": ', self._positions(leaf)) for leaf in queries]
            yield "        if queries is None:"
            yield f"            device = {self._device}"
            yield from lay_out(Group("", tuple(positions), "{"), 3, "queries = ")
        known = _strings(sorted(i.of for i in self.graph.inputs if i.role in ASKED))
        given = "queries" if queries else "queries or ()"
        yield from lay_out(call("refuse_unknown", given, known, '"output with positions"'), 2)
        for leaf in self._points:
            channels = str(leaf.value.shape[-1])
            yield from lay_out(call("refuse_points", "queries", f'"{leaf.of}"', channels), 2)
        yield f"        outputs: {TYPES} = {{}}"
        steps = self._decode_steps()
        reserved = self.writer.reserved | {"device", "outputs", "queries", "state"}
        yield from Body(steps, self._decode_atom, {}, reserved).lines(2)
        yield "        return outputs"

    def _decode_summary(self) -> str:
        program = self.decode.graph
        made = ", ".join(f"{name} {_shape(value)}" for name, value in program.outputs.items())
        lines = [f"The outputs: {made}."]
        if self._queries:
            names = ", ".join(leaf.of for leaf in self._queries if leaf not in self._points)
            wanted = [
                f"the flat positions (int64, first axis slowest) that are wanted of {names}"
            ] * bool(names)
            wanted += [f"the points {_shape(x.value)} to ask {x.of} at" for x in self._points]
            text = f"`queries` holds {' and '.join(wanted)}; an output that it lacks is left out."
            if not self._points:
                text += " None stands for all positions"
                text += f", in {self.chunks} chunks." if self.chunks > 1 else "."
            lines += ["", text]
        return "\n".join(lines)

    @property
    def _points(self) -> list[Input]:
        """What is asked at coordinates that the caller chooses."""
        return [leaf for leaf in self._queries if leaf.role == "points"]

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
        """How many positions an output has: rows to choose from, else the most there can be.

        Empty where neither is known.
        """
        for node in self.decode.graph.nodes:
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
        steps = self._steps(self.decode, 1, {})
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
        if not self._queries or self.chunks == 1 or not all(map(self._count, self._queries)):
            return
        yield from _signature("decode_all", f"state: {TYPES}")
        yield from docstring(
            f"Decode every position in {self.chunks} chunks: memory for one is enough.", 2
        )
        yield f"        device = {self._device}"
        tail = f".tensor_split({self.chunks})"
        entries = [keyed(f'"{leaf.of}": ', self._positions(leaf, tail)) for leaf in self._queries]
        yield from lay_out(Group("", tuple(entries), "{"), 2, "chunks = ")
        yield "        parts = []"
        yield f"        for i in range({self.chunks}):"
        yield "            queries = {name: part[i] for name, part in chunks.items() if len(part[i])}"
        yield "            parts.append(self.decode(state, queries))"
        yield "        outputs = dict(parts[0])"
        yield "        for name in chunks:"
        yield "            found = [part[name] for part in parts if name in part]"
        yield "            outputs[name] = torch.cat(found, dim=1)"
        yield "        return outputs"

    def _steps(self, program: Program, number: int, arguments: dict[Value, str]) -> list[Step]:
        steps = self.writer.steps(program.root, number, arguments)
        return [replace(step, alone=bool(step.call)) for step in steps]

    def _reset(self) -> Iterator[str]:
        leaves = [leaf for leaf in self.graph.parameters if leaf.trainable]
        kinds = {leaf.value.name: _start(leaf) for leaf in leaves}
        counts = Counter(kinds.values())
        usual = max(counts, key=lambda kind: (kind[0] in _RANDOM, counts[kind]), default=None)
        yield "    @torch.no_grad()"
        yield "    def reset_parameters(self, generator: torch.Generator | None = None) -> None:"
        yield '        """Start afresh, from `generator` or else from the global one."""'
        yield "        for name, parameter in self.named_parameters():"
        branch = "if"
        for kind in counts:
            if kind != usual:
                yield from _branch(branch, _suffixes(kinds, kind), _fill(kind))
                branch = "elif"
        if usual is None:
            yield "            raise ValueError(name, parameter)"
        elif branch == "if":
            yield from (f"            {line}" for line in _fill(usual))
        else:
            yield "            else:"
            yield from (f"                {line}" for line in _fill(usual))


def _branch(branch: str, suffixes: Sequence[str], statements: Sequence[str]) -> list[str]:
    """A branch for the parameters whose names have one of these ends."""
    condition = call(
        "name.endswith", _strings(suffixes) if len(suffixes) > 1 else f'"{suffixes[0]}"'
    )
    body = (f"                {statement}" for statement in statements)
    return [*lay_out(condition, 3, f"{branch} ", ":"), *body]


def _start(leaf: Parameter) -> tuple[str, float]:
    return leaf.init.kind, leaf.init.scale if leaf.init.kind in _RANDOM else 0.0


def _fill(kind: tuple[str, float]) -> list[str]:
    """Statements that fill `parameter`."""
    match kind:
        case "normal", scale:
            return [f"nn.init.normal_(parameter, std={scale!r}, generator=generator)"]
        case "truncated_normal", scale:
            return [_cut_off(repr(scale), repr(2 * scale))]
        case "fan_in", scale:
            deviation = f"std = {scale!r} / parameter[0].numel() ** 0.5"
            return [deviation, _cut_off("std", "2 * std")]
        case name, _:
            return [f"nn.init.{name}_(parameter)"]


def _cut_off(deviation: str, end: str) -> str:
    numbers = f"0.0, {deviation}, -{end}, {end}"
    return f"nn.init.trunc_normal_(parameter, {numbers}, generator=generator)"


def _suffixes(kinds: Mapping[str, tuple[str, float]], kind: tuple[str, float]) -> list[str]:
    """Ends of names that only parameters of a kind have, as short and few as can be."""
    found: set[str] = set()

    @cache  # layers have the same ends
    def clear(end: str) -> bool:
        return all(own == kind for name, own in kinds.items() if name.endswith(end))

    for name, own in kinds.items():
        if own == kind:
            parts = name.split(".")
            ends = [".".join(parts[i:]) for i in range(len(parts) - 1, -1, -1)]
            found.add(next(filter(clear, ends), name))
    return sorted(e for e in found if not any(e != o and e.endswith(o) for o in found))


def _condition(needs: frozenset[str]) -> str:
    return " and ".join(f'"{name}" in queries' for name in sorted(needs))


def _signature(name: str, *arguments: str) -> list[str]:
    return lay_out(Group(f"def {name}", ("self", *arguments)), 1, suffix=f" -> {TYPES}:")


def _strings(names: Sequence[str]) -> Piece:
    """A tuple of strings."""
    strings = tuple(f'"{name}"' for name in names)
    return Group("", strings) if len(strings) > 1 else comma_tuple(strings) if strings else "()"


def _shape(value: Value) -> str:
    return f"[{', '.join(map(str, value.shape))}]"
