"""The modules of a model: the tree that parameter names span, its layers, and their classes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import PurePath
from typing import Literal

from perceiver_graph.compiler.backends.torch import cache
from perceiver_graph.compiler.backends.torch.calls import Call, Item, Keep, Program
from perceiver_graph.compiler.backends.torch.extents import Reading
from perceiver_graph.compiler.backends.torch.layers import Layer, find_layer
from perceiver_graph.compiler.backends.torch.names import DICT_ATTRIBUTES, is_attribute
from perceiver_graph.compiler.ir.dims import Dim, Shape, format_shape
from perceiver_graph.compiler.ir.graph import Constant, Graph, Input, Node, Parameter, Value
from perceiver_graph.diagnostics import Span, escape

Number = int | float
Kind = Literal["parameter", "layer", "class", "list", "dict", "parameters"]


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

    @cached_property
    def height(self) -> int:
        """How many classes are made of one another here."""
        heights = (child.height for child in self.children.values())
        return max(heights, default=0) + (self.kind == "class")

    def walk(self) -> Iterator[Slot]:
        """This slot and all below, children first."""
        for child in self.children.values():
            yield from child.walk()
        yield self

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
        for value, nodes in program.graph.users.items():
            readers.setdefault(value, []).extend(nodes)
    for slot in root.walk():
        slot.unread = slot.parameter is not None and slot.parameter.value not in readers
        if slot.path and not slot.calls:
            leaves = {name: x.parameter for name, x in slot.children.items() if x.parameter}
            if len(leaves) == len(slot.children):
                slot.layer = find_layer(leaves, readers)
    return root


@dataclass(eq=False)
class Method:
    """Calls that are written alike, at the modules of a class, and the method that they become."""

    name: str
    calls: list[Call]
    sizes: dict[tuple[str, ...], str] = field(default_factory=dict)
    """What sizes are called in which the calls differ: as the class takes them, or by a letter."""
    arguments: list[str] = field(default_factory=list)

    @property
    def call(self) -> Call:
        """The one whose names the method has."""
        return self.calls[0]

    def shapes(self, values: Iterable[Sequence[Value]]) -> list[str]:
        """The shapes of values that the calls have in the same place."""
        each = zip(*values, strict=True)
        return [self._shape([value.shape for value in alike]) for alike in each]

    def _shape(self, shapes: Sequence[Shape]) -> str:
        if len(set(shapes)) == 1:
            return format_shape(shapes[0])
        return f"[{', '.join(map(self._size, zip(*shapes, strict=True)))}]"

    def _size(self, sizes: tuple[Dim, ...]) -> str:
        texts = tuple(map(str, sizes))
        if len(set(texts)) == 1:
            return texts[0]
        letters = (x for x in "nmkijpqrstuvwxyz" if x not in self.sizes.values())
        return self.sizes.setdefault(texts, next(letters))

    def origin_of(self, item: Item) -> str:
        """The line of the spec that an item of the call comes from, if all calls are of one module."""
        if isinstance(item, Reading | Keep) or len({call.module for call in self.calls}) > 1:
            return ""
        return origin_of(item.origin if isinstance(item, Node) else item.block.origin)


def origin_of(*origins: Span | None) -> str:
    """`specs/kinetics.yaml:31`; the lines of several places after one another."""
    places: dict[str, dict[int, None]] = {}
    for origin in origins:
        if origin is not None:
            path = PurePath(origin.source.path)
            name = f"specs/{path.name}" if path.parent.name == "specs" else path.name
            places.setdefault(escape.comment(name), {})[origin.start_line] = None
    return ", ".join(f"{name}:{', '.join(map(str, sorted(at)))}" for name, at in places.items())


@dataclass(eq=False)
class ModuleClass:
    """A class: the modules that it stands for, the first of which lends its names."""

    kind: str
    slots: list[Slot]
    methods: list[Method]
    arguments: Mapping[str, Mapping[str, Number]]
    """For the path of each module, the numbers in which they differ, by name."""
    name: str = ""

    @property
    def slot(self) -> Slot:
        return self.slots[0]


@dataclass
class Model:
    """A graph cut in programs and modules; `classes` by the path of each module that has one."""

    graph: Graph
    encode: Program
    decode: Program
    tree: Slot
    writes: Mapping[str, Program] = field(default_factory=dict)
    """The programs that go on with a text, where the model is one that does."""
    classes: dict[str, ModuleClass] = field(default_factory=dict)
    methods: dict[Call, Method] = field(default_factory=dict)

    @cached_property
    def programs(self) -> Sequence[Program]:
        """All of them."""
        return (self.encode, self.decode, *self.writes.values())

    @cached_property
    def leaves(self) -> Mapping[Value, Input | Parameter | Constant]:
        """Those of all programs."""
        return {value: leaf for p in self.programs for value, leaf in p.graph.leaves.items()}

    @cached_property
    def nodes(self) -> Sequence[Node]:
        """Those of the graph, and what the programs that write have besides."""
        others = [node for p in self.writes.values() for node in p.graph.nodes]
        return [*dict.fromkeys([*self.graph.nodes, *others])]

    @cached_property
    def cached(self) -> Mapping[Value, str]:
        """What the programs that write find in the cache, and its keys."""
        return {v: key for p in self.writes.values() for v, key in cache.found(p.graph).items()}

    @cached_property
    def going_on(self) -> Mapping[Call, str]:
        """The calls of the programs that write, each with the name of its program."""
        return {call: name for name, p in self.writes.items() for call in p.root.calls}

    def buffers(self, slot: Slot) -> list[Value]:
        """What the methods of a module read of what is known when it is made."""
        items = (item for call in slot.calls for item in call.items)
        read = [value for item in items if isinstance(item, Node) for value in item.inputs]
        if not slot.path:
            read += self.graph.outputs.values()
        known = frozenset[Value]().union(*(program.known for program in self.programs))
        return [v for v in dict.fromkeys(read) if v in known]

    def layer(self, node: Node, module: Slot) -> Slot | None:
        """The layer that a node applies, if it is one of a module's; one elsewhere does not count."""
        for value in node.inputs:
            if isinstance(self.leaves.get(value), Parameter):
                slot = self.tree.at(value.name.rpartition(".")[0])
                inside = not module.path or slot.path.startswith(f"{module.path}.")
                if inside and slot.layer is not None and slot.layer.applies(node):
                    return slot
        return None
