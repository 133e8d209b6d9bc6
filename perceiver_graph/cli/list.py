"""`perceiver-graph list`: the specs that ship with the package."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

from perceiver_graph.cli import screen
from perceiver_graph.cli.options import Debug
from perceiver_graph.cli.tables import Column, Table
from perceiver_graph.diagnostics import escape


def list_command(
    format: Annotated[
        Literal["table", "json"], typer.Option("--format", help="For people, or for programs.")
    ] = "table",
    debug: Debug = False,
) -> None:
    """List the specs that ship with the package: a name is enough wherever a SPEC is asked for."""
    from perceiver_graph.spec.loader import load_spec, shipped_names

    summaries = {name: load_spec(name).spec.summary for name in shipped_names()}
    if format == "json":
        screen.exactly(escape.json(summaries))
        return
    Table([Column("spec"), Column("what it does")], list(summaries.items())).print()
    screen.next_step("perceiver-graph inspect kinetics", "perceiver-graph new NAME --from kinetics")
