"""The modules of a model: the tree that parameter names span, its layers, and their classes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal

from perceiver_graph.compiler import ops
from perceiver_graph.compiler.backends.torch.calls import Call, Program
from perceiver_graph.compiler.backends.torch.names import DICT_ATTRIBUTES, is_attribute
from perceiver_graph.compiler.backends.torch.text import several
from perceiver_graph.compiler.ir.graph import Constant, Graph, Input, Node, Parameter, Value

Number = int | float
Kind = Literal["parameter", "layer", "class", "list", "dict", "parameters"]


@dataclass(frozen=True)
class Layer:
    """A module that torch (or the library) has: `head(*sizes, *options)`."""

    head: str
    op: ops.Op
    parameters: tuple[Value, ...]
    """As they stand in the inputs of the nodes that the layer stands for."""
    sizes: tuple[int, ...]
    options: tuple[str, ...] = ()

    def applies(self, node: Node) -> bool:
        """Whether a node is this layer applied to something."""
        others = node.inputs[:1] if isinstance(node.op, ops.Gather) else node.inputs[1:]
        return node.op == self.op and others == self.parameters


@dataclass(eq=False)
class Slot:
    """A place in the tree: the root, a sub-module, or a parameter."""

    path: str = ""
    children: dict[str, Slot] = field(default_factory=dict)
    parameter: Parameter | None = None
    layer: Layer | None = None
    calls: list[Call] = field(default_factory=list)
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
        if self.calls or not self.path:
            return "class"
        leaves = [child.parameter for child in self.children.values()]
        modules = not any(leaves)
        if modules and set(self.children) == set(map(str, range(len(self.children)))):
            return "list"
        if all(name and name not in DICT_ATTRIBUTES for name in self.children):
            if modules:
                return "dict"
            if all(leaf and leaf.trainable for leaf in leaves):
                return "parameters"
        return "class"

    def walk(self) -> Iterator[Slot]:
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
            elif slot.kind in ("dict", "parameters"):
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
    """The tree of all parameters, with the calls of the programs at their modules.

    `methods` are those of the root.
    """
    root = Slot(methods=methods)
    for parameter in parameters:
        slot = root
        for name in parameter.value.name.split("."):
            path = f"{slot.path}.{name}" if slot.path else name
            slot = slot.children.setdefault(name, Slot(path))
        slot.parameter = parameter
    readers: dict[Value, list[Node]] = {}
    for program in programs:
        for call in program.root.calls:
            root.at(call.module).calls.append(call)
        for node in program.root.nodes:
            for value in node.inputs:
                readers.setdefault(value, []).append(node)
    for slot in root.walk():
        slot.unread = slot.parameter is not None and slot.parameter.value not in readers
        if slot.path and not slot.calls:
            slot.layer = _layer(slot, readers)
    return root


def _layer(slot: Slot, readers: Mapping[Value, Sequence[Node]]) -> Layer | None:
    """The layer that owns exactly the parameters of a slot, if every node that could be it is."""
    leaves = {name: child.parameter for name, child in slot.children.items() if child.parameter}
    weight = leaves.get("weight")
    usual = all(leaf.trainable != name.startswith("running_") for name, leaf in leaves.items())
    if weight is None or len(leaves) != len(slot.children) or not usual:
        return None
    values = {name: leaf.value for name, leaf in leaves.items()}
    for node in readers.get(weight.value, ()):
        if type(node.op) in _LAYERS:
            head, names, sizes, options = _LAYERS[type(node.op)](node)
            found = tuple(values[name] for name in names if name in values)
            layer = Layer(head, node.op, found, sizes, options)
            alike = [
                reader
                for value in values.values()
                for reader in readers.get(value, ())
                if type(reader.op) is type(node.op)
            ]
            if set(found) == set(values.values()) and all(map(layer.applies, alike)):
                return layer
    return None


_Described = tuple[str, tuple[str, ...], tuple[int, ...], tuple[str, ...]]
"""A layer that a node may be: its class, the names of its parameters, sizes and options."""


def _linear(node: Node) -> _Described:
    width, inputs = map(int, node.inputs[1].shape)
    return "nn.Linear", ("weight", "bias"), (inputs, width), _without_bias(node)


def _layer_norm(node: Node) -> _Described:
    sizes = (int(node.output.shape[-1]),)
    return "nn.LayerNorm", ("weight", "bias"), sizes, _epsilon(node.op)


def _batch_norm(node: Node) -> _Described:
    names = ("weight", "bias", "running_mean", "running_var")
    return "BatchNorm", names, (int(node.output.shape[-1]),), _epsilon(node.op)


def _conv(node: Node) -> _Described:
    op: Any = node.op
    out, inputs, *kernel = map(int, node.inputs[1].shape)
    options = [several(kernel)]
    if set(op.strides) != {1}:
        options.append(f"stride={several(op.strides)}")
    if symmetric(op.padding) and any(before for before, _ in op.padding):
        options.append(f"padding={several([before for before, _ in op.padding])}")
    options += _without_bias(node)
    return f"nn.Conv{len(kernel)}d", ("weight", "bias"), (inputs, out), tuple(options)


def _embedding(node: Node) -> _Described:
    table = node.inputs[0].shape
    names = ("weight",) if len(table) == 2 and node.op == ops.Gather(0) else ()
    return "nn.Embedding", names, tuple(map(int, table)), ()


_LAYERS: Mapping[type[ops.Op], Callable[[Node], _Described]] = {
    ops.Linear: _linear,
    ops.LayerNorm: _layer_norm,
    ops.BatchNorm: _batch_norm,
    ops.Conv: _conv,
    ops.Gather: _embedding,
}


def symmetric(padding: Sequence[tuple[int, int]]) -> bool:
    """Whether each axis is padded alike at both ends, which is all that torch's layers can."""
    return all(before == after for before, after in padding)


