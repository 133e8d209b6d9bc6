"""Finds the calls in a program: blocks with parameters become calls with arguments and results.

A call becomes a method of its block's class. Everything else is written out around it.
"""

from __future__ import annotations

import heapq
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, field
from itertools import groupby
from types import MappingProxyType

from perceiver_graph.compiler.backends.torch.extents import Extent, Finder, Reading
from perceiver_graph.compiler.ir.graph import Block, Constant, Graph, Node, Parameter, Scope, Value

ROOT = ""
"""The module of the model as a whole."""


@dataclass(eq=False)
class Call:
    """A block's part of a program, in an order in which it can be computed."""

    scope: Scope
    block: Block
    items: list[Item] = field(default_factory=list)
    inputs: tuple[Value, ...] = ()
    """What is made outside, in order of use; parameters of other modules included. Then sizes that
    no shape says of what is given or made."""
    outputs: tuple[Value, ...] = ()
    """What is needed outside."""
    extents: dict[Value, tuple[Extent, ...]] = field(default_factory=dict)
    """What the sizes are computed from that the node holds which makes a value."""
    caches: bool = False
    """Whether it takes the cache, for itself or for calls inside."""

    @property
    def module(self) -> str:
        return self.block.module

    @property
    def nodes(self) -> Iterator[Node]:
        """The nodes inside, those of inner calls too."""
        for item in self.items:
            if isinstance(item, Node):
                yield item
            elif isinstance(item, Call):
                yield from item.nodes

    @property
    def calls(self) -> Iterator[Call]:
        """This call and all inside it."""
        yield self
        for item in self.items:
            if isinstance(item, Call):
                yield from item.calls


@dataclass(frozen=True)
class Keep:
    """Puts a value into the cache, for a run to come."""

    value: Value
    key: str

    @property
    def inputs(self) -> tuple[Value, ...]:
        return (self.value,)


Item = Node | Call | Reading | Keep


def outputs_of(item: Item) -> tuple[Value, ...]:
    """What an item computes."""
    if isinstance(item, Keep):
        return ()
    return item.outputs if isinstance(item, Call) else (item.output,)


@dataclass(frozen=True)
class Program:
    """A program as the call of the whole. `known` values depend on constants alone: they are computed
    when a module is made."""

    graph: Graph
    known: frozenset[Value]
    root: Call


def cut(
    graph: Graph,
    parameters: Iterable[str],
    cached: Mapping[Value, str] = MappingProxyType({}),
    kept: Mapping[Value, str] = MappingProxyType({}),
) -> Program:
    """Cut a program in calls. `parameters`: the names of all of the model's; `cached` and `kept`: the
    keys of what it finds in the cache, and of what it puts there."""
    given = [leaf.value for leaf in graph.inputs if leaf.role != "size"]
    late = graph.descendants([*given, *(leaf.value for leaf in graph.parameters), *graph.sized])
    known = {value for value, leaf in graph.leaves.items() if isinstance(leaf, Constant)}
    known |= graph.producers.keys() - late
    modules = {name[:i] for name in parameters for i, c in enumerate(name) if c == "."}
    nodes = _grouped([n for n in graph.nodes if n.output not in known], graph.blocks.keys())
    root = Call((), Block("", ROOT), _items(nodes, graph, (), ROOT, modules))
    _find_interface(root, graph, known, cached, kept)
    made = graph.producers
    root.items += [Keep(value, key) for value, key in kept.items() if value not in made]
    _find_sizes(root, given)
    return Program(graph, frozenset(known), root)


def relative(name: str, module: str) -> str:
    """The name of a parameter or module as seen from a module it lies in."""
    return name if module == ROOT else name[len(module) + 1 :]


def _is_below(name: str, module: str) -> bool:
    return module == ROOT or name.startswith(f"{module}.")


def _grouped(nodes: Sequence[Node], blocks: Set[Scope]) -> list[Node]:
    """The nodes in an order in which those of a block follow one another, wherever that can be."""
    made = {node.output: i for i, node in enumerate(nodes)}
    missing = [{made[value] for value in node.inputs if value in made} for node in nodes]
    readers: dict[int, list[int]] = defaultdict(list)
    ready: dict[Scope, list[int]] = defaultdict(list)

    def offer(i: int) -> None:
        """To go on with a node in its block, or in one around it."""
        scopes = (nodes[i].scope[:depth] for depth in range(len(nodes[i].scope) + 1))
        for scope in scopes:
            if not scope or scope in blocks:
                heapq.heappush(ready[scope], i)

    for i, needed in enumerate(missing):
        for j in needed:
            readers[j].append(i)
        if not needed:
            offer(i)
    order: dict[int, None] = {}
    scope: Scope = ()
    while len(order) < len(nodes):
        while not ready[scope]:  # nothing is left to do here
            scope = scope[:-1]
        i = heapq.heappop(ready[scope])
        if i not in order:
            order[i], scope = None, nodes[i].scope
            for j in readers[i]:
                missing[j].discard(i)
                if not missing[j]:
                    offer(j)
    return [nodes[i] for i in order]


