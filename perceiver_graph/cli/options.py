"""Options and arguments that several commands share."""

from __future__ import annotations

from typing import Annotated

import typer

from perceiver_graph.cli import faults

Debug = Annotated[
    bool,
    typer.Option(
        "--debug",
        callback=faults.ask_for_tracebacks,
        expose_value=False,
        help=f"Show the traceback of an internal error ({faults.DEBUG_VARIABLE}=1 does the same).",
    ),
]
"""Declared by every command; its callback does the work and the command never sees the value."""

SpecArgument = Annotated[
    str, typer.Argument(metavar="SPEC", help="A YAML file, or the name of a shipped spec.")
]

Overrides = Annotated[
    list[str] | None,
    typer.Option(
        "--set", metavar="KEY=VALUE", help="Replace a value of the spec: latents.count=392."
    ),
]

Level = Annotated[
    int,
    typer.Option("-O", min=0, max=2, metavar="LEVEL", help="Optimisation level."),
]
