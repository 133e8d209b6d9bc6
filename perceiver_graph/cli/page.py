"""An outline as one page of HTML that needs no network and no script: blocks that open at a click.

All levels are in it, whatever is open at the start. What a box reads and gives is told at its own
level: an operation reads from operations, a block of the outermost level from such blocks.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from string import Template
from urllib.parse import quote

from perceiver_graph.cli.inspection import Inspection
from perceiver_graph.cli.outline import Box, Edge, Outline, Row, rows
from perceiver_graph.cli.screen import count, scaled
from perceiver_graph.compiler.ir.dims import Dim
from perceiver_graph.compiler.programs.phases import COMPILE, phase_of
from perceiver_graph.diagnostics import escape

TEMPLATE = Path(__file__).with_name("page.html")


def page(inspection: Inspection, depth: int) -> str:
    """A spec as HTML, in ASCII alone; the blocks of the first `depth` levels can be seen at once."""
    spec = inspection.lowered.document.spec
    outline = Outline(inspection.lowered.graph)
    boxes = "".join(
        _Boxes(outline, _flops(outline, inspection.sizes), _axes(inspection), depth).lines()
    )
    text = Template(TEMPLATE.read_text(encoding="utf-8")).substitute(
        name=escape.html(spec.name),
        summary=f"<p>{escape.html(spec.summary)}</p>\n" if spec.summary else "",
        sizes="".join(
            f"<div><dt>{k}</dt><dd>{v}</dd></div>\n" for k, v in _sizes(inspection).items()
        ),
        boxes=boxes,
        footer=_footer(inspection),
    )
    return text.encode("ascii", "xmlcharrefreplace").decode("ascii")


def _sizes(inspection: Inspection) -> dict[str, str]:
    """The sizes of the whole model by what they are sizes of."""
    lowered = inspection.lowered
    tokens, width = lowered.input_array
    queries = lowered.taken
    if lowered.query_width:
        queries = f"{_rows(lowered.total_queries)} x {lowered.query_width}"
        queries += f", in {lowered.chunks} chunks" if lowered.chunks > 1 else ""
    outputs = (
        f"{escape.html(name)} {_rows(output.queries)} x {output.channels}"
        for name, output in lowered.outputs.items()
    )
    return {
        "inputs": f"{_rows(tokens)} x {width}{lowered.each}",
        "latents": " x ".join(map(str, lowered.latents)) + lowered.each,
        "queries": queries,
        "outputs": ", ".join(outputs),
        "parameters": count(lowered.graph.parameter_count),
        "FLOPs before the passes": scaled(inspection.after.flops),
    }


def _rows(size: Dim) -> str:
    """A number of rows; a sum in brackets, since channels follow."""
    text = count(size.plain)
    return f"({text})" if " " in text else text


def _axes(inspection: Inspection) -> dict[str, str]:
    """The named axes of inputs and outputs by the ids of their boxes."""
    lowered = inspection.lowered
    inputs = {f"input:{leaf.value.name}": leaf.axes for leaf in lowered.graph.inputs}
    outputs = {
        f"output:{name}": ("batch", *(axis.name for axis in output.axes), "channel")
        for name, output in lowered.outputs.items()
    }
    return {id: " x ".join(axes) for id, axes in (inputs | outputs).items()}


def _flops(outline: Outline, sizes: Mapping[str, int]) -> Counter[str]:
    """FLOPs of a run by the ids of boxes; what is computed once, at compile time, is left out."""
    found: Counter[str] = Counter()
    phases = phase_of(outline.graph)
    for node in outline.graph.nodes:
        if phases[node.output] != COMPILE:
            flops = node.flops.evaluate(sizes)
            found.update({box.id: flops for box in outline.around(node)})
    return found


def _footer(inspection: Inspection) -> str:
    at = "".join(
        f", {escape.html(name)} = {value}" for name, value in inspection.free_sizes.items()
    )
    counted = "multiplications and additions of matrix products, every query, before any pass"
    return f"FLOPs: {counted}, at batch 1{at}."


@dataclass
class _Ends:
    """The arrays that a box reads and those it gives, with the boxes at their other ends."""

    reads: list[Edge] = field(default_factory=list)
    gives: list[Edge] = field(default_factory=list)
    is_chain: bool = False
    """Whether the box stands for several, of which one reads from another."""


class _Boxes:
    """Writes the boxes of an outline, each row of equal neighbours once."""

    def __init__(
        self, outline: Outline, flops: Mapping[str, int], axes: Mapping[str, str], depth: int
    ) -> None:
        self.outline = outline
        self.flops = flops
        self.axes = axes
        self.depth = depth
        self.shown: dict[str, str] = {}
        """The box on the page that stands for each box of the outline."""
        self.paths: dict[str, tuple[str, ...]] = {}
        """The labels that lead to each box on the page, its own included."""
        self.kinds: dict[str, str] = {}
        self._place(outline.boxes.values(), ())
        self.ends = self._find_ends()

    def lines(self) -> Iterator[str]:
        return self._rows(self.outline.boxes.values(), 1)

    def _place(self, boxes: Iterable[Box], path: tuple[str, ...]) -> None:
        for row in rows(boxes):
            self.paths[row.box.id] = (*path, row.label)
            self.kinds[row.box.id] = row.box.kind
            self.shown.update((member.id, row.box.id) for member in row.members)
            self._place(row.box.inside.values(), self.paths[row.box.id])
            for member in row.members[1:]:
                self._stand_in(row.box, member)

    def _stand_in(self, box: Box, other: Box) -> None:
        """Show what is inside a box for what is inside its equal."""
        for mine, theirs in zip(box.inside.values(), other.inside.values(), strict=True):
            self.shown[theirs.id] = self.shown[mine.id]
            self._stand_in(mine, theirs)

    def _find_ends(self) -> Mapping[str, _Ends]:
        found: defaultdict[str, _Ends] = defaultdict(_Ends)
        for level in range(1, self.outline.depth + 1):
            edges: dict[tuple[str, str, str], Edge] = {}
            for edge in self.outline.edges_at(level):
                source, target = self.shown[edge.source], self.shown[edge.target]
                array = self.shown.get(edge.value.name, edge.value.name)
                edges.setdefault((source, target, array), Edge(source, target, edge.value))
            for edge in edges.values():
                if edge.source == edge.target:
                    found[edge.source].is_chain = True
                    continue
                if len(self.paths[edge.target]) == level:
                    found[edge.target].reads.append(edge)
                if len(self.paths[edge.source]) == level:
                    found[edge.source].gives.append(edge)
        return found

    def _rows(self, boxes: Iterable[Box], level: int) -> Iterator[str]:
        for row in rows(boxes):
            box = row.box
            is_open = " open" if box.inside and level < self.depth else ""
            yield f'<details class="{box.kind}" id="{_anchor(box.id)}"{is_open}>\n'
            yield self._summary(row)
            yield (
                f"<p>{escape.html(box.summary)}</p>\n"
                if box.kind == "block" and box.summary
                else ""
            )
            yield from self._flow(box)
            yield from self._rows(box.inside.values(), level + 1)
            yield "</details>\n"

    def _summary(self, row: Row) -> str:
        box = row.box
        what = box.what if box.kind not in ("input", "parameter") else f"{box.kind}, {box.what}"
        cost = [f"{count(box.parameters)} parameters"] if box.parameters else []
        cost += [f"{scaled(self.flops[box.id])} FLOPs"] if self.flops.get(box.id) else []
        cost += [row.times] if row.times else []
        parts = [
            f"<b>{escape.html(row.label)}</b>",
            f"<span>{escape.html(what)}</span>" if what else "",
            f"<code>{escape.html(_type(box.type))}</code>" if box.type else "",
            f'<span class="cost">{" &middot; ".join(cost)}</span>' if cost else "",
        ]
        return f"<summary>{' '.join(part for part in parts if part)}</summary>\n"

    def _flow(self, box: Box) -> Iterator[str]:
        """The named axes of a box, where its arrays come from and where they go."""
        ends = self.ends.get(box.id, _Ends())
        axes = self.axes.get(box.id)
        reads = [f"{_shape(edge)} from {self._link(edge.source, box)}" for edge in ends.reads]
        reads += ["then each what the one before gives"] if ends.is_chain else []
        targets: defaultdict[str, list[str]] = defaultdict(list)
        for edge in ends.gives:
            targets[_shape(edge)].append(self._link(edge.target, box))
        gives = [
            f"{shape} to {', '.join(dict.fromkeys(links))}" for shape, links in targets.items()
        ]
        terms = {"axes": [escape.html(axes)] if axes else [], "reads": reads, "gives": gives}
        if any(terms.values()):
            yield '<dl class="flow">\n'
            for term, texts in terms.items():
                yield f"<dt>{term}</dt>\n" if texts else ""
                yield from (f"<dd>{text}</dd>\n" for text in dict.fromkeys(texts))
            yield "</dl>\n"

    def _link(self, id: str, reader: Box) -> str:
        """A link to a box: by its label from a neighbour, by the whole path from elsewhere."""
        path = self.paths[id]
        is_near = path[:-1] == self.paths[reader.id][:-1]
        kind = self.kinds[id]
        leaf = f" ({kind})" if kind in ("input", "parameter", "output") else ""
        return f'<a href="#{_anchor(id)}">{escape.html(path[-1] if is_near else "/".join(path))}</a>{leaf}'


def _shape(edge: Edge) -> str:
    return f"<code>{escape.html(_type(str(edge.value.type)))}</code>"


def _type(text: str) -> str:
    """Element type and shape; the usual type goes without saying."""
    return text.removeprefix("float32")


def _anchor(id: str) -> str:
    """A box's id as it may stand in an attribute and in an address."""
    return quote(id, safe="/:")