def _without_bias(node: Node) -> tuple[str, ...]:
    return () if len(node.inputs) == 3 else ("bias=False",)


def _epsilon(op: Any) -> tuple[str, ...]:
    return () if op.epsilon == 1e-5 else (f"eps={op.epsilon!r}",)


@dataclass(eq=False)
class Method:
    """Calls that are written alike, at the modules of a class, and the method that they become."""

    name: str
    calls: list[Call]
    arguments: list[str] = field(default_factory=list)

    @property
    def call(self) -> Call:
        """The one whose names the method has."""
        return self.calls[0]


@dataclass(eq=False)
class ModuleClass:
    """A class: the modules that it stands for, the first of which lends its names."""

    kind: str
    slots: list[Slot]
    methods: list[Method]
    arguments: dict[str, list[Number]]
    """The numbers in which the modules differ, by name, for each of the modules."""
    name: str = ""

    @property
    def slot(self) -> Slot:
        return self.slots[0]

    @cached_property
    def _index(self) -> Mapping[str, int]:
        return {slot.path: i for i, slot in enumerate(self.slots)}

    def arguments_of(self, slot: Slot) -> dict[str, Number]:
        index = self._index[slot.path]
        return {name: values[index] for name, values in self.arguments.items()}


@dataclass
class Model:
    """A graph cut in programs and modules; `classes` by the path of each module that has one."""

    graph: Graph
    encode: Program
    decode: Program
    tree: Slot
    classes: dict[str, ModuleClass] = field(default_factory=dict)
    methods: dict[Call, Method] = field(default_factory=dict)

    @cached_property
    def leaves(self) -> Mapping[Value, Input | Parameter | Constant]:
        """Those of both programs."""
        programs = (self.encode, self.decode)
        return {value: leaf for p in programs for value, leaf in p.graph.leaves.items()}

    def buffers(self, slot: Slot) -> list[Value]:
        """What the methods of a module read of what is known when it is made."""
        items = (item for call in slot.calls for item in call.items)
        read = [value for item in items if isinstance(item, Node) for value in item.inputs]
        if not slot.path:
            read += self.graph.outputs.values()
        return [v for v in dict.fromkeys(read) if v in self.encode.known or v in self.decode.known]

    def layer(self, node: Node, module: Slot) -> Slot | None:
        """The layer that a node applies, if it is one of a module's; one elsewhere does not count."""
        for value in node.inputs:
            if isinstance(self.leaves.get(value), Parameter):
                slot = self.tree.at(value.name.rpartition(".")[0])
                inside = not module.path or slot.path.startswith(f"{module.path}.")
                if inside and slot.layer is not None and slot.layer.applies(node):
                    return slot
        return None
