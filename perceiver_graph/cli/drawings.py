"""An outline as text: a tree for the terminal, DOT for Graphviz, Mermaid for a README."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from perceiver_graph.cli import screen
from perceiver_graph.cli.outline import Box, Outline, Row, rows
from perceiver_graph.diagnostics import escape

_INDENT = "  "
_DOT_SHAPES = {
    "input": "cds",
    "parameter": "note",
    "output": "cds",
    "block": "box",
    "group": "box",
    "op": "ellipse",
}
_MERMAID_SHAPES = {
    "input": ("([", "])"),
    "parameter": ("[/", "/]"),
    "output": ("([", "])"),
    "block": ("[", "]"),
    "group": ("[", "]"),
    "op": ("(", ")"),
}
_STYLES = {"input": "green", "output": "green", "parameter": "yellow", "block": "bold cyan"}


def dot(outline: Outline) -> str:
    """The outline in Graphviz's language: scopes are clusters."""
    ids = _numbered_ids(outline)
    lines = [
        f"digraph {escape.dot(outline.graph.name)} {{",
        '  graph [rankdir=TB, compound=true, fontname="Helvetica"]',
        '  node [shape=box, style=rounded, fontname="Helvetica"]',
        '  edge [fontname="Helvetica", fontsize=10]',
    ]
    for box in outline.boxes.values():
        lines.extend(_dot_box(box, ids, 1))
    for edge in outline.edges:
        ends = f"{ids[edge.source]} -> {ids[edge.target]}"
        lines.append(f"  {ends} [label={escape.dot(edge.label)}]")
    return "\n".join([*lines, "}"]) + "\n"


def _dot_box(box: Box, ids: dict[str, str], depth: int) -> Iterator[str]:
    indent = _INDENT * depth
    if box.inside:
        yield f"{indent}subgraph cluster_{ids[box.id]} {{"
        yield f"{indent}  label={escape.dot(_title(box))}"
        for inner in box.inside.values():
            yield from _dot_box(inner, ids, depth + 1)
        yield f"{indent}}}"
    else:
        shape = _DOT_SHAPES[box.kind]
        yield f"{indent}{ids[box.id]} [label={escape.dot(_title(box))}, shape={shape}]"


def mermaid(outline: Outline) -> str:
    """The outline as a Mermaid flowchart: scopes are subgraphs."""
    ids = _numbered_ids(outline)
    lines = ["flowchart TB"]
    for box in outline.boxes.values():
        lines.extend(_mermaid_box(box, ids, 1))
    lines.extend(
        f"  {ids[edge.source]} -->|{escape.mermaid(edge.label)}| {ids[edge.target]}"
        for edge in outline.edges
    )
    return "\n".join(lines) + "\n"


def _mermaid_box(box: Box, ids: dict[str, str], depth: int) -> Iterator[str]:
    indent = _INDENT * depth
    text = escape.mermaid(_title(box))
    if box.inside:
        yield f"{indent}subgraph {ids[box.id]}[{text}]"
        for inner in box.inside.values():
            yield from _mermaid_box(inner, ids, depth + 1)
        yield f"{indent}end"
    else:
        left, right = _MERMAID_SHAPES[box.kind]
        yield f"{indent}{ids[box.id]}{left}{text}{right}"


def _numbered_ids(outline: Outline) -> dict[str, str]:
    """Identifiers that need no quotes in either language."""

    def walk(boxes: Iterable[Box]) -> Iterator[str]:
        for box in boxes:
            yield box.id
            yield from walk(box.inside.values())

    return {id: f"n{number}" for number, id in enumerate(walk(outline.boxes.values()))}


def _title(box: Box) -> str:
    """One or two lines: the name, and what it is."""
    parameters = f"{screen.count(box.parameters)} parameters" if box.parameters else ""
    about = box.what if box.what != box.label else ""
    below = ", ".join(part for part in (about, parameters) if part)
    return f"{box.label}\n{below}" if below else box.label


def tree(outline: Outline) -> str:
    """The outline as an indented tree; equal neighbours such as layers share one line."""
    lines = [(escape.line(outline.graph.name), _total(outline))]
    lines.extend(_branches(outline.boxes.values(), ""))
    width = max(len(left) for left, _ in lines)
    return "".join(f"{left.ljust(width)}  {right}".rstrip() + "\n" for left, right in lines)


def _branches(boxes: Iterable[Box], prefix: str) -> Iterator[tuple[str, str]]:
    shown = list(rows(boxes))
    for number, row in enumerate(shown, start=1):
        is_last = number == len(shown)
        yield f"{prefix}{'└── ' if is_last else '├── '}{escape.line(row.label)}", _remarks(row)
        yield from _branches(row.box.inside.values(), prefix + ("    " if is_last else "│   "))


def print_tree(outline: Outline) -> None:
    """The same tree in the colours of a terminal."""
    from rich.console import Console
    from rich.text import Text
    from rich.tree import Tree

    def grow(branch: Tree, boxes: Iterable[Box]) -> None:
        for row in rows(boxes):
            style = _STYLES.get(row.box.kind, "")
            text = Text.assemble((escape.line(row.label), style), "  ", (_remarks(row), "dim"))
            grow(branch.add(text), row.box.inside.values())

    root = Tree(
        Text.assemble((escape.line(outline.graph.name), "bold"), "  ", (_total(outline), "dim"))
    )
    grow(root, outline.boxes.values())
    Console().print(root)


def _total(outline: Outline) -> str:
    return f"{screen.count(outline.graph.parameter_count)} parameters"


def _remarks(row: Row) -> str:
    box = row.box
    parameters = f"{screen.count(box.parameters)} parameters" if box.parameters else ""
    parts = (box.what, box.type.removeprefix("float32"), parameters, row.times)
    return escape.line("  ".join(part for part in parts if part))
