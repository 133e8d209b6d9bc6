"""`perceiver-graph graph`: the graph of a spec as a tree, for Graphviz, for Mermaid, as JSON or a page."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from perceiver_graph.cli import files, screen, usage
from perceiver_graph.cli.options import Debug, Extensions, Overrides, SpecArgument
from perceiver_graph.diagnostics import escape, quote
from perceiver_graph.diagnostics.commands import command, shell

DEFAULT_DEPTH = 2

Format = Literal["tree", "dot", "mermaid", "json", "html"]

_ENDINGS: dict[str, Format] = {
    ".dot": "dot",
    ".gv": "dot",
    ".mmd": "mermaid",
    ".json": "json",
    ".html": "html",
}
_DRAWN = frozenset({".svg", ".png", ".pdf"})
"""Endings of what Graphviz makes of `dot`."""


def graph_command(
    spec: SpecArgument,
    format: Annotated[
        Format | None,
        typer.Option("--format", help="How to draw it [as FILE ends, else tree]."),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", metavar="FILE", help="Write to a file instead of stdout."),
    ] = None,
    depth: Annotated[
        int,
        typer.Option(
            "--depth",
            min=1,
            metavar="N",
            help="How many levels of blocks are opened. (html: all, at a click.)",
        ),
    ] = DEFAULT_DEPTH,
    overrides: Overrides = None,
    extensions: Extensions = None,
    debug: Debug = False,
) -> None:
    """Draw the blocks of a spec and the arrays between them, with their shapes."""
    from perceiver_graph.cli import drawings
    from perceiver_graph.cli.outline import Outline
    from perceiver_graph.compiler.lowering.checked import lower_spec

    ending = "" if output is None else output.suffix.lower()
    if output is not None and ending in _DRAWN:
        source = output.with_suffix(".dot")
        raise usage.wrong(
            f"{quote(output)} is a picture, which Graphviz makes",
            f"{command('graph', spec, '-o', source)}, then "
            f"{shell('dot', f'-T{ending[1:]}', source, '-o', output)}",
        )
    format = format or _ENDINGS.get(ending, "tree")
    lowered = lower_spec(spec, overrides or ())
    outline = Outline(lowered.graph, depth)
    if format == "tree" and output is None and screen.on_terminal():
        drawings.print_tree(outline)
        return
    if format == "json":
        text = escape.json(outline.as_json())
    elif format == "html":
        from perceiver_graph.cli.page import page

        text = page(lowered)
    else:
        text = {"tree": drawings.tree, "dot": drawings.dot, "mermaid": drawings.mermaid}[format](
            outline
        )
    if output is None:
        screen.exactly(text)
    else:
        files.write_text(output, text, "text" if format == "tree" else format)
        screen.say(output)
