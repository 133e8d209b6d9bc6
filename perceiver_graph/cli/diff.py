"""`perceiver-graph diff`: what changes from one spec to another, in keys, shapes, weights and costs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from perceiver_graph.cli import screen, usage
from perceiver_graph.cli.options import Debug, Extensions, shipped
from perceiver_graph.diagnostics import DiagnosticError, Report, escape
from perceiver_graph.diagnostics.commands import command

if TYPE_CHECKING:
    from perceiver_graph.compiler.lowering.lowered import Lowered
    from perceiver_graph.spec.loader import Document


def diff_command(
    a: Annotated[
        str,
        typer.Argument(
            metavar="A",
            help="A YAML file, `-` for standard input, or the name of a shipped spec.",
            autocompletion=shipped,
        ),
    ],
    b: Annotated[
        str | None,
        typer.Argument(
            metavar="B", help="Another one [A, with what --set says].", autocompletion=shipped
        ),
    ] = None,
    format: Annotated[
        Literal["table", "json"], typer.Option("--format", help="For people, or for programs.")
    ] = "table",
    overrides: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Replace a value of B: latents.count=392."),
    ] = None,
    extensions: Extensions = None,
    debug: Debug = False,
) -> None:
    """Show in what two specs differ: keys, shapes, parameters, FLOPs and memory.

    Values are compared as they resolve, so that a default is the same whether it is written or not.
    What is equal is not shown. A difference is no error: the exit code is 0.
    """
    if b is None and not overrides:
        raise usage.wrong(
            "there is nothing to compare with",
            f"name another spec, or change a value: {command('diff', a, '--set', 'KEY=VALUE')}",
        )
    from perceiver_graph.cli.comparison import Comparison

    b = a if b is None else b
    comparison = Comparison.of(*_lowered(a, b, overrides or ()))
    if format == "json":
        given = {"a": a, "b": b, "set": list(overrides or ())}
        screen.exactly(escape.json(given | comparison.as_json()))
        return
    from perceiver_graph.cli.side_by_side import print_comparison

    print_comparison(comparison, a, b, overrides or ())


def _lowered(a: str, b: str, overrides: Sequence[str]) -> tuple[Lowered, Lowered]:
    """Both specs. Raises DiagnosticError with all that is wrong with either."""
    from perceiver_graph.compiler.lowering.lower import lower
    from perceiver_graph.spec.loader import load_spec, parse_spec

    report, found = Report(), []
    first: Document | None = None
    for spec, changed in ((a, ()), (b, overrides)):
        try:
            if first is not None and spec == a:  # read once, for standard input ends
                document = parse_spec(first.source.text, first.source.path, changed)
            else:
                document = load_spec(spec, changed)
            first = first or document
            found.append(lower(document))
        except DiagnosticError as error:
            report.extend(error.diagnostics)
    report.raise_if_errors()
    return found[0], found[1]
