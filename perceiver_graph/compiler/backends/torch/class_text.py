"""Writes a class for a module: its members, what it computes when it is made, and its methods."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial

from perceiver_graph.compiler.backends.torch import cache
from perceiver_graph.compiler.backends.torch import text as py
from perceiver_graph.compiler.backends.torch.calls import (
    Call,
    Item,
    Keep,
    outputs_of,
    relative,
    runs,
)
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
    origin_of,
    store,
)
from perceiver_graph.compiler.backends.torch.names import (
    CACHING,
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
from perceiver_graph.compiler.ir.graph import Constant, Node, Parameter, Value
from perceiver_graph.spec.programs import PREFILL, STEP

_METHODS = frozenset({"forward", "prepare", "resume", PREFILL, STEP})


@dataclass(frozen=True)
class ClassText:
    """Writes for a module. `arguments` are the numbers that are written as names."""

    model: Model
    slot: Slot
    arguments: Mapping[str, Number]
    reserved: frozenset[str]
    """Names of the file that variables must not hide."""

    def number(self, number: Number, of: str = "") -> str:
        """A number in the constructor, or elsewhere where it is `of` self."""
        same = (n for n, x in self.arguments.items() if x == number and type(x) is type(number))
        name = next(same, None)
        return f"{of}{name}" if name else repr(number)

    def members(self) -> Iterator[py.Statement]:
        """Statements that make sub-modules, parameters and buffers."""
        for child in self.slot.children.values():
            made, name = self._construct(child), child.name
            if not is_attribute(name, self.slot.methods):
                yield f'self.{store(child)}["{name}"] = {made}'
            elif child.parameter is not None and not child.parameter.trainable:
                yield py.call("self.register_buffer", py.quoted(name), made)
            else:
                yield f"self.{name} = {made}"
        yield from self._known()

    def _construct(self, slot: Slot) -> str:
        """The expression that makes a member."""
        match slot.kind:
            case "parameter":
                assert slot.parameter is not None
                return self._parameter(slot.parameter, unread=slot.unread)
            case "layer":
                assert slot.layer is not None
                items = [x if isinstance(x, str) else self.number(x) for x in slot.layer.items]
                return py.call(slot.layer.head, *items, **slot.layer.options)
            case "class":
                made = self.model.classes[slot.path]
                given = made.arguments[slot.path].items()
                return py.call(made.name, **{name: self.number(value) for name, value in given})
            case "list":
                items = [self._construct(child) for child in slot.children.values()]
                if len(set(items)) == 1:
                    return py.call("nn.ModuleList", f"{items[0]} for _ in range({len(items)})")
                return py.call("nn.ModuleList", f"[{', '.join(items)}]")
            case kind:
                head = "nn.ModuleDict" if kind == "dict" else "nn.ParameterDict"
                parts = {name: self._construct(child) for name, child in slot.children.items()}
                return py.call(head, py.entries(parts))

    def _parameter(self, leaf: Parameter, *, unread: bool) -> str:
        sizes = [self.number(int(size)) for size in leaf.value.shape] or ["()"]
        dtype = leaf.value.dtype
        options = {} if dtype == "float32" else {"dtype": f"torch.{dtype}"}
        if leaf.trainable:
            kept = {"requires_grad": False} if unread else {}
            return py.call("nn.Parameter", py.call("torch.empty", *sizes, **options), **kept)
        start = "ones" if leaf.init.kind == "ones" else "zeros"
        return py.call(f"torch.{start}", *sizes, **options)

    @cached_property
    def _made(self) -> dict[Node, str]:
        """What is computed when the module is made, in order, and how it is called."""
        read = self.model.buffers(self.slot)
        if not read:
            return {}
        needed = {*read}
        for node in reversed(self.model.nodes):
            needed.update(node.inputs if node.output in needed else ())
        nodes = [node for node in self.model.nodes if node.output in needed]
        labels = label_values(nodes, {}, _constant_name)
        return {node: labels[node.output] for node in nodes}

    @cached_property
    def buffers(self) -> dict[Value, str]:
        """The attribute of each value that is computed when the module is made."""
        taken = {*MODULE_ATTRIBUTES, *self.slot.children, *self.slot.methods, *_METHODS}
        taken |= set(self.arguments)
        labels = {node.output: name for node, name in self._made.items()}
        found: dict[Value, str] = {}
        for value in self.model.buffers(self.slot):
            wanted = labels.get(value) or _constant_name(value)
            found[value] = unique(wanted, taken | set(found.values()))
        return found

    @property
    def _like(self) -> dict[str, str]:
        """The buffer that methods make numbers like, in the dtype of the module, if any does."""
        items = (item for call in self.slot.calls for item in call.items)
        makes = any(isinstance(item, Node) and isinstance(item.op, MAKERS) for item in items)
        return {LIKE: "torch.empty(0)"} if makes else {}

    def _known(self) -> Iterator[py.Statement]:
        """Statements that compute the buffers."""
        steps = []
        for node, name in self._made.items():
            expression, origin = _lowering(node, self.number, early=True), origin_of(node.origin)
            steps.append(Step(node.inputs, (node.output,), expression, (name,), origin=origin))
        own = origin_of(self.slot.calls[0].block.origin) if self.slot.calls else ""
        body = Body(steps, self._constant, {}, self.reserved, tuple(self.buffers), own)
        yield from body.write()
        made = {name: body.text(value) for value, name in self.buffers.items()}
        for name, text in (made | self._like).items():
            yield py.call("self.register_buffer", py.quoted(name), text, persistent=False)

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

    def atom(self, call: Call, value: Value) -> str:
        """How the method of a call reaches a buffer or a parameter of the module, or the cache."""
        if key := self.model.cached.get(value):
            return cache.entry(call, key)
        if value in self.buffers:
            return f"self.{self.buffers[value]}"
        return self.slot.access(relative(value.name, self.slot.path))

    def steps(self, method: Method, names: Mapping[Value, str]) -> list[Step]:
        """The steps of a method, with shapes and lines of the spec where it has a name."""
        call, found, index = method.call, list[Step](), 0
        labels = self.labels(call, names)
        for run in runs(call, self.model.methods):
            loop = self._loop(run)
            for item in run[:1] if loop else run:
                step = replace(self._step(call, item, labels, loop), loop=loop)
                if loop:
                    step = replace(step, writes=outputs_of(run[-1]))
                if method.name and not isinstance(item, Keep):
                    shapes = method.shapes(outputs_of(call.items[index]) for call in method.calls)
                    shape = "" if isinstance(item, Reading) else ", ".join(shapes)
                    step = replace(step, shape=shape, origin=method.origin_of(item))
                found.append(step)
                index += len(run) if loop else 1
        return found

    def _loop(self, run: Sequence[Item]) -> Loop | None:
        """The loop that a run of calls is: of one module, or of those of a list."""
        if len(run) == 1:
            return None
        modules = [item.module for item in run if isinstance(item, Call)]
        (carried,) = (v for v in run[0].inputs if v not in run[1].inputs)
        scopes = [item.scope[-1] for item in run if isinstance(item, Call) and item.caches]
        if any(scope != scopes[0].removesuffix("0") + str(i) for i, scope in enumerate(scopes)):
            return None
        index = "i" if scopes else ""
        if len(set(modules)) == 1:
            return Loop(carried, len(run), index=index)
        items = self.model.tree.at(modules[0].rpartition(".")[0])
        if items.kind != "list" or modules != [child.path for child in items.children.values()]:
            return None
        paths = (relative(path, self.slot.path) for path in (items.path, modules[0]))
        layers, first = map(self.slot.access, paths)
        return Loop(carried, len(run), layers, first, index)

    def _step(
        self, call: Call, item: Item, labels: Mapping[Value, str], loop: Loop | None = None
    ) -> Step:
        if isinstance(item, Call):
            return self._call(call, item, labels, loop)
        if isinstance(item, Keep):
            return Step(item.inputs, (), partial("{} = {}".format, cache.entry(call, item.key)), ())
        names = (labels[item.output],)
        if isinstance(item, Reading):
            return Step(item.inputs, (item.output,), partial(read, item.place), names)
        return self._node(item, call.extents[item.output], names)

    def _node(self, node: Node, extents: tuple[Extent, ...], names: tuple[str, ...]) -> Step:
        slot = self.model.layer(node, self.slot)
        if slot is None or slot.layer is None:
            reads = (*node.inputs, *extents)
            expression = _lowering(node, partial(self.number, of="self."), extents)
        else:
            reads = (argument(node),)
            access = self.slot.access(relative(slot.path, self.slot.path))
            expression = partial(slot.layer.applied, access)
        other = identifier(last_part(node.name))
        return Step(reads, (node.output,), expression, names, other)

    def _call(
        self, outer: Call, call: Call, labels: Mapping[Value, str], loop: Loop | None
    ) -> Step:
        access = self.slot.access(relative(call.module, self.slot.path))
        method = self.model.methods[call].name
        head = access if method == "forward" else f"{access}.{method}"
        names = tuple(labels[value] for value in call.outputs)
        other = identifier(parts_of(call.module)[-1]) if len(names) == 1 else ""
        more: list[str] = []
        if call.caches:
            path = "/".join(call.scope[len(outer.scope) :])
            if loop:
                path = f"{path.removesuffix('0')}{{{loop.index}}}"
            more = ["cache", cache.place(outer, path)]
        expression = lambda *texts: py.call(head, *texts, *more)  # noqa: E731
        return Step(call.inputs, call.outputs, expression, names, other)

    def written(self, found: ModuleClass) -> Iterator[py.Statement]:
        """The class."""
        calls = [call for slot in found.slots for call in slot.calls]
        if origin := origin_of(*(call.block.origin for call in calls)):
            yield f"# {origin}"
        methods = [self._method(method) for method in found.methods]
        kept = [name for name in self.arguments if f"self.{name}" in str(methods)]
        numbers = {name: [of[name] for of in found.arguments.values()] for name in self.arguments}
        given = [
            f"{name}: {'float' if any(isinstance(x, float) for x in each) else 'int'}"
            for name, each in numbers.items()
        ]
        made = self.constructor(given, [f"self.{name} = {name}" for name in kept])
        parts = [py.Docstring(_summary(found, calls)), "", *made]
        yield (f"class {found.name}(nn.Module):", *parts, *py.spaced(methods))

    def constructor(
        self, given: Sequence[str], first: Sequence[str] = (), last: Sequence[str] = ()
    ) -> Iterator[py.Statement]:
        """`__init__` with arguments beside `self`, and the types of buffers before it."""
        if names := [*self.buffers.values(), *self._like]:
            yield from (f"{name}: Tensor" for name in names)
            yield ""
        header = f"def __init__({', '.join(['self', *given])}) -> None:"
        yield (header, "super().__init__()", *first, *self.members(), *last)

    def _method(self, method: Method) -> py.Statement:
        call, names = method.call, dict(zip(method.call.inputs, method.arguments, strict=True))
        given = [f"{n}: {'int' if isinstance(v, Extent) else 'Tensor'}" for v, n in names.items()]
        given += ["cache: dict[str, Tensor]", "at: str"] if call.caches else []
        results = ["Tensor"] * len(call.outputs)
        result = f"tuple[{', '.join(results)}]" if len(results) > 1 else "Tensor"
        labels = self.labels(call, names)
        made = method.shapes(call.outputs for call in method.calls)
        if len(made) > 1:
            made = [f"{labels[v]} {shape}" for v, shape in zip(call.outputs, made, strict=True)]
        shapes = method.shapes(call.inputs for call in method.calls)
        takes = [
            name if isinstance(value, Extent) else f"{name} {shape}"
            for (value, name), shape in zip(names.items(), shapes, strict=True)
        ]
        text = f"{', '.join(takes)} -> {', '.join(made)}." if takes else f"The result: {made[0]}."
        body = self.body(method, names, origin_of(call.block.origin))
        return py.method(method.name, given, result, text, *body)

    def body(
        self, method: Method, names: Mapping[Value, str], origin: str = ""
    ) -> Iterator[py.Statement]:
        """The statements of a method."""
        steps, outputs = self.steps(method, names), method.call.outputs
        atom, reserved = partial(self.atom, method.call), self.reserved
        reserved = reserved.union(CACHING) if method.call.caches else reserved
        body = Body(steps, atom, dict(names), reserved, outputs, origin)
        last = steps[-1] if steps else None
        direct = last is not None and not last.loop and last.writes == outputs
        yield from body.write(returned=direct)
        if not direct:
            yield f"return {', '.join(map(body.text, outputs))}"


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
        dim = partial(text_of, texts=found)
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
