"""Finds the calls in a program: scopes become regions with arguments and results.

A region is a block with parameters of its own. It becomes a method of that block's class, and a
call where it stands. Everything else is written out in the region around it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import networkx as nx

from perceiver_graph.compiler.backends.torch.extents import Extent, Finder, Reading
from perceiver_graph.compiler.ir import Block, Constant, Graph, Node, Parameter, Scope, Value

ROOT = ""


@dataclass(eq=False)
class Region:
    """A block's part of a program. Items are in an order in which they can be computed."""

    scope: Scope
    block: Block
    items: list[Item] = field(default_factory=list)
    inputs: tuple[Value, ...] = ()
    """What is made outside, in order of use; parameters that belong to other modules included."""
    outputs: tuple[Value, ...] = ()
    """What is needed outside."""
    extents: dict[Value, tuple[Extent, ...]] = field(default_factory=dict)
    """What the sizes are computed from that the node holds which makes a value."""

    @property
    def module(self) -> str:
        return self.block.module

    def owns(self, parameter: str) -> bool:
        return is_below(parameter, self.module)

    @property
    def nodes(self) -> Iterator[Node]:
        """The nodes inside, those of inner regions too."""
        for item in self.items:
            if isinstance(item, Node):
                yield item
            elif isinstance(item, Region):
                yield from item.nodes

    @property
    def regions(self) -> Iterator[Region]:
        """This region and all inside it."""
        yield self
        for item in self.items:
            if isinstance(item, Region):
                yield from item.regions


Item = Node | Region | Reading


def is_below(name: str, module: str) -> bool:
    """Whether a parameter or module lies in a module; everything lies in the root."""
    return module == ROOT or name.startswith(f"{module}.")


def relative(name: str, module: str) -> str:
    """The name of a parameter or module as seen from a module it lies in."""
    return name if module == ROOT else name[len(module) + 1 :]


@dataclass(frozen=True)
class Program:
    """A program cut in regions. `known` values depend neither on inputs nor on parameters."""

    graph: Graph
    known: frozenset[Value]
    root: Region

    @cached_property
    def parameters(self) -> Mapping[Value, Parameter]:
        return {leaf.value: leaf for leaf in self.graph.parameters}

    def known_values(self, region: Region) -> list[Value]:
        """The known values that nodes directly in a region read, in order of use."""
        nodes = [item for item in region.items if isinstance(item, Node)]
        read = [value for node in nodes for value in node.inputs]
        if region.module == ROOT:
            read += self.graph.outputs.values()
        return list(dict.fromkeys(value for value in read if value in self.known))


def cut(graph: Graph, parameter_names: Iterable[str]) -> Program:
    """Cut a program in regions. `parameter_names`: those of the whole graph."""
    given = [leaf.value for leaf in graph.inputs if leaf.role != "size"]
    late = graph.descendants([*given, *(leaf.value for leaf in graph.parameters), *graph.sized])
    constants = {leaf.value for leaf in graph.leaves.values() if isinstance(leaf, Constant)}
    known = frozenset({*constants, *(node.output for node in graph.nodes)} - late)
    root = _Cutter(graph, known, list(parameter_names)).root()
    _find_sizes(root, given)
    return Program(graph, known, root)


def _find_sizes(region: Region, given: Sequence[Value]) -> None:
    """Let the nodes of a region have the sizes that they hold, from what is given if possible."""
    finder = Finder(given)
    items: list[Item] = []
    for item in region.items:
        before = len(finder.late)
        if isinstance(item, Region):
            _find_sizes(item, item.inputs)
            finder.find(value.dim for value in item.inputs if isinstance(value, Extent))
        elif isinstance(item, Node):
            region.extents[item.output] = finder.find(item.op.dims)
        items += [*finder.late[before:], item]
        finder.made += item.outputs if isinstance(item, Region) else [item.output]
    region.items = [*finder.begin(), *items]
    region.inputs += tuple(finder.arguments)


