"""`perceiver-graph explain`: what a diagnostic code means, with an example that is right."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from perceiver_graph.cli import screen, usage
from perceiver_graph.cli.options import Debug
from perceiver_graph.diagnostics.catalog import CATALOG, RANGES, explain
from perceiver_graph.diagnostics.commands import command
from perceiver_graph.diagnostics.text import quote
from perceiver_graph.diagnostics.words import question
from perceiver_graph.storage.files import is_here

_CODE = re.compile(r"(?:(?:error|warning|note)?\[)?(?:PG)?[ -]?0*([0-9]{1,3})\]?:?", re.I | re.A)
_INSIDE = re.compile(r"(?<![A-Za-z0-9])PG[0-9]{3}(?![A-Za-z0-9])", re.I | re.A)
_DIGITS = str.maketrans("OIL", "011")
_MOST = 3  # codes that are suggested; a code with more neighbours than that is no slip


def explain_command(
    codes: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="CODE",
            help="For example PG204, or a message that has it; none: list all codes.",
        ),
    ] = None,
    debug: Debug = False,
) -> None:
    """Explain a diagnostic code, or list all of them."""
    if not codes:
        _list()
        return
    found = [*dict.fromkeys(_named(codes))]
    for number, code in enumerate(found):
        if number:
            screen.say()
        screen.exactly(explain(code, min(88, screen.width())))


def _named(words: Sequence[str]) -> list[str]:
    """The codes that words, or a message that was pasted, name. Raises UsageError."""
    whole = " ".join(words)
    if _CODE.fullmatch(whole.strip()):  # `PG 203` as two words
        return [_known(whole)]
    if inside := [found for found in _INSIDE.findall(whole) if found.upper() in CATALOG]:
        return [code.upper() for code in inside]
    return [_known(word) for word in words]


def _known(code: str) -> str:
    if (whole := _whole(code)) not in CATALOG:
        raise _no_code(code)
    return whole


def _whole(code: str) -> str:
    """`203`, `pg203`, `PG203`, `PG 203` and `error[PG203]` are one code; `15` is PG015."""
    found = _CODE.fullmatch(code.strip())
    return f"PG{int(found[1]):03}" if found else code.strip().upper()


def _no_code(code: str) -> usage.UsageError:
    found = _CODE.fullmatch(code.strip())
    typed = (f"PG{found[1]}" if found else code.strip().upper()).translate(_DIGITS)
    near = [typed] if typed in CATALOG else [one for one in CATALOG if _is_a_slip(typed, one)]
    message, listed = f"there is no code {quote(code)}", f"{command('explain')} lists all codes"
    if 0 < len(near) <= _MOST:
        return usage.wrong(message, f"{question(near)} {listed}")
    if told := _no_message(code):
        return usage.wrong(message, f"{told} {listed}")
    for length in range(len(typed), len("PG"), -1):
        if alike := sorted(one for one in CATALOG if one.startswith(typed[:length])):
            note = f"codes that begin with {typed[:length]} are {alike[0]} to {alike[-1]}"
            return usage.wrong(message, listed, [note])
    return usage.wrong(message, listed)


def _no_message(word: str) -> str | None:
    """What is meant by a spec, an artifact or a word that asks for all."""
    from perceiver_graph.spec.loader import shipped_names
    from perceiver_graph.spec.manifest import SPEC_NAME

    spec = Path(word, SPEC_NAME) if is_here(Path(word, SPEC_NAME)) else Path(word)
    if not word.strip():
        return None
    if word in shipped_names() or is_here(spec) or spec.suffix in (".yaml", ".yml"):
        return f"a spec is shown by {command('inspect', spec)};"
    return None


def _is_a_slip(code: str, known: str) -> bool:
    """Whether a character is wrong, missing or too much, or two were swapped; or nothing is."""
    different = [pair for pair in zip(code, known, strict=False) if pair[0] != pair[1]]
    if len(code) == len(known):
        return len(different) < 2 or (len(different) == 2 and sorted(code) == sorted(known))
    longer, shorter = sorted((code, known), key=len, reverse=True)
    return any(longer[:i] + longer[i + 1 :] == shorter for i in range(len(longer)))


def _list() -> None:
    for number, (title, entries) in enumerate(RANGES.items()):
        if number:
            screen.say()
        screen.heading(title)
        for entry in entries:
            screen.say(f"  {entry.code}  {entry.title}")
