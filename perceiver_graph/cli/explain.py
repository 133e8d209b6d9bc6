"""`perceiver-graph explain`: what a diagnostic code means, with an example that is right."""

from __future__ import annotations

from typing import Annotated

import typer

from perceiver_graph.cli import screen
from perceiver_graph.cli.options import Debug
from perceiver_graph.diagnostics.catalog import CATALOG, RANGES, explain
from perceiver_graph.diagnostics.words import nearest


def explain_command(
    code: Annotated[
        str | None, typer.Argument(metavar="CODE", help="For example PG204; none: list all codes.")
    ] = None,
    debug: Debug = False,
) -> None:
    """Explain a diagnostic code, or list all of them."""
    if code is None:
        _list()
        return
    known = code.strip().upper()
    if known not in CATALOG:
        guess = nearest(known, CATALOG)
        hint = f" Did you mean {guess}?" if guess else ""
        raise typer.BadParameter(
            f"there is no code {code!r}.{hint} `perceiver-graph explain` lists all codes.",
            param_hint="CODE",
        )
    screen.exactly(explain(known, min(88, screen.width())))


def _list() -> None:
    for number, (title, entries) in enumerate(RANGES.items()):
        if number:
            screen.say()
        screen.heading(title)
        for entry in entries:
            screen.say(f"  {entry.code}  {entry.title}")
