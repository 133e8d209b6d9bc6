"""What the page draws of one graph: its boxes inside each other, what they read, and what each costs.

Equal neighbours, as layers are, are one box that stands for all of them: what it costs is what they
cost together, and what it needs at once is what the one needs that needs most.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Set
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from perceiver_graph.cli.inspection import Inspection
from perceiver_graph.cli.outline import Box, Outline, Row, rows
from perceiver_graph.compiler.ir.dims import Dim, NotDivisible
from perceiver_graph.compiler.ir.graph import Input, Node, Parameter, Value
from perceiver_graph.compiler.ir.sizes import symbols_of
from perceiver_graph.compiler.programs import cost
from perceiver_graph.compiler.programs.phases import COMPILE, phase_of
from perceiver_graph.diagnostics import Span
from perceiver_graph.spec.programs import ASKED

_DRAWN = frozenset({"data", "points"})
"""Roles of what flows in from the left; all else is told where it is read."""


@dataclass
class _About:
    """What is found out about a box on the page."""

    flops: int = 0
    memory: int = 0
    is_late: bool = False
    """Whether anything in it is computed in a run, and not once before all runs."""
    is_table: bool = True
    """Whether all in it depends on sizes alone, as positions do: it is read, but no part of the flow."""
    out: Value | None = None
    origin: Span | None = None
    reads: dict[int, None] = field(default_factory=dict)
    weights: dict[Value, None] = field(default_factory=dict)
    says: str = ""
    """An operation as the text of the graph has it."""


def level(inspection: Inspection) -> dict[str, Any]:
    """The graph of an inspection as plain data. Boxes are numbered as they stand, each before those
    inside it; `reads` of an operation holds such numbers."""
    return _Level(inspection).as_json()


class _Level:
    def __init__(self, inspection: Inspection) -> None:
        self.inspection = inspection
        self.graph = inspection.graph
        self.outline = Outline(self.graph)
        self.numbers: dict[str, int] = {}
        """The number of the box on the page that stands for each box of the outline."""
        self.found: list[_About] = []
        self._number(self.outline.boxes.values())
        self._sizes: dict[Dim, Dim | None] = {}
        self.own: dict[str, set[Value]] = {}
        """The parameters of each box of the outline."""
        self.runs = cost.Figures(inspection.sizes)
        self.chunk = cost.Figures(inspection.chunk_sizes)
        self.flowing = self._flowing()
        self.given = {leaf.of: leaf.value for leaf in self.graph.inputs if leaf.role == "size"}
        self.results = set(self.graph.outputs.values())
        for node in self.graph.nodes:
            self._tell(node)
        self._tell_blocks()
        for name, value in self.graph.outputs.items():
            about = self._about(f"output:{name}")
            about.reads, about.out = self._sources([value]), value
        for value, leaf in self.graph.leaves.items():
            id = f"{'input' if isinstance(leaf, Input) else 'parameter'}:{value.name}"
            if id in self.numbers:
                self._about(id).out = value

    def as_json(self) -> dict[str, Any]:
        weights = [{"name": value.name, "shape": self._shape(value)} for value in self.parameters]
        return {
            "level": self.inspection.level,
            "flops": self.inspection.after.flops,
            "memory": max(one.peak_bytes_with_scores for one in self._phases),
            "boxes": list(self._boxes(self.outline.boxes.values())),
            "weights": weights,
        }

    @property
    def _phases(self) -> Iterable[cost.PhaseCost]:
        return self.inspection.after.phases.values()

    @cached_property
    def parameters(self) -> dict[Value, int]:
        """The parameters that blocks on the page read, by their places in the list of them."""
        read = dict.fromkeys(value for about in self.found for value in about.weights)
        return {value: place for place, value in enumerate(read)}

    def _about(self, id: str) -> _About:
        return self.found[self.numbers[id]]

    def _number(self, boxes: Iterable[Box]) -> None:
        for row in rows(boxes):
            self.numbers[row.box.id] = len(self.found)
            self.found.append(_About())
            self._number(row.box.inside.values())
            for member in row.members[1:]:
                self._stand_in(row.box, member)

    def _stand_in(self, box: Box, other: Box) -> None:
        """Let what is inside a box stand for what is inside its equal."""
        self.numbers[other.id] = self.numbers[box.id]
        for mine, theirs in zip(box.inside.values(), other.inside.values(), strict=True):
            self._stand_in(mine, theirs)

    def _tell(self, node: Node) -> None:
        """Add an operation to what is known of all boxes around it."""
        is_late = phase_of(self.graph)[node.output] != COMPILE
        flops = self.runs.flops(node) if is_late else 0
        held = self.chunk.total({*node.inputs, node.output}) + self.chunk.scores(node)
        weights = {v for v in node.inputs if self._is_weight(v)}
        around = self.outline.around(node)
        for depth, box in enumerate(around, start=1):
            about = self._about(box.id)
            about.flops += flops
            about.memory = max(about.memory, held if is_late else 0)
            is_own = depth == len(around)
            if (is_late or not about.is_late) and (is_own or self._leaves(node, depth)):
                about.out = node.output
            about.is_late |= is_late
            about.is_table &= node.output not in self.flowing
            self.own.setdefault(box.id, set()).update(weights)
        about = self._about(node.name)
        about.origin, about.says = node.origin, str(node.op)
        sizes = [self.given[s.name] for s in symbols_of([node.op.dims]) if s.name in self.given]
        about.reads |= self._sources([*node.inputs, *sizes])
        about.weights |= dict.fromkeys(v for v in node.inputs if v in weights)

    def _is_weight(self, value: Value) -> bool:
        """Whether it is a parameter of a block, and no array of the flow as the latents are."""
        is_parameter = isinstance(self.graph.leaves.get(value), Parameter)
        return is_parameter and f"parameter:{value.name}" not in self.numbers

    def _flowing(self) -> Set[Value]:
        """What depends on an array of the caller's or on something learned."""
        given = [leaf.value for leaf in self.graph.inputs if leaf.role != "size"]
        return self.graph.descendants([*given, *(leaf.value for leaf in self.graph.parameters)])

    def _leaves(self, node: Node, depth: int) -> bool:
        """Whether what a node gives is read outside the box around it at a depth."""
        if node.output in self.results:
            return True
        scope = node.scope[:depth]
        return any(user.scope[:depth] != scope for user in self.graph.users.get(node.output, ()))

    def _sources(self, values: Iterable[Value]) -> dict[int, None]:
        """The numbers of what gives some values, as far as it is on the page."""
        found: dict[int, None] = {}
        for value in values:
            node = self.graph.producers.get(value)
            leaf = "input" if isinstance(self.graph.leaves.get(value), Input) else "parameter"
            id = node.name if node else f"{leaf}:{value.name}"
            if id in self.numbers:
                found[self.numbers[id]] = None
        return found

    def _tell_blocks(self) -> None:
        for scope, block in self.graph.blocks.items():
            number = self.numbers.get("/".join(scope))
            if number is not None:
                about = self.found[number]
                about.origin = about.origin or block.origin

    def _boxes(self, boxes: Iterable[Box]) -> Iterator[dict[str, Any]]:
        for row in rows(boxes):
            yield self._box(row)

    def _box(self, row: Row) -> dict[str, Any]:
        """A box as plain data, without what goes without saying."""
        box, about = row.box, self._about(row.box.id)
        is_leaf = box.kind in ("input", "parameter", "output")
        told: dict[str, Any] = {
            "id": box.id,
            "label": row.label,
            "kind": box.kind,
            "what": box.what,
            "about": about.says if box.kind == "op" else box.summary,
            "shape": self._shape(about.out) if about.out else None,
            "dtype": about.out.dtype if about.out and about.out.dtype != "float32" else None,
            "bytes": self.runs.nbytes(about.out) if about.out else 0,
            "axes": self._axes(box),
            "flops": about.flops,
            "memory": about.memory,
            "parameters": box.parameters,
            "line": self._line(about.origin),
            "once": not about.is_late and not is_leaf,
            "table": about.is_table and not is_leaf,
            "minor": self._is_minor(box),
            "times": len(row.members) if len(row.members) > 1 else 0,
            "sets": len({frozenset(self.own[one.id]) for one in row.members})
            if len(row.members) > 1 and box.parameters
            else 0,
            "reads": list(about.reads),
            "weights": [self.parameters[value] for value in about.weights],
            "inside": list(self._boxes(box.inside.values())),
        }
        return {key: value for key, value in told.items() if value}

    def _is_minor(self, box: Box) -> bool:
        """Whether an array is no part of the spec: told of its readers, and not drawn."""
        if box.kind == "output":
            return box.label not in self.inspection.lowered.outputs
        return box.kind == "input" and box.what not in _DRAWN

    def _axes(self, box: Box) -> list[str]:
        """The names of the axes of an input or output, the batch left out."""
        lowered = self.inspection.lowered
        if box.kind == "output" and box.label in lowered.outputs:
            return [*(axis.name for axis in lowered.outputs[box.label].axes), "channel"]
        return [name for name in self._input_axes.get(box.id, ()) if name != "batch"]

    @cached_property
    def _input_axes(self) -> Mapping[str, tuple[str, ...]]:
        return {f"input:{leaf.value.name}": leaf.axes for leaf in self.graph.inputs}

    def _line(self, origin: Span | None) -> list[int] | None:
        """Line and column of a place in the file; none for what was given with --set."""
        if origin is None or origin.source != self.inspection.lowered.document.source:
            return None
        return [origin.start_line, origin.start_col]

    def _shape(self, value: Value) -> list[int | str]:
        """The sizes of a value without the batch; numbers of queries are those of all."""
        sizes = [self._told(dim) for dim in value.shape]
        return [size.plain for size in sizes if size is not None]

    def _told(self, dim: Dim) -> Dim | None:
        """The same, worked out once of each size."""
        if dim not in self._sizes:
            self._sizes[dim] = self._size(dim)
        return self._sizes[dim]

    def _size(self, dim: Dim) -> Dim | None:
        """A size without the batch in it; None where nothing is left."""
        batch = self._batch
        if batch is not None and batch <= set(dim.symbols):
            try:
                dim = dim.exact_div(Dim.of(next(iter(batch))))
            except NotDivisible:
                return dim
            if dim.value == 1:
                return None
        return self._asked.get(str(dim), dim)

    @cached_property
    def _batch(self) -> set[Any] | None:
        batch = self.graph.symbols.get("batch")
        return None if batch is None else {batch}

    @cached_property
    def _asked(self) -> Mapping[str, Dim]:
        """How many queries there are by the symbols that say how many are asked for at once."""
        outputs = self.inspection.lowered.outputs
        asked = {str(leaf.count): leaf.of for leaf in self.graph.inputs if leaf.role in ASKED}
        return {name: outputs[of].queries for name, of in asked.items() if of in outputs}
