"""Writes a class: its members, what it computes when it is made, and its methods."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from perceiver_graph.compiler import ops
from perceiver_graph.compiler.backends.torch.body import Body, Lookup, Step
from perceiver_graph.compiler.backends.torch.expressions import (
    LIKE,
    MAKERS,
    apply_layer,
    literal,
    sizes_of,
)
from perceiver_graph.compiler.backends.torch.extents import Extent, Reading
from perceiver_graph.compiler.backends.torch.labels import Labels, argument_names
from perceiver_graph.compiler.backends.torch.names import MODULE_ATTRIBUTES, is_attribute, unique
from perceiver_graph.compiler.backends.torch.printer import (
    Expr,
    Group,
    Piece,
    block,
    call,
    docstring,
    flat,
    keyed,
    lay_out,
)
from perceiver_graph.compiler.backends.torch.regions import Region, relative
from perceiver_graph.compiler.backends.torch.steps import (
    ShapeText,
    node_step,
    origin_comment,
    reading_step,
    with_return,
)
from perceiver_graph.compiler.backends.torch.structure import ClassDef, Method, Structure
from perceiver_graph.compiler.backends.torch.tree import Layer, Slot, store
from perceiver_graph.compiler.ir import Constant, Graph, Node, Parameter, Value


@dataclass(frozen=True)
class ClassWriter:
    """Writes one class. `graph` is the whole graph, which names go back to."""

    structure: Structure
    graph: Graph
    found: ClassDef
    reserved: frozenset[str]
    """Names of the file that variables must not hide."""

    @property
    def slot(self) -> Slot:
        return self.found.slot

    def lines(self) -> Iterator[str]:
        """The class."""
        if self._origin:
            yield f"# {self._origin}"
        yield f"class {self.found.name}(nn.Module):"
        yield from docstring(self._summary(), 1)
        yield ""
        yield from self.annotations()
        yield from self.constructor()
        for method in self.found.methods:
            yield ""
            yield from self._method(method)

    def annotations(self) -> list[str]:
        """The types of buffers, which nn.Module does not know."""
        names = [f"    {name}: Tensor" for name in self.buffers.values()]
        return [*names, ""] if names else []

    def constructor(self, *last: str) -> Iterator[str]:
        """`__init__`, with `last` as its last statements."""
        arguments = [
            f"{name}: {'float' if any(isinstance(v, float) for v in values) else 'int'}"
            for name, values in self.found.arguments.items()
        ]
        signature = Group("def __init__", ("self", *arguments))
        yield from lay_out(signature, 1, suffix=" -> None:")
        yield "        super().__init__()"
        for name in self.found.arguments:
            if f"self.{name}" in self.found.texts.values():  # a method reads it
                yield f"        self.{name} = {name}"
        for child in self.slot.children.values():
            yield from self._member(child)
        yield from self._known()
        yield from block(last, 2)

    @cached_property
    def buffers(self) -> dict[Value, str]:
        """The attribute of each value that is computed when a module is made."""
        taken = {*MODULE_ATTRIBUTES, *self.slot.children, *self.slot.methods}
        taken |= {*self.found.arguments, *(method.name for method in self.found.methods)}
        labels = Labels(self.graph, {})
        names: dict[Value, str] = {}
        for value in self.structure.known_values(self.slot):
            names[value] = unique(labels.of(value), taken | set(names.values()))
        if self._makes_vectors:
            names[_LIKE_VALUE] = LIKE
        return names

    @property
    def _origin(self) -> str:
        return origin_comment(*(r.block.origin for s in self.found.slots for r in s.regions))

    @property
    def _makes_vectors(self) -> bool:
        items = (item for region in self.slot.regions for item in region.items)
        return any(isinstance(item, Node) and isinstance(item.op, MAKERS) for item in items)

    def _summary(self) -> str:
        blocks = [region.block for slot in self.found.slots for region in slot.regions]
        summaries = {b.summary for b in blocks}
        if len(summaries) == 1 and (summary := summaries.pop()):
            return f"{summary[0].upper()}{summary[1:]}."
        paths = [slot.path for slot in self.found.slots]
        if not blocks:
            return f"Holds the parameters of {_listed(paths)}."
        return f"Stands for {_listed(paths)}."

    def _member(self, slot: Slot) -> list[str]:
        piece = self._construct(slot)
        name = slot.name
        if not is_attribute(name, self.slot.methods):
            return lay_out(piece, 2, f'self.{store(slot)}["{name}"] = ')
        if slot.parameter is not None and not slot.parameter.trainable:
            return lay_out(call("self.register_buffer", f'"{name}"', piece), 2)
        return lay_out(piece, 2, f"self.{name} = ")

    def _construct(self, slot: Slot) -> Piece:
        """The expression that makes a member."""
        path, texts = relative(slot.path, self.slot.path), self.found.texts
        match slot.kind:
            case "parameter":
                assert slot.parameter is not None
                leaf = slot.parameter
                sizes = [texts["parameter", path, axis] for axis in range(leaf.value.type.rank)]
                return _parameter(leaf, sizes, unread=slot.unread)
            case "layer":
                assert slot.layer is not None
                layer = slot.layer
                inner = [texts["layer", path, i] for i in range(len(layer.sizes))]
                return call(layer.head, *inner, *layer.options)
            case "class":
                made = self.structure.classes[slot.path]
                return call(made.name, **{a: texts["child", path, a] for a in made.arguments})
            case "list":
                items = [self._construct(child) for child in slot.children.values()]
                if len({flat(item) for item in items}) == 1:
                    return call("nn.ModuleList", f"{flat(items[0])} for _ in range({len(items)})")
                return call("nn.ModuleList", Group("", tuple(items), "["))
            case _:
                entries = [
                    keyed(f'"{name}": ', self._construct(child))
                    for name, child in slot.children.items()
                ]
                return call("nn.ModuleDict", Group("", tuple(entries), "{"))

    def _known(self) -> list[str]:
        """Statements that compute the buffers."""
        nodes = self.structure.known_nodes(self.slot)
        labels = Labels(self.graph, {})
        steps = []
        for k, node in enumerate(nodes):
            size = self._size_of(node, "known", k)
            steps.append(node_step(node, node.inputs, (labels.of(node.output),), size, early=True))
        for value, name in self.buffers.items():
            if value is not _LIKE_VALUE:
                steps.append(_register(value, name))
        lines = Body(steps, self._constant, {}, self.reserved, self._origin).lines(2)
        if self._makes_vectors:
            lines.append(
                f'        self.register_buffer("{LIKE}", torch.empty(0), persistent=False)'
            )
        return lines

    def _constant(self, value: Value) -> Expr | None:
        leaf = self.structure.leaves.get(value)
        return Expr(literal(leaf.data)) if isinstance(leaf, Constant) else None

    def _method(self, method: Method) -> Iterator[str]:
        region = method.region
        names = argument_names(self.graph, method.regions)
        arguments = dict(zip(region.inputs, names, strict=True))
        signature = Group(
            f"def {method.name}",
            ("self", *(f"{arguments[value]}: {_annotation(value)}" for value in region.inputs)),
        )
        many = len(region.outputs) > 1
        result = f"tuple[{', '.join(['Tensor'] * len(region.outputs))}]" if many else "Tensor"
        yield from lay_out(signature, 1, suffix=f" -> {result}:")
        yield from docstring(self._shapes(method, names), 2)
        number = self.found.methods.index(method)
        steps = with_return(self.steps(region, number, arguments), region.outputs)
        single = len(self.found.slots) == 1
        own = origin_comment(region.block.origin)
        if not single:
            steps = [replace(step, comment="") for step in steps]
        yield from Body(steps, self.atom, arguments, self.reserved, own).lines(2)

    def _shapes(self, method: Method, names: Sequence[str]) -> str:
        """`latents [batch, 784, 512] -> [batch, 784, 512].`"""
        shapes = ShapeText(method, self.found)
        region = method.region
        given = ", ".join(
            name if isinstance(value, Extent) else f"{name} {shapes.of('inputs', i)}"
            for i, (name, value) in enumerate(zip(names, region.inputs, strict=True))
        )
        results = [shapes.of("outputs", i) for i in range(len(region.outputs))]
        if len(results) > 1:
            labels = Labels(self.graph, dict(zip(region.inputs, names, strict=True)))
            called = [labels.of(value) for value in region.outputs]
            results = [f"{name} {shape}" for name, shape in zip(called, results, strict=True)]
        return f"{given} -> {', '.join(results)}." if given else f"The result: {results[0]}."

    def atom(self, value: Value) -> Expr | None:
        """How the methods reach a buffer or a parameter of the module."""
        if value in self.buffers:
            return Expr(f"self.{self.buffers[value]}")
        leaf = self.structure.leaves.get(value)
        if isinstance(leaf, Parameter):
            return Expr(self.slot.access(relative(value.name, self.slot.path)))
        return None

    def steps(self, region: Region, number: int, arguments: dict[Value, str]) -> list[Step]:
        """A step for each item of a region; `number` is that of the method."""
        labels = Labels(self.graph, arguments)
        found = []
        for i, item in enumerate(region.items):
            if isinstance(item, Node):
                size = self._size_of(item, "op", number, i)
                found.append(self._node(item, region, labels, size, arguments))
            elif isinstance(item, Reading):
                name = labels.of(item.output)
                found.append(reading_step(item, name, alone=not region.scope))
            else:
                found.append(self._call(item, labels))
        return found

    def _node(
        self,
        node: Node,
        region: Region,
        labels: Labels,
        size: Callable[[str], str],
        arguments: dict[Value, str],
    ) -> Step:
        layer, access = self._layer(node, arguments)
        names = (labels.of(node.output),)
        if layer is None:
            extents = region.extents[node.output]
            return node_step(node, node.inputs, names, size, extents=extents, early=False)
        x = node.inputs[1] if isinstance(node.op, ops.Gather) else node.inputs[0]

        def render(get: Lookup) -> Expr:
            return apply_layer(layer, access, get(x))

        return Step((x,), (node.output,), render, names, comment=origin_comment(node.origin))

    def _layer(self, node: Node, arguments: dict[Value, str]) -> tuple[Layer | None, str]:
        """The layer that a node applies, and how to reach it; a layer elsewhere does not count."""
        for value in node.inputs:
            leaf = self.structure.leaves.get(value)
            if isinstance(leaf, Parameter) and value not in arguments:
                path = value.name.rpartition(".")[0]
                slot = self.structure.tree.at(path)
                if slot.layer is not None and slot.layer.applies(node):
                    return slot.layer, self.slot.access(relative(path, self.slot.path))
        return None, ""

    def _call(self, region: Region, labels: Labels) -> Step:
        path = relative(region.module, self.slot.path)
        name = self.structure.method_of(region)
        method = "" if name == "forward" else f".{name}"
        called = self.slot.access(path) + method
        reads = region.inputs
        return Step(
            reads,
            region.outputs,
            lambda get: Expr(call(called, *(get(value).piece for value in reads))),
            tuple(labels.of_call(region)),
            comment=origin_comment(region.block.origin),
            call=called,
            sequence=self._sequence(region, path),
            method=method,
        )

    def _sequence(self, region: Region, path: str) -> tuple[str, int, int] | None:
        """Which item of which list a call is of, if the list is of one class."""
        above, _, index = path.rpartition(".")
        items = self.slot.at(above)
        if not path or not self.structure.is_uniform(items):
            return None
        return self.slot.access(above), int(index), len(items.children)

    def _size_of(self, node: Node, *place: object) -> Callable[[str], str]:
        texts = self.found.texts

        def text(name: str) -> str:
            return texts.get((*place, name)) or repr(sizes_of(node.op)[name].value)

        return text


_LIKE_VALUE = Value(LIKE, ops.TensorType(()))


def _annotation(value: Value) -> str:
    return "int" if isinstance(value, Extent) else "Tensor"


def _register(value: Value, name: str) -> Step:
    return Step(
        (value,),
        (),
        lambda get: Expr(
            call("self.register_buffer", f'"{name}"', get(value).piece, "persistent=False")
        ),
    )


def _parameter(leaf: Parameter, sizes: Sequence[str], *, unread: bool) -> Piece:
    dtype = leaf.value.dtype
    options = {} if dtype == "float32" else {"dtype": f"torch.{dtype}"}
    inner = list(sizes) or ["()"]
    if leaf.trainable:
        kept = {"requires_grad": "False"} if unread else {}
        return call("nn.Parameter", call("torch.empty", *inner, **options), **kept)
    start = "ones" if leaf.init.kind == "ones" else "zeros"
    return call(f"torch.{start}", *inner, **options)


def _listed(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
