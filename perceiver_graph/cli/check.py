"""`perceiver-graph check`: everything that is wrong with some specs, without building anything."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Annotated

import typer

from perceiver_graph.cli import faults, screen
from perceiver_graph.cli.options import Debug, Extensions, Overrides, shipped
from perceiver_graph.diagnostics.errors import DiagnosticError
from perceiver_graph.diagnostics.model import Diagnostic
from perceiver_graph.diagnostics.render import Format, render


def check_command(
    specs: Annotated[
        list[str],
        typer.Argument(
            metavar="SPEC",
            help="YAML files, `-` for standard input, or names of shipped specs.",
            autocompletion=shipped,
        ),
    ],
    format: Annotated[
        Format,
        typer.Option(
            "--format",
            help="full and concise go to stderr; json and github, for programs, to stdout.",
        ),
    ] = "full",
    overrides: Overrides = None,
    extensions: Extensions = None,
    debug: Debug = False,
) -> None:
    """Check specs: syntax, names, shapes, divisibility. Needs no weights and no backend."""
    found: list[Diagnostic] = []
    fine: list[str] = []
    for spec in dict.fromkeys(specs):
        try:
            summary, warnings = _summary(spec, overrides or ())
            fine.append(f"{spec}: ok, {summary}")
            found.extend(warnings)
        except DiagnosticError as error:
            found.extend(error.diagnostics)
    if format in {"json", "github"}:
        screen.exactly(render(found, format=format))
    else:
        screen.lines(fine)
        sys.stdout.flush()
        faults.print_diagnostics(found, format)
    if any(one.severity == "error" for one in found):
        raise typer.Exit(faults.WRONG_INPUT)


def _summary(spec: str, overrides: Sequence[str]) -> tuple[str, tuple[Diagnostic, ...]]:
    """Lower the spec, which raises DiagnosticError for all that is wrong with it; and warnings."""
    from perceiver_graph.compiler.lowering.checked import lower_spec

    lowered = lower_spec(spec, overrides)
    tokens, width = lowered.input_array
    summary = (
        f"{screen.count(lowered.graph.parameter_count)} parameters, "
        f"inputs {tokens} x {width}, latents {lowered.latents[0]} x {lowered.latents[1]}"
        f"{lowered.each}"
    )
    return summary, lowered.warnings