class _Cutter:
    """Decides which scopes are regions, puts their items in order and finds what passes in and out."""

    def __init__(self, graph: Graph, known: frozenset[Value], parameters: list[str]) -> None:
        self.graph = graph
        self.modules = {name[:i] for name in parameters for i, c in enumerate(name) if c == "."}
        """Those that have something to learn."""
        self.nodes = [node for node in graph.nodes if node.output not in known]
        self.known = known
        self.index = {node.output: i for i, node in enumerate(self.nodes)}
        self.dissolved: set[Scope] = set()

    def root(self) -> Region:
        while True:
            region = self._collect()
            tangled = self._order(region)
            if tangled is None:
                break
            self.dissolved.add(tangled)  # written out in its parent, it cannot stand in the way
        self._interfaces(region, set(self.graph.outputs.values()))
        return region

    def _collect(self) -> Region:
        """The tree of regions, items in the graph's order."""
        root = Region((), Block("", ROOT))
        found: dict[Scope, Region] = {(): root}
        for node in self.nodes:
            region = root
            for depth in range(1, len(node.scope) + 1):
                scope = node.scope[:depth]
                if scope not in found and self._is_region(scope, region):
                    found[scope] = Region(scope, self.graph.blocks[scope])
                    region.items.append(found[scope])
                region = found.get(scope, region)
            region.items.append(node)
        return root

    def _is_region(self, scope: Scope, parent: Region) -> bool:
        """A block that is a module inside its parent's, with something to learn."""
        block = self.graph.blocks.get(scope)
        if block is None or scope in self.dissolved or block.module == ROOT:
            return False
        return block.module in self.modules and is_below(block.module, parent.module)

    def _order(self, region: Region) -> Scope | None:
        """Sort the items so that each comes after what it needs; the scope of an inner region that
        would have to be both before and after another item, if there is one."""
        for item in region.items:
            if isinstance(item, Region) and (tangled := self._order(item)) is not None:
                return tangled
        first = {item: self._first(item) for item in region.items}
        order: nx.DiGraph[Item] = nx.DiGraph()
        order.add_nodes_from(region.items)
        maker = {node.output: item for item in region.items for node in _nodes(item)}
        for item in region.items:
            for node in _nodes(item):
                for value in node.inputs:
                    if maker.get(value, item) is not item:
                        order.add_edge(maker[value], item)
        for knot in nx.strongly_connected_components(order):
            if len(knot) > 1:
                inner = [item for item in knot if isinstance(item, Region)]
                return min(inner, key=lambda item: first[item]).scope
        region.items = list(nx.lexicographical_topological_sort(order, key=lambda i: first[i]))
        return None

    def _first(self, item: Item) -> int:
        return min(self.index[node.output] for node in _nodes(item))

    def _interfaces(self, region: Region, needed: set[Value]) -> None:
        """Fill in inputs and outputs; `needed` is what is read outside the region."""
        made = [node.output for node in region.nodes]
        inside = set(made)
        region.outputs = tuple(value for value in made if value in needed)
        reads = {item: self._reads(item) for item in region.items}
        readers = Counter(value for values in reads.values() for value in values)
        read: dict[Value, None] = {}
        for item in region.items:
            if isinstance(item, Region):
                own = reads[item]
                given = (node.output for node in item.nodes)
                self._interfaces(item, {v for v in given if v in needed or readers[v] > (v in own)})
                read |= dict.fromkeys(item.inputs)
            else:
                read |= dict.fromkeys(item.inputs)
        region.inputs = tuple(
            value
            for value in read
            if value not in inside and value not in self.known and not self._owned(value, region)
        )

    def _owned(self, value: Value, region: Region) -> bool:
        return isinstance(self.graph.leaves.get(value), Parameter) and region.owns(value.name)

    def _reads(self, item: Item) -> set[Value]:
        return {value for node in _nodes(item) for value in node.inputs}


def _nodes(item: Item) -> Iterator[Node]:
    if isinstance(item, Region):
        yield from item.nodes
    elif isinstance(item, Node):
        yield item
