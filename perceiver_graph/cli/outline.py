"""A graph at the level of its blocks: boxes inside boxes, and the arrays that flow between them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from itertools import groupby
from typing import Any, Literal

from perceiver_graph.compiler.ir.dims import product
from perceiver_graph.compiler.ir.graph import Graph, Input, Node, Parameter, Scope, Value
from perceiver_graph.compiler.ir.op import TensorType
from perceiver_graph.compiler.ir.sizes import symbols_of

BoxKind = Literal["input", "parameter", "group", "block", "op", "output"]

_NUMBERED = re.compile(r"(.+\.)(\d+)")


@dataclass
class Box:
    """A place of the outline. `id` is its path; groups and opened blocks have boxes inside."""

    id: str
    kind: BoxKind
    label: str
    what: str = ""
    """The kind of a block, the op of an operation, the role of an input."""
    summary: str = ""
    type: str = ""
    """Element type and shape of what it is, or of what comes out of a block."""
    parameters: int = 0
    """Trainable parameters used inside; a parameter that several boxes share counts in each."""
    inside: dict[str, Box] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        """The box and what is inside as plain data."""
        plain_parts = {
            key: getattr(self, key) for key in ("id", "kind", "label", "what", "summary", "type")
        }
        parts = {key: value for key, value in plain_parts.items() if value}
        if self.parameters:
            parts["parameters"] = self.parameters
        return parts | (
            {"inside": [box.as_json() for box in self.inside.values()]} if self.inside else {}
        )


@dataclass(frozen=True)
class Edge:
    """An array that goes from one box to another."""

    source: str
    target: str
    value: Value

    @property
    def label(self) -> str:
        return " x ".join(str(dim.plain) for dim in self.value.shape) or "scalar"


@dataclass(frozen=True)
class Row:
    """What is shown of a box: its label and, where equal neighbours follow it, those too."""

    members: tuple[Box, ...]
    label: str

    @property
    def box(self) -> Box:
        """The first, which stands for all."""
        return self.members[0]

    @property
    def times(self) -> str:
        """How many there are, in words; empty for one."""
        return f"each, {len(self.members)} times" if len(self.members) > 1 else ""


def rows(boxes: Iterable[Box]) -> Iterator[Row]:
    """The boxes in order; numbered neighbours that are equal, as layers are, share a row."""
    for _, alike in groupby(boxes, _alike):
        members = tuple(alike)
        first, last = members[0].label, members[-1].label
        label = first if len(members) == 1 else f"{first} .. {last.split('.')[-1]}"
        yield Row(members, label)


def _alike(box: Box) -> object:
    """A key that numbered neighbours of one structure have in common, and nothing else."""
    numbered = _NUMBERED.fullmatch(box.label)
    return (numbered[1], _structure(box)) if numbered else box.id


def _structure(box: Box) -> object:
    inner = tuple((inside.label, _structure(inside)) for inside in box.inside.values())
    return box.kind, box.what, box.type, box.parameters, inner


class Outline:
    """The boxes and edges of a graph, its blocks opened down to a depth: all of them without one."""

    def __init__(self, graph: Graph, depth: int | None = None) -> None:
        self.graph = graph
        deepest = 1 + max((len(node.scope) for node in graph.nodes), default=0)
        self.depth = deepest if depth is None else depth
        self._types: dict[TensorType, str] = {}
        self.boxes: dict[str, Box] = {}
        """The outermost boxes by id, in the order of the flow."""
        self._add_leaves()
        for node in graph.nodes:
            self._add_node(node)
        self._add_outputs()
        self._count_parameters()

    @cached_property
    def edges(self) -> tuple[Edge, ...]:
        """Each array once per pair of boxes."""
        return self.edges_at(self.depth)

    def edges_at(self, depth: int) -> tuple[Edge, ...]:
        """The edges of an outline of this graph that is opened down to `depth`."""
        found: dict[tuple[str, str, Value], Edge] = {}
        given = {leaf.of: leaf.value for leaf in self.graph.inputs if leaf.role == "size"}
        for node in self.graph.nodes:
            target = _box_of(node, depth)
            held = [given[s.name] for s in symbols_of([node.op.dims]) if s.name in given]
            for value in (*node.inputs, *held):
                source = self._source(value, depth)
                if source and source != target:
                    found.setdefault((source, target, value), Edge(source, target, value))
        for name, value in self.graph.outputs.items():
            source = self._source(value, depth)
            if source:
                edge = Edge(source, f"output:{name}", value)
                found[edge.source, edge.target, value] = edge
        return tuple(found.values())

    def _add_leaves(self) -> None:
        for leaf in self.graph.inputs:
            axes = " x ".join(leaf.axes)
            box = Box(
                _leaf_id(leaf), "input", leaf.value.name, leaf.role, axes, str(leaf.value.type)
            )
            self.boxes[box.id] = box
        for parameter in self._free_parameters:
            box = Box(_leaf_id(parameter), "parameter", parameter.value.name, "learned")
            box.type, box.parameters = str(parameter.value.type), _numbers(parameter)
            self.boxes[box.id] = box

    @cached_property
    def _free_parameters(self) -> tuple[Parameter, ...]:
        """Parameters that belong to no block, as the latents do."""
        return tuple(p for p in self.graph.parameters if "." not in p.value.name)

    def _add_node(self, node: Node) -> None:
        opened, type = node.scope[: self.depth], self._told(node.output)
        inside = self.boxes
        for length in range(1, len(opened) + 1):
            id = "/".join(opened[:length])
            box = inside.get(id) or inside.setdefault(id, self._block(opened[:length]))
            inside = box.inside
            if box.kind == "block":
                box.type = type
        if _is_own_box(node, self.depth):
            what = node.op.name.replace("_", " ")
            inside[node.name] = Box(node.name, "op", node.name.split("/")[-1], what, type=type)

    def _told(self, value: Value) -> str:
        """The type of a value, written once: thousands of layers have the same few."""
        found = self._types.get(value.type)
        return found or self._types.setdefault(value.type, str(value.type))

    def _block(self, scope: Scope) -> Box:
        block = self.graph.blocks.get(scope)
        kind: BoxKind = "block" if block else "group"
        return Box(
            "/".join(scope),
            kind,
            scope[-1],
            block.kind if block else "",
            block.summary if block else "",
        )

    def _add_outputs(self) -> None:
        for name, value in self.graph.outputs.items():
            self.boxes[f"output:{name}"] = Box(
                f"output:{name}", "output", name, "output", type=str(value.type)
            )

    def _source(self, value: Value, depth: int) -> str | None:
        """The box that a value comes from; none for constants and for parameters of blocks."""
        node = self.graph.producers.get(value)
        if node:
            return _box_of(node, depth)
        leaf = self.graph.leaves[value]
        return _leaf_id(leaf) if isinstance(leaf, Input) or leaf in self._free_parameters else None

    def _count_parameters(self) -> None:
        """Every parameter once in each box that uses it."""
        seen: set[tuple[str, Value]] = set()
        for node in self.graph.nodes:
            for value in node.inputs:
                leaf = self.graph.leaves.get(value)
                if (
                    isinstance(leaf, Parameter)
                    and leaf.trainable
                    and leaf not in self._free_parameters
                ):
                    count = _numbers(leaf)
                    for box in self.around(node):
                        if (box.id, value) not in seen:
                            seen.add((box.id, value))
                            box.parameters += count

    def around(self, node: Node) -> list[Box]:
        """The boxes that a node is in, the outermost first, its own included."""
        path = ["/".join(node.scope[: i + 1]) for i in range(min(len(node.scope), self.depth))]
        path += [node.name] if _is_own_box(node, self.depth) else []
        found: list[Box] = []
        inside: Mapping[str, Box] = self.boxes
        for part in path:
            found.append(inside[part])
            inside = inside[part].inside
        return found

    def as_json(self) -> dict[str, Any]:
        """The outline as plain data."""
        return {
            "name": self.graph.name,
            "depth": self.depth,
            "parameters": self.graph.parameter_count,
            "boxes": [box.as_json() for box in self.boxes.values()],
            "edges": [
                {
                    "source": edge.source,
                    "target": edge.target,
                    "value": edge.value.name,
                    "dtype": edge.value.dtype,
                    "shape": [dim.plain for dim in edge.value.shape],
                }
                for edge in self.edges
            ],
        }


def _is_own_box(node: Node, depth: int) -> bool:
    """An operation is shown where its scope is opened all the way."""
    return len(node.scope) < depth


def _box_of(node: Node, depth: int) -> str:
    return node.name if _is_own_box(node, depth) else "/".join(node.scope[:depth])


def _leaf_id(leaf: Any) -> str:
    prefix = "input" if isinstance(leaf, Input) else "parameter"
    return f"{prefix}:{leaf.value.name}"


def _numbers(parameter: Parameter) -> int:
    return int(product(parameter.value.shape)) if parameter.trainable else 0
