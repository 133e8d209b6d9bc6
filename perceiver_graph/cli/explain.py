"""`perceiver-graph explain`: what a diagnostic code means, with an example that is right."""

from __future__ import annotations

import re
from typing import Annotated

import typer

from perceiver_graph.cli import screen
from perceiver_graph.cli.options import Debug
from perceiver_graph.diagnostics.catalog import CATALOG, RANGES, explain
from perceiver_graph.diagnostics.commands import command
from perceiver_graph.diagnostics.words import closest

_CODE = re.compile(r"(?:(?:error|warning|note)?\[)?(?:PG)?[ -]?0*([0-9]{1,3})\]?:?", re.I | re.A)
_MOST = 3  # codes that are suggested


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
    known = _whole(code)
    if known not in CATALOG:
        near = closest(known, CATALOG, _MOST)
        hint = f" Did you mean {' or '.join(near)}?" if near else ""
        raise typer.BadParameter(
            f"there is no code {code!r}.{hint} {command('explain')} lists all codes.",
            param_hint="CODE",
        )
    screen.exactly(explain(known, min(88, screen.width())))


def _whole(code: str) -> str:
    """`203`, `pg203`, `PG203`, `PG 203` and `error[PG203]` are one code; `15` is PG015."""
    found = _CODE.fullmatch(code.strip())
    return f"PG{int(found[1]):03}" if found else code.strip().upper()


def _list() -> None:
    for number, (title, entries) in enumerate(RANGES.items()):
        if number:
            screen.say()
        screen.heading(title)
        for entry in entries:
            screen.say(f"  {entry.code}  {entry.title}")
