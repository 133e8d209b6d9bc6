"""Writes a class for a module: its members, what it computes when it is made, and its methods."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial

from perceiver_graph.compiler.backends.torch.calls import Call, Item, outputs_of, relative, runs
from perceiver_graph.compiler.backends.torch.comments import Comments, origin_of
from perceiver_graph.compiler.backends.torch.extents import Extent, Reading, read, text_of
from perceiver_graph.compiler.backends.torch.layers import argument
from perceiver_graph.compiler.backends.torch.lowerings import (
    LIKE,
    MAKERS,
    Operands,
    literal,
    lower,
)
from perceiver_graph.compiler.backends.torch.modules import (
    Method,
    Model,
    ModuleClass,
    Number,
    Slot,
    store,
)
from perceiver_graph.compiler.backends.torch.names import (
    MODULE_ATTRIBUTES,
    identifier,
    is_attribute,
    label_values,
    last_part,
    parameter_name,
    parts_of,
    unique,
)
from perceiver_graph.compiler.backends.torch.statements import Body, Loop, Step
from perceiver_graph.compiler.backends.torch.text import (
    block,
    docstring,
    entries,
    quoted,
    statement,
)
from perceiver_graph.compiler.backends.torch.text import call as called
from perceiver_graph.compiler.ir.graph import Constant, Node, Parameter, Value

_METHODS = frozenset({"forward", "prepare", "resume"})


@dataclass(frozen=True)
class ClassText:
    """Writes for a module. `arguments` are the numbers that are written as a name."""

    model: Model
    slot: Slot
    arguments: Mapping[tuple[type, Number], str]
    reserved: frozenset[str]
    """Names of the file that variables must not hide."""

    def number(self, number: Number) -> str:
        """A number in the constructor."""
        return self.arguments.get((type(number), number)) or repr(number)

    def _number_of_self(self, number: Number) -> str:
        name = self.arguments.get((type(number), number))
        return f"self.{name}" if name else repr(number)

    def members(self) -> Iterator[str]:
        """Statements that make sub-modules, parameters and buffers."""
        for child in self.slot.children.values():
            made, name = self._construct(child), child.name
            if not is_attribute(name, self.slot.methods):
                yield from statement(f'self.{store(child)}["{name}"] = {made}', 2)
            elif child.parameter is not None and not child.parameter.trainable:
                yield from statement(called("self.register_buffer", quoted(name), made), 2)
            else:
                yield from statement(f"self.{name} = {made}", 2)
        yield from self._known()

    def _construct(self, slot: Slot) -> str:
        """The expression that makes a member."""
        match slot.kind:
            case "parameter":
                assert slot.parameter is not None
                return self._parameter(slot.parameter, unread=slot.unread)
            case "layer":
                assert slot.layer is not None
                layer, sizes = slot.layer, map(self.number, slot.layer.sizes)
                return called(layer.head, *sizes, *layer.more, **layer.options)
            case "class":
                made = self.model.classes[slot.path]
                given = made.arguments_of(slot).items()
                return called(made.name, **{name: self.number(value) for name, value in given})
            case "list":
                items = [self._construct(child) for child in slot.children.values()]
                if len(set(items)) == 1:
                    return called("nn.ModuleList", f"{items[0]} for _ in range({len(items)})")
                return called("nn.ModuleList", f"[{', '.join(items)}]")
            case kind:
                head = "nn.ModuleDict" if kind == "dict" else "nn.ParameterDict"
                parts = {name: self._construct(child) for name, child in slot.children.items()}
                return called(head, entries(parts))

    def _parameter(self, leaf: Parameter, *, unread: bool) -> str:
        sizes = [self.number(int(size)) for size in leaf.value.shape] or ["()"]
        dtype = leaf.value.dtype
        options = {} if dtype == "float32" else {"dtype": f"torch.{dtype}"}
        if leaf.trainable:
            kept = {"requires_grad": False} if unread else {}
            return called("nn.Parameter", called("torch.empty", *sizes, **options), **kept)
        start = "ones" if leaf.init.kind == "ones" else "zeros"
        return called(f"torch.{start}", *sizes, **options)

    @cached_property
    def _made(self) -> list[Node]:
        """What is computed when the module is made, in order."""
        needed = self.model.graph.ancestors(self.model.buffers(self.slot))
        return [node for node in self.model.graph.nodes if node.output in needed] if needed else []

    @cached_property
    def buffers(self) -> dict[Value, str]:
        """The attribute of each value that is computed when the module is made."""
        taken = {*MODULE_ATTRIBUTES, *self.slot.children, *self.slot.methods, *_METHODS}
        taken |= set(self.arguments.values())
        labels = label_values(self._made, {}, _constant_name)
        found: dict[Value, str] = {}
        for value in self.model.buffers(self.slot):
            wanted = labels.get(value) or _constant_name(value)
            found[value] = unique(wanted, taken | set(found.values()))
        return found

    @cached_property
    def makes_numbers(self) -> bool:
        """Whether a method makes numbers, in the dtype of the module."""
        items = (item for call in self.slot.calls for item in call.items)
        return any(isinstance(item, Node) and isinstance(item.op, MAKERS) for item in items)

    def _known(self) -> Iterator[str]:
        """Statements that compute the buffers."""
        labels = label_values(self._made, {}, _constant_name)
        steps = [
            Step(
                node.inputs,
                (node.output,),
                _lowering(node, self.number, early=True),
                (labels[node.output],),
                origin=origin_of(node.origin),
            )
            for node in self._made
        ]
        own = origin_of(self.slot.calls[0].block.origin) if self.slot.calls else ""
        body = Body(steps, self._constant, {}, self.reserved, tuple(self.buffers), own)
        yield from body.write(len(steps), 2)
        for value, name in self.buffers.items():
            register = called(
                "self.register_buffer", quoted(name), body.text(value), persistent=False
            )
            yield from statement(register, 2)
        if self.makes_numbers:
            yield f'        self.register_buffer("{LIKE}", torch.empty(0), persistent=False)'

    def _constant(self, value: Value) -> str:
        leaf = self.model.leaves[value]
        assert isinstance(leaf, Constant)
        return literal(leaf.data)

    def labels(self, call: Call, names: Mapping[Value, str]) -> dict[Value, str]:
        """What the values in a call are called, given names for its arguments."""
        return label_values(call.items, names, self.leaf_name)

    def leaf_name(self, value: Value) -> str:
        leaf = self.model.leaves.get(value)
        if isinstance(leaf, Parameter):
            return parameter_name(value.name)
        return self.buffers.get(value) or identifier(last_part(value.name))

    def atom(self, value: Value) -> str:
        """How methods reach a buffer or a parameter of the module."""
        if value in self.buffers:
            return f"self.{self.buffers[value]}"
        return self.slot.access(relative(value.name, self.slot.path))

    def steps(
        self, call: Call, names: Mapping[Value, str], comments: Comments | None = None
    ) -> list[Step]:
        """The steps of a call; with shapes and lines of the spec where `comments` are given."""
        labels, found, index = self.labels(call, names), list[Step](), 0
        for run in runs(call, self.model.methods):
            loop = self._loop(run)
            for item in run[:1] if loop else run:
                step = replace(self._step(call, item, labels), loop=loop)
                if loop:
                    step = replace(step, writes=outputs_of(run[-1]))
                if comments:
                    shape, origin = comments.shape_of(index), comments.origin_of(index)
                    step = replace(step, shape=shape, origin=origin)
                found.append(step)
                index += len(run) if loop else 1
        return found

    def _loop(self, run: Sequence[Item]) -> Loop | None:
        """The loop that a run of calls is: of one module, or of those of a list."""
        if len(run) == 1:
            return None
        modules = [item.module for item in run if isinstance(item, Call)]
        (carried,) = (v for v in run[0].inputs if v not in run[1].inputs)
        if len(set(modules)) == 1:
            return Loop(carried, len(run))
        items = self.model.tree.at(modules[0].rpartition(".")[0])
        if items.kind != "list" or modules != [child.path for child in items.children.values()]:
            return None
        paths = (relative(path, self.slot.path) for path in (items.path, modules[0]))
        return Loop(carried, len(run), *map(self.slot.access, paths))

    def _step(self, call: Call, item: Item, labels: Mapping[Value, str]) -> Step:
        if isinstance(item, Call):
            return self._call(item, labels)
        names = (labels[item.output],)
        if isinstance(item, Reading):
            return Step(item.inputs, (item.output,), partial(read, item.place), names)
        return self._node(item, call.extents[item.output], names)

    def _node(self, node: Node, extents: tuple[Extent, ...], names: tuple[str, ...]) -> Step:
        slot = self.model.layer(node, self.slot)
        if slot is None or slot.layer is None:
            reads = (*node.inputs, *extents)
            expression = _lowering(node, self._number_of_self, extents)
        else:
            reads = (argument(node),)
            access = self.slot.access(relative(slot.path, self.slot.path))
            expression = partial(slot.layer.applied, access)
        other = identifier(last_part(node.name))
        return Step(reads, (node.output,), expression, names, other)

    def _call(self, call: Call, labels: Mapping[Value, str]) -> Step:
        access = self.slot.access(relative(call.module, self.slot.path))
        method = self.model.methods[call].name
        head = access if method == "forward" else f"{access}.{method}"
        names = tuple(labels[value] for value in call.outputs)
        other = identifier(parts_of(call.module)[-1]) if len(names) == 1 else ""
        return Step(call.inputs, call.outputs, partial(called, head), names, other)

    def lines(self, found: ModuleClass) -> Iterator[str]:
        """The class."""
        calls = [call for slot in found.slots for call in slot.calls]
        if origin := origin_of(*(call.block.origin for call in calls)):
            yield f"# {origin}"
        yield f"class {found.name}(nn.Module):"
        yield from docstring(_summary(found, calls), 1)
        yield ""
        methods = [["", *self._method(found, method)] for method in found.methods]
        text = "\n".join(line for lines in methods for line in lines)
        kept = [name for name in found.arguments if f"self.{name}" in text]
        given = [
            f"{name}: {'float' if any(isinstance(v, float) for v in values) else 'int'}"
            for name, values in found.arguments.items()
        ]
        yield from self.constructor(given, [f"self.{name} = {name}" for name in kept])
        for lines in methods:
            yield from lines

    def constructor(self, given: Sequence[str], first: Sequence[str] = ()) -> Iterator[str]:
        """`__init__` with arguments beside `self`, and the types of buffers before it."""
        names = [*self.buffers.values(), *[LIKE] * self.makes_numbers]
        if names:
            yield from (f"    {name}: Tensor" for name in names)
            yield ""
        yield from statement(f"def __init__({', '.join(['self', *given])}) -> None:", 1)
        yield from block(["super().__init__()", *first], 2)
        yield from self.members()

    def _method(self, found: ModuleClass, method: Method) -> Iterator[str]:
        call, names = method.call, dict(zip(method.call.inputs, method.arguments, strict=True))
        types = ("int" if isinstance(value, Extent) else "Tensor" for value in call.inputs)
        given = [f"{name}: {kind}" for name, kind in zip(method.arguments, types, strict=True)]
        results = ["Tensor"] * len(call.outputs)
        result = f"tuple[{', '.join(results)}]" if len(results) > 1 else "Tensor"
        head = f"def {method.name}({', '.join(['self', *given])}) -> {result}:"
        yield from statement(head, 1)
        comments = Comments(method, found)
        labels = self.labels(call, names)
        made = comments.outputs()
        if len(made) > 1:
            made = [f"{labels[v]} {shape}" for v, shape in zip(call.outputs, made, strict=True)]
        takes = [
            name if isinstance(value, Extent) else f"{name} {shape}"
            for (value, name), shape in zip(names.items(), comments.inputs(), strict=True)
        ]
        text = f"{', '.join(takes)} -> {', '.join(made)}." if takes else f"The result: {made[0]}."
        yield from docstring(text, 2)
        yield from self.body(call, names, comments, origin_of(call.block.origin))

    def body(
        self,
        call: Call,
        names: Mapping[Value, str],
        comments: Comments | None = None,
        origin: str = "",
    ) -> Iterator[str]:
        """The statements of a method."""
        steps = self.steps(call, names, comments)
        body = Body(steps, self.atom, dict(names), self.reserved, call.outputs, origin)
        last = steps[-1] if steps else None
        direct = last is not None and not last.loop and last.writes == call.outputs
        yield from body.write(len(steps), 2, returned=direct)
        if not direct:
            yield from statement(f"return {', '.join(map(body.text, call.outputs))}", 2)


def _lowering(
    node: Node,
    number: Callable[[Number], str],
    extents: tuple[Extent, ...] = (),
    *,
    early: bool = False,
) -> Callable[..., str]:
    """The expression of a node, given texts of its operands and of what its sizes come from."""

    def text(*texts: str) -> str:
        found = dict(zip((*node.inputs, *extents), texts, strict=True))
        dim = partial(text_of, extents=extents, get=found.__getitem__)
        return lower(Operands(node, [found[x] for x in node.inputs], number, dim, early))

    return text


def _summary(found: ModuleClass, calls: Sequence[Call]) -> str:
    summaries = {call.block.summary for call in calls}
    if len(summaries) == 1 and (summary := summaries.pop()):
        return f"{summary[0].upper()}{summary[1:]}."
    *paths, last = [slot.path for slot in found.slots]
    names = f"{', '.join(paths)} and {last}" if paths else last
    return f"Stands for {names}." if calls else f"Holds the parameters of {names}."


def _constant_name(value: Value) -> str:
    return identifier(last_part(value.name))
