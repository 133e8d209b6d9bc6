"""Writes the root class: the whole model and its two phases."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, partial

from perceiver_graph.compiler.backends.torch import text as py
from perceiver_graph.compiler.backends.torch.calls import Call
from perceiver_graph.compiler.backends.torch.class_text import ClassText
from perceiver_graph.compiler.backends.torch.generation import Generation
from perceiver_graph.compiler.backends.torch.initialization import reset_parameters
from perceiver_graph.compiler.backends.torch.inputs import EAGERLY, SIZES, TENSORS, Inputs
from perceiver_graph.compiler.backends.torch.interface import Interface
from perceiver_graph.compiler.backends.torch.modules import Method
from perceiver_graph.compiler.backends.torch.names import identifier, unique
from perceiver_graph.compiler.backends.torch.outputs import Outputs
from perceiver_graph.compiler.backends.torch.statements import Body
from perceiver_graph.compiler.ir.dims import format_shape
from perceiver_graph.compiler.ir.graph import Input, Value
from perceiver_graph.compiler.programs.generation import Writing
from perceiver_graph.spec.programs import PREFILL, READS, STEP

METHODS = frozenset({"check", "decode", "decode_all", "encode", "forward", "reset_parameters"})
"""Those of all models; `generation.METHODS` are those of models that write."""
LATENTS = "latents"
INPUTS, NAMED = [f"inputs: {TENSORS} | None = None"], "**named: Tensor"


@dataclass(frozen=True)
class Root:
    """Writes the root class; `text` writes for its module."""

    name: str
    text: ClassText
    interface: Interface
    chunks: int
    writing: Writing
    """How the model goes on with a text, if it has programs for it."""

    def written(self) -> py.Statement:
        """The class."""
        graph, outputs = self.text.model.graph, self.outputs
        declared = [leaf for leaf in graph.inputs if leaf.role in READS["encode"] - {"size"}]
        check = self.inputs.check(declared, self.interface, outputs.size_checks())
        every = [outputs.decode_all()] if outputs.all_counted else []
        return (
            f"class {self.name}(nn.Module):",
            py.Docstring(self._summary),
            "",
            *self.text.constructor([], last=["self.reset_parameters()"]),
            *py.spaced([self._forward(), self._encode(), outputs.decode(), *every, check]),
            *py.spaced(self._goes_on(declared)),
            "",
            *reset_parameters(graph),
        )

    @property
    def _summary(self) -> str:
        said = "The whole model: `encode` inputs once, `decode` what is asked."
        return f"{said}\n\nIt writes no text: {why}." if (why := self.writing.refused) else said

    @cached_property
    def _like(self) -> str:
        """A parameter that tells dtype and device."""
        floats = [
            p.value.name for p in self.text.model.graph.parameters if p.value.dtype == "float32"
        ]
        nearest = min(floats, key=lambda name: name.count("."), default=None)
        return self.text.slot.access(nearest) if nearest else "torch.empty(0)"

    @cached_property
    def inputs(self) -> Inputs:
        """What encode takes."""
        leaves = [leaf for leaf in self.text.model.encode.graph.inputs if leaf.role != "size"]
        return Inputs(leaves, self._like, self.text.reserved)

    @cached_property
    def generation(self) -> Generation | None:
        """What goes on with a text."""
        if not (programs := self.text.model.writes):
            return None
        text, output = self.writing.text, self.writing.output
        return Generation(
            self.text, programs[PREFILL], programs[STEP], text, output, self.interface, self._like
        )

    def _goes_on(self, declared: Sequence[Input]) -> Iterator[py.Statement]:
        """The methods that go on with a text."""
        if self.generation:
            inputs = self.generation.inputs(self.generation.prefill)
            sizes = self.outputs.size_checks()
            yield from self.generation.written(
                inputs.check(declared, self.interface, sizes, "check_text")
            )

    @cached_property
    def labels(self) -> dict[Call, dict[Value, str]]:
        """What the inputs of each program are called in the classes that it calls."""
        model, found = self.text.model, self.generation
        labels = {model.encode.root: self.inputs.labels, model.decode.root: self.outputs.labels}
        return labels | found.labels if found else labels

    @cached_property
    def state(self) -> dict[Value, str]:
        """The key of each value that encode hands to decode."""
        program = self.text.model.encode
        labels = self.text.labels(program.root, self.inputs.variables)
        found: dict[Value, str] = {}
        for name, value in program.graph.outputs.items():
            if value not in found:
                wanted = LATENTS if name == LATENTS else labels.get(value) or identifier(name)
                found[value] = unique(wanted, found.values())
        return found

    @cached_property
    def outputs(self) -> Outputs:
        """What decode gives."""
        return Outputs(self.text, self.interface, self.inputs, self.state, self.chunks)

    def _forward(self) -> py.Statement:
        sizes = ", sizes" if self.outputs.named else ""
        read = ", sizes" if self.inputs.filled else ""
        return py.method(
            "forward",
            [*INPUTS, *self.outputs.arguments, NAMED],
            TENSORS,
            "What `decode` makes of what `encode` makes of the inputs, which may be `named` in the call.",
            f"return self.decode(self.encode(inputs{read}, **named), queries{sizes})",
        )

    def _encode(self) -> py.Statement:
        sizes = [SIZES] if self.inputs.filled else []
        data, empty = self.inputs.data, self.outputs.sizes.empty
        names = dict(self.inputs.variables)
        copies = []
        made = [f"{key} {format_shape(value.shape)}" for value, key in self.state.items()]
        for of, key in empty.items():
            x = names[data[of]]
            copies.append(f"{identifier(key)} = {x}.new_empty((*{x}.shape, 0))")
            made.append(f"{key} [{', '.join(map(str, data[of].shape))}, 0]")
        model = self.text.model
        steps = self.text.steps(Method("encode", [model.encode.root]), names)
        reserved = self.text.reserved | {"inputs", "sizes", *map(identifier, empty.values())}
        body = Body(
            steps, partial(self.text.atom, model.encode.root), names, reserved, tuple(self.state)
        )
        statements = [*body.write()]
        found = {key: body.text(value) for value, key in self.state.items()}
        found |= {key: identifier(key) for key in empty.values()}
        ignored = {leaf.of for leaf in model.graph.inputs if leaf.role == "data"} - data.keys()
        return py.method(
            "encode",
            [*INPUTS, *sizes, NAMED],
            TENSORS,
            self.inputs.summary(made, ignored),
            f"inputs = {py.call('all_named', 'inputs', 'named')}",
            (EAGERLY, f"self.check(inputs{', sizes' if sizes else ''})"),
            *self.inputs.assignments(self.interface.periods),
            *copies,
            *statements,
            f"return {py.entries(found)}",
        )
