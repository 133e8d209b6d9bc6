"""`perceiver-graph inspect`: every size, parameter, FLOP and byte of a spec, before any weight exists."""

from __future__ import annotations

from typing import Annotated, Literal, cast

import typer

from perceiver_graph.cli import screen
from perceiver_graph.cli.options import (
    Debug,
    Extensions,
    Memory,
    OptionalLevel,
    Overrides,
    SpecArgument,
    bytes_of,
)
from perceiver_graph.diagnostics import escape


def inspect_command(
    spec: SpecArgument,
    format: Annotated[
        Literal["table", "json"], typer.Option("--format", help="For people, or for programs.")
    ] = "table",
    level: OptionalLevel = None,
    memory: Memory = None,
    rate: Annotated[
        float | None,
        typer.Option(
            "--rate",
            min=1e-3,
            metavar="GFLOPS",
            help="For floors: 10^9 FLOPs a second [with -O: measured].",
        ),
    ] = None,
    overrides: Overrides = None,
    extensions: Extensions = None,
    debug: Debug = False,
) -> None:
    """Show sizes, parameters, FLOPs and memory of a spec.

    FLOPs and memory are estimates for batch 1. -O shows what the passes of that level remove, and
    what is left for the ONNX program, and how long this machine needs for each at the least: a floor.
    With --memory it is that of `compile` unless given: 2.
    """
    from perceiver_graph.cli.inspection import Inspection
    from perceiver_graph.cli.machine import Rates, measure
    from perceiver_graph.compiler.lowering.checked import lower_spec

    limit = bytes_of(memory)
    if level is None:
        level = 0 if limit is None else 2
    rates = Rates(1e9 * rate) if rate is not None else None
    lowered = lower_spec(spec, overrides or ())
    inspection = Inspection.of(lowered, cast(Literal[0, 1, 2], level), limit)
    if format == "json":
        screen.exactly(escape.json(inspection.as_json(rates)))
        return
    from perceiver_graph.cli.sheet import print_sheet

    if level and rates is None:  # it takes as long as all the rest
        rates = measure()
    print_sheet(inspection, spec, rates)