def _items(
    nodes: Iterable[Node], graph: Graph, outer: Scope, module: str, modules: set[str]
) -> list[Item]:
    """The nodes of a call, those of inner blocks with something to learn as calls."""

    def inner(node: Node) -> Scope:
        scopes = (node.scope[:depth] for depth in range(len(outer) + 1, len(node.scope) + 1))
        return next((scope for scope in scopes if is_call(scope)), ())

    def is_call(scope: Scope) -> bool:
        found = graph.blocks.get(scope)
        return found is not None and found.module in modules and _is_below(found.module, module)

    items: list[Item] = []
    for scope, group in groupby(nodes, inner):
        if scope:
            block = graph.blocks[scope]
            items.append(Call(scope, block, _items(group, graph, scope, block.module, modules)))
        else:
            items += group
    return items


def _find_sizes(call: Call, given: Sequence[Value]) -> None:
    """Let the nodes of a call have the sizes that they hold, from what is given if possible."""
    finder = Finder(given)
    items: list[Item] = []
    for item in call.items:
        before = len(finder.late)
        if isinstance(item, Call):
            _find_sizes(item, item.inputs)
            finder.find(value.dim for value in item.inputs if isinstance(value, Extent))
        elif isinstance(item, Node):
            call.extents[item.output] = finder.find(item.op.dims)
        items += [*finder.late[before:], item]
        finder.made += outputs_of(item)
    call.items = [*finder.begin(), *items]
    call.inputs += tuple(finder.arguments)


def _find_interface(
    call: Call,
    graph: Graph,
    known: Set[Value],
    cached: Mapping[Value, str],
    kept: Mapping[Value, str],
) -> dict[Value, None]:
    """Find what passes in and out of a call and of those inside; returns what is made there. What is
    kept goes into the cache where it is made."""
    made: dict[Value, None] = {}
    items: list[Item] = []
    for item in call.items:
        items.append(item)
        if isinstance(item, Call):
            made |= _find_interface(item, graph, known, cached, kept)
            call.caches |= item.caches
        else:
            made |= dict.fromkeys(outputs_of(item))
            items += [Keep(v, kept[v]) for v in outputs_of(item) if v in kept]
            call.caches |= len(items) > 1 and isinstance(items[-1], Keep)
            call.caches |= not cached.keys().isdisjoint(item.inputs)
    call.items = items
    results = graph.outputs.values() if not kept else set(graph.outputs.values()) - kept.keys()

    def is_given(value: Value) -> bool:
        owner = isinstance(graph.leaves.get(value), Parameter)
        owned = owner and _is_below(value.name, call.module)
        return not (value in made or value in known or owned or value in cached)

    def is_needed(value: Value) -> bool:
        readers = graph.users.get(value, ())
        return value in results or any(n.output not in made for n in readers)

    read = dict.fromkeys(value for item in call.items for value in item.inputs)
    call.inputs, call.outputs = tuple(filter(is_given, read)), tuple(filter(is_needed, made))
    return made


def runs(call: Call, methods: Mapping[Call, object]) -> Iterator[list[Item]]:
    """The items of a call; together those that are one method, again and again, of the last result."""
    readers = Counter(value for item in call.items for value in item.inputs)
    readers.update(call.outputs)
    run: list[Item] = []
    for item in call.items:
        if run and not _follows(run, item, readers, methods):
            yield run
            run = []
        run.append(item)
    if run:
        yield run


def _follows(
    run: Sequence[Item], item: Item, readers: Counter[Value], methods: Mapping[Call, object]
) -> bool:
    """Whether a call is the last one of a run again, with what that gave in place of what it took."""
    before, last = run[0 if len(run) == 1 else -2], run[-1]
    if not (isinstance(before, Call) and isinstance(last, Call) and isinstance(item, Call)):
        return False
    if methods[last] is not methods[item] or len(last.outputs) != 1:
        return False
    changed = [pair for pair in zip(last.inputs, item.inputs, strict=True) if pair[0] != pair[1]]
    if len(changed) != 1 or changed[0][1] != last.outputs[0] or readers[last.outputs[0]] != 1:
        return False
    alike = len(run) == 1 or (before.module == last.module) == (last.module == item.module)
    return alike and changed[0][0].type == item.outputs[0].type
