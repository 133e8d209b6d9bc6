"""`perceiver-graph inspect`: every size, parameter, FLOP and byte of a spec, before any weight exists."""

from __future__ import annotations

import json
from typing import Annotated, Literal, cast

import typer

from perceiver_graph.cli.options import Debug, Level, Overrides, SpecArgument


def inspect_command(
    spec: SpecArgument,
    format: Annotated[
        Literal["table", "json"], typer.Option("--format", help="For people, or for programs.")
    ] = "table",
    level: Level = 0,
    overrides: Overrides = None,
    debug: Debug = False,
) -> None:
    """Show sizes, parameters, FLOPs and memory of a spec.

    FLOPs and memory are estimates for batch 1; -O counts the graph after the passes of that level,
    as the ONNX program has it.
    """
    from perceiver_graph.cli.facts import Facts
    from perceiver_graph.compiler.lower import lower
    from perceiver_graph.spec.loader import load_spec

    lowered = lower(load_spec(spec, overrides or ()))
    graph = lowered.graph
    if level:
        from perceiver_graph.compiler.pipeline import optimize

        graph = optimize(graph, level=cast(Literal[0, 1, 2], level), frozen=True)
    facts = Facts(lowered, graph, level)
    if format == "json":
        print(json.dumps(facts.as_json(), indent=2))
        return
    from perceiver_graph.cli.sheet import print_sheet

    print_sheet(facts, spec)
