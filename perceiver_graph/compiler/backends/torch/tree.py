"""The tree of modules that parameter names span, and which of them are layers that torch has."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal

from perceiver_graph.compiler import ops
from perceiver_graph.compiler.backends.torch.names import DICT_ATTRIBUTES, is_attribute
from perceiver_graph.compiler.backends.torch.printer import comma_tuple
from perceiver_graph.compiler.backends.torch.regions import Program, Region
from perceiver_graph.compiler.ir import Node, Parameter, Value

Kind = Literal["parameter", "layer", "class", "list", "dict"]


@dataclass(frozen=True)
class Size:
    """A number in an emitted class, and what it would be called as an argument."""

    value: int | float
    hint: str


@dataclass(frozen=True)
class Layer:
    """A module that torch (or the file's head) has: `head(*sizes, *options)`."""

    head: str
    op: ops.Op
    parameters: tuple[Value, ...]
    """As they stand in the inputs of the nodes that the layer stands for."""
    sizes: tuple[Size, ...]
    options: tuple[str, ...] = ()

    def applies(self, node: Node) -> bool:
        """Whether a node is this layer applied to something."""
        if isinstance(node.op, ops.Gather):
            return node.op == self.op and node.inputs[:1] == self.parameters
        return node.op == self.op and node.inputs[1:] == self.parameters


@dataclass(eq=False)
class Slot:
    """A place in the tree: the root, a sub-module, or a parameter."""

    path: str = ""
    children: dict[str, Slot] = field(default_factory=dict)
    parameter: Parameter | None = None
    layer: Layer | None = None
    regions: list[Region] = field(default_factory=list)
    methods: frozenset[str] = frozenset()
    """Attributes that its class has anyway, which no child can be."""
    unread: bool = False
    """A parameter that no output depends on. It is not trained, or what gathers gradients (DDP)
    would wait for one that never comes."""

    @property
    def name(self) -> str:
        return self.path.rpartition(".")[2]

    @cached_property
    def kind(self) -> Kind:
        if self.parameter is not None:
            return "parameter"
        if self.layer is not None:
            return "layer"
        modules = all(child.parameter is None for child in self.children.values())
        if self.regions or not self.path or not modules:
            return "class"
        if set(self.children) == set(map(str, range(len(self.children)))):
            return "list"
        names = self.children
        usable = all(name and name not in DICT_ATTRIBUTES for name in names)
        return "dict" if usable else "class"

    def walk(self) -> Iterable[Slot]:
        """This slot and all below, parents first."""
        yield self
        for child in self.children.values():
            yield from child.walk()

    def at(self, path: str) -> Slot:
        slot = self
        for name in path.split(".") if path else ():
            slot = slot.children[name]
        return slot

    def access(self, path: str) -> str:
        """How code of this class reaches what lies at a path below it."""
        slot, text = self, "self"
        for name in path.split(".") if path else ():
            child = slot.children[name]
            if slot.kind == "list":
                text += f"[{name}]"
            elif slot.kind == "dict":
                text += f'["{name}"]'
            elif is_attribute(name, slot.methods):
                text += f".{name}"
            else:
                text += f'.{store(child)}["{name}"]'
            slot = child
        return text


def store(slot: Slot) -> str:
    """Where nn.Module keeps what cannot be an attribute."""
    if slot.parameter is None:
        return "_modules"
    return "_parameters" if slot.parameter.trainable else "_buffers"


def build(
    parameters: Sequence[Parameter], programs: Sequence[Program], methods: frozenset[str]
) -> Slot:
    """The tree of all parameters, with the regions of the programs at their modules.

    `methods` are those of the root.
    """
    root = Slot(methods=methods)
    for parameter in parameters:
        slot = root
        for name in parameter.value.name.split("."):
            path = f"{slot.path}.{name}" if slot.path else name
            slot = slot.children.setdefault(name, Slot(path))
        slot.parameter = parameter
    for program in programs:
        for region in program.root.regions:
            root.at(region.module).regions.append(region)
    readers: dict[Value, list[Node]] = {}
    for program in programs:
        for node in program.root.nodes:
            for value in node.inputs:
                readers.setdefault(value, []).append(node)
    for slot in root.walk():
        slot.unread = slot.parameter is not None and slot.parameter.value not in readers
        leaves = {name: child.parameter for name, child in slot.children.items()}
        if slot.path and not slot.regions and leaves and all(leaves.values()):
            found = {name: leaf for name, leaf in leaves.items() if leaf is not None}
            slot.layer = _layer(slot.name, found, readers)
    return root


def _layer(
    name: str, leaves: dict[str, Parameter], readers: dict[Value, list[Node]]
) -> Layer | None:
    """The layer that owns exactly these parameters, if every node that could be it is."""
    weight = leaves.get("weight")
    if weight is None:
        return None
    for node in readers.get(weight.value, ()):
        values = {leaf: parameter.value for leaf, parameter in leaves.items()}
        layer = _LAYERS[type(node.op)](name, node, values) if type(node.op) in _LAYERS else None
        if layer is None or set(layer.parameters) != set(values.values()):
            continue
        usual = all(p.trainable != key.startswith("running_") for key, p in leaves.items())
        same_op = [
            reader
            for value in values.values()
            for reader in readers.get(value, ())
            if type(reader.op) is type(node.op)
        ]
        return layer if usual and all(map(layer.applies, same_op)) else None
    return None


def _linear(name: str, node: Node, leaves: dict[str, Value]) -> Layer | None:
    weight, *bias = node.inputs[1:]
    if leaves.get("weight") != weight or [leaves.get("bias")] * len(bias) != bias:
        return None
    width, inputs = (int(size) for size in weight.shape)
    sizes = (
        Size(inputs, "width"),
        Size(width, "channels" if name == "linear" else f"{name}_width"),
    )
    return Layer("nn.Linear", node.op, node.inputs[1:], sizes, () if bias else ("bias=False",))


def _layer_norm(name: str, node: Node, leaves: dict[str, Value]) -> Layer | None:
    assert isinstance(node.op, ops.LayerNorm)
    if node.inputs[1:] != (leaves.get("weight"), leaves.get("bias")):
        return None
    width = int(node.output.shape[-1])
    return Layer("nn.LayerNorm", node.op, node.inputs[1:], (_width(name, width),), _eps(node.op))


def _batch_norm(name: str, node: Node, leaves: dict[str, Value]) -> Layer | None:
    assert isinstance(node.op, ops.BatchNorm)
    order = ("weight", "bias", "running_mean", "running_var")
    if node.inputs[1:] != tuple(map(leaves.get, order)):
        return None
    width = int(node.output.shape[-1])
    return Layer("BatchNorm", node.op, node.inputs[1:], (_width(name, width),), _eps(node.op))


def _conv(name: str, node: Node, leaves: dict[str, Value]) -> Layer | None:
    op = node.op
    assert isinstance(op, ops.Conv)
    weight, *bias = node.inputs[1:]
    if leaves.get("weight") != weight or [leaves.get("bias")] * len(bias) != bias:
        return None
    out, inputs, *kernel = (int(size) for size in weight.shape)
    options = [comma_tuple(kernel)]
    if set(op.strides) != {1}:
        options.append(f"stride={comma_tuple(op.strides)}")
    if symmetric(op.padding) and any(before for before, _ in op.padding):
        options.append(f"padding={comma_tuple([before for before, _ in op.padding])}")
    if not bias:
        options.append("bias=False")
    sizes = (Size(inputs, "channels"), Size(out, f"{name}_channels"))
    return Layer(f"nn.Conv{len(kernel)}d", op, node.inputs[1:], sizes, tuple(options))


def _embedding(name: str, node: Node, leaves: dict[str, Value]) -> Layer | None:
    table = node.inputs[0]
    if node.op != ops.Gather(0) or leaves.get("weight") != table or table.type.rank != 2:
        return None
    rows, width = (int(size) for size in table.shape)
    sizes = (Size(rows, "vocabulary"), Size(width, f"{name}_width"))
    return Layer("nn.Embedding", node.op, (table,), sizes)


_LAYERS = {
    ops.Linear: _linear,
    ops.LayerNorm: _layer_norm,
    ops.BatchNorm: _batch_norm,
    ops.Conv: _conv,
    ops.Gather: _embedding,
}


def symmetric(padding: Sequence[tuple[int, int]]) -> bool:
    """Whether each axis is padded alike at both ends, which is all that torch's layers can."""
    return all(before == after for before, after in padding)


def _width(name: str, width: int) -> Size:
    owner = name.removesuffix("norm").strip("_")
    return Size(width, f"{owner}_width" if owner else "width")


def _eps(op: ops.LayerNorm | ops.BatchNorm) -> tuple[str, ...]:
    return () if op.epsilon == 1e-5 else (f"eps={op.epsilon!r}",)
