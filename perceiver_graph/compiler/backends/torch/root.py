"""Writes the root class: the whole model and its two phases."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

from perceiver_graph.compiler.backends.torch.class_text import ClassText
from perceiver_graph.compiler.backends.torch.comments import Comments
from perceiver_graph.compiler.backends.torch.extents import Extent
from perceiver_graph.compiler.backends.torch.initialization import reset_parameters
from perceiver_graph.compiler.backends.torch.inputs import EAGERLY, SIZES, Inputs
from perceiver_graph.compiler.backends.torch.interface import (
    Interface,
    filled_symbols,
    free_symbols,
)
from perceiver_graph.compiler.backends.torch.modules import Method
from perceiver_graph.compiler.backends.torch.names import identifier, unique
from perceiver_graph.compiler.backends.torch.outputs import TENSORS, Outputs, OutputSizes
from perceiver_graph.compiler.backends.torch.statements import Body
from perceiver_graph.compiler.backends.torch.summaries import Summary
from perceiver_graph.compiler.backends.torch.text import docstring, entries, statement
from perceiver_graph.compiler.ir.graph import Value
from perceiver_graph.spec.programs import READS

METHODS = frozenset({"check", "decode", "decode_all", "encode", "forward", "reset_parameters"})
LATENTS = "latents"


@dataclass(frozen=True)
class Root:
    """Writes the root class; `text` writes for its module."""

    name: str
    text: ClassText
    interface: Interface
    chunks: int

    def lines(self) -> Iterator[str]:
        """The class."""
        graph, outputs = self.text.model.graph, self.outputs
        yield f"class {self.name}(nn.Module):"
        yield from docstring("The whole model: `encode` inputs once, `decode` what is asked.", 1)
        yield ""
        yield from self.text.constructor([])
        yield "        self.reset_parameters()"
        yield ""
        yield from self._forward()
        yield ""
        yield from self._encode()
        yield ""
        yield from outputs.decode(self._summary.decode())
        if outputs.all_counted:
            yield ""
            yield from outputs.decode_all(self._summary.decode_all())
        yield ""
        declared = [leaf for leaf in graph.inputs if leaf.role in READS["encode"] - {"size"}]
        yield from self.inputs.check(declared, self.interface, outputs.size_checks())
        yield ""
        yield from reset_parameters(graph)

    @cached_property
    def inputs(self) -> Inputs:
        """What encode takes."""
        leaves = [leaf for leaf in self.text.model.encode.graph.inputs if leaf.role != "size"]
        filled = {symbol.name: symbol for symbol in filled_symbols(leaves)}
        floats = [
            p.value.name for p in self.text.model.graph.parameters if p.value.dtype == "float32"
        ]
        nearest = min(floats, key=lambda name: name.count("."), default=None)
        like = self.text.slot.access(nearest) if nearest else "torch.empty(0)"
        return Inputs(leaves, like, filled, self.text.reserved)

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
        model, interface = self.text.model, self.interface
        state = {key: value for value, key in self.state.items()}
        positioned = [leaf.of for leaf in model.decode.graph.inputs if leaf.role == "queries"]
        axes = {name: interface.outputs.get(name, ()) for name in positioned}
        held = [value.dim for value in model.decode.root.inputs if isinstance(value, Extent)]
        free = {symbol.name: symbol for symbol in free_symbols(model.graph, axes)}
        sizes = OutputSizes(axes, free)
        sizes.find(held, state, self.inputs.data, self.text.reserved)
        named = {**self.inputs.filled, **free}
        return Outputs(
            self.text, interface, self.state, sizes, named, self.chunks, self.inputs.like
        )

    @property
    def _summary(self) -> Summary:
        return Summary(self.text.model, self.inputs, self.state, self.outputs)

    def _forward(self) -> Iterator[str]:
        arguments = ", ".join(["self", f"inputs: {TENSORS}", *self.outputs.arguments])
        yield from statement(f"def forward({arguments}) -> {TENSORS}:", 1)
        yield from docstring("What `decode` makes of what `encode` makes of the inputs.", 2)
        sizes = ", sizes" if self.outputs.named else ""
        read = ", sizes" if self.inputs.filled else ""
        yield f"        return self.decode(self.encode(inputs{read}), queries{sizes})"

    def _encode(self) -> Iterator[str]:
        sizes = [SIZES] if self.inputs.filled else []
        arguments = ", ".join(["self", f"inputs: {TENSORS}", *sizes])
        yield from statement(f"def encode({arguments}) -> {TENSORS}:", 1)
        yield from docstring(self._summary.encode(), 2)
        yield EAGERLY
        yield f"            self.check(inputs{', sizes' if sizes else ''})"
        yield from self.inputs.lines()
        names, empty = dict(self.inputs.variables), self.outputs.sizes.empty
        for of, key in empty.items():
            x = names[self.inputs.data[of]]
            yield f"        {identifier(key)} = {x}.new_empty((*{x}.shape, 0))"
        root = self.text.model.encode.root
        steps = self.text.steps(root, names, Comments(Method("encode", [root])))
        reserved = self.text.reserved | {"inputs", "sizes", *map(identifier, empty.values())}
        body = Body(steps, self.text.atom, names, reserved, tuple(self.state))
        yield from body.write(len(steps), 2)
        found = {key: body.text(value) for value, key in self.state.items()}
        found |= {key: identifier(key) for key in empty.values()}
        yield from statement(f"return {entries(found)}", 2)
