"""What values are called in emitted code: after the blocks, inputs and parameters they come from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from perceiver_graph.compiler import ops
from perceiver_graph.compiler.backends.torch.extents import Extent
from perceiver_graph.compiler.backends.torch.names import (
    RESERVED,
    identifier,
    informative,
    last_part,
    pascal,
    unique,
)
from perceiver_graph.compiler.backends.torch.regions import Region
from perceiver_graph.compiler.ir import Graph, Input, Node, Parameter, Value

_ROLES = {
    "present": "present",
    "attention_mask": "mask",
    "queries": "positions",
    "points": "points",
}


Traced = tuple[str, bool]
"""A name, and whether it is that of an argument or leaf which the value is a version of."""


@dataclass(frozen=True)
class Labels:
    """Names for the values of a graph; `arguments` are those that the function at hand has given."""

    graph: Graph
    arguments: Mapping[Value, str]
    _found: dict[Value, Traced] = field(default_factory=dict)

    def of(self, value: Value) -> str:
        return self._trace(value)[0]

    def of_call(self, region: Region) -> list[str]:
        """The names of a call's results.

        A block that the spec names gives its name. One that returns what it was given, changed,
        keeps the name.
        """
        if len(region.outputs) != 1:
            names: list[str] = []
            for value in region.outputs:
                names.append(unique(self.of(value), set(names)))
            return names
        (output,) = region.outputs
        own = region.scope[-1]
        if not any(c.isdigit() for c in own) and not region.block.kind.endswith(pascal(own)):
            return [identifier(own)]
        same = [value for value in region.inputs if value.type == output.type]
        return [self.of(same[0] if same else output)]

    def _trace(self, value: Value) -> Traced:
        """Without recursion: a value may be the sum of a sum of hundreds of layers."""
        pending = [value]
        while pending:
            last = pending[-1]
            operands = self._named_after(last)
            missing = [operand for operand in operands if operand not in self._found]
            if missing:
                pending += reversed(missing)
                continue
            self._found[last] = self._name(last, [self._found[operand] for operand in operands])
            pending.pop()
        return self._found[value]

    def _named_after(self, value: Value) -> Sequence[Value]:
        """The operands of which a value may be a new version; none for one with a name of its own."""
        node = self.graph.producers.get(value)
        if value in self.arguments or node is None or informative(value.name):
            return ()
        match node.op:
            case ops.Add():
                return node.inputs
            case ops.Where():
                return node.inputs[1:2]
        return node.inputs[:1]

    def _name(self, value: Value, operands: Sequence[Traced]) -> Traced:
        """A sum is a new version of the operand that has been around for longest."""
        if value in self.arguments:
            return self.arguments[value], True
        if isinstance(value, Extent):
            return identifier(value.name), False
        leaf = self.graph.leaves.get(value)
        if isinstance(leaf, Input):
            return identifier(_ROLES.get(leaf.role, leaf.of)), True
        if isinstance(leaf, Parameter):
            return parameter_name(value.name), True
        if operands:
            return next((found for found in operands if found[1]), operands[0])
        node = self.graph.producers.get(value)
        generic = node is not None and not informative(value.name)
        return identifier(node.op.name if node and generic else last_part(value.name)), False


def parameter_name(name: str) -> str:
    """`latents`; for the parameter of a layer the layer's name too: `embedding_weight`."""
    parts = [part for part in name.split(".") if not part.isdigit()]
    keep = 2 if parts[-1] in ("weight", "bias") else 1
    return identifier("_".join(parts[-keep:]))


def argument_names(graph: Graph, regions: Sequence[Region]) -> list[str]:
    """What the arguments of a method are called, for all calls of it."""
    labels = Labels(graph, {})
    names: list[str] = []
    for i, value in enumerate(regions[0].inputs):
        found = {labels.of(region.inputs[i]) for region in regions}
        name = found.pop() if len(found) == 1 else _by_reader(regions[0], value)
        names.append(unique(name, set(names)))
    return names


def _by_reader(region: Region, value: Value) -> str:
    """After the norm that reads the value first: `query` for what goes into `query_norm`."""
    if isinstance(value, Extent):
        return "size"
    for item in region.items:
        if value in item.inputs and isinstance(item, Region):
            return _by_reader(item, value)
        if value in item.inputs and isinstance(item, Node):
            name = last_part(item.name).removesuffix("_norm")
            is_norm = isinstance(item.op, ops.LayerNorm) and name != last_part(item.name)
            return identifier(name) if is_norm and name not in RESERVED else "x"
    return "x"
