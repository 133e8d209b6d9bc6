"""`run --generate`: a causal model goes on with a text, which is printed as it comes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import inf
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from perceiver_graph.cli import screen, usage
from perceiver_graph.diagnostics.commands import option

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from perceiver_graph.runtime.program import Program
    from perceiver_graph.spec.manifest import Manifest

Generate = Annotated[
    int | None,
    typer.Option(
        "--generate",
        min=0,
        metavar="TOKENS",
        help="Let a causal model go on with a text, by so many tokens at most, and print it.",
    ),
]
Temperature = Annotated[
    float | None,
    typer.Option(
        "--temperature",
        min=0,
        metavar="NUMBER",
        help="Of --generate: 0 takes the most probable token [1].",
    ),
]
TopP = Annotated[
    float | None,
    typer.Option(
        "--top-p",
        metavar="SHARE",
        help="Of --generate: the most probable tokens, as few as have this share, above 0 and at most 1 [1].",
    ),
]
TopK = Annotated[
    int | None,
    typer.Option(
        "--top-k",
        min=1,
        metavar="NUMBER",
        help="Of --generate: so many of the most probable tokens [all].",
    ),
]


def check_usage(
    tokens: int | None,
    settings: Mapping[str, float | None],
    others: Mapping[str, object],
    files: Sequence[str] | None,
    inputs: Path | None,
) -> None:
    """Refuse what does not go together: `settings` are for texts that are written, `others` are not."""
    if tokens is None:
        if given := next((name for name, value in settings.items() if value is not None), None):
            message = f"`--{given.replace('_', '-')}` is for texts that a model writes, and none is asked for"
            raise usage.wrong(message, f"leave it out, or add {option('--generate', '200')}")
        return
    if given := next((name for name, value in others.items() if value), None):
        message = f"`{given}` does not go with `--generate`, which prints a text and nothing else"
        raise usage.wrong(message, "leave it out")
    if settings["temperature"] == inf:
        raise usage.wrong(
            "`--temperature` is inf", "it is a number of 0 or more: 1 takes scores as they are"
        )
    if (share := settings["top_p"]) is not None and not 0 < share <= 1:
        raise usage.wrong(f"`--top-p` is {share}", "it is above 0, and at most 1")
    if not files and inputs is None:
        message = "there is no text to go on with"
        ids = f"or ids, {option('--inputs', 'IDS.npz')}"
        raise usage.wrong(message, f'give one: "Once upon a time", a .txt file, `-`; {ids}')


def manifest(program: Program) -> Manifest:
    """What a program takes that writes: texts as short as one token, too."""
    from perceiver_graph.runtime.generation import any_length, require_writing

    return any_length(program.manifest, require_writing(program.manifest))


def write_ids(
    program: Program, arrays: Mapping[str, NDArray[Any]], tokens: int, settings: Mapping[str, Any]
) -> None:
    """Print the ids with which the model goes on, a line for each token, as they come."""
    from perceiver_graph.runtime.prompts import read_ids

    ids, others = read_ids(program.manifest, arrays)
    said = {name: value for name, value in settings.items() if value is not None}
    found = program.generate(ids, tokens, inputs=others, **said)
    with screen.running_text() as show:
        for one in found:
            show(" ".join(map(str, one)) + "\n")


def write(
    program: Program,
    files: Sequence[str | Path],
    arrays: Mapping[str, NDArray[Any]],
    tokens: int,
    settings: Mapping[str, Any],
) -> None:
    """Print the text that is given, and how the model goes on, as it comes."""
    from perceiver_graph.runtime.prompts import read_prompt

    prompt = read_prompt(program.manifest, files, arrays)
    said = {name: value for name, value in settings.items() if value is not None}
    pieces = prompt.continued(program, tokens, **said)
    screen.notes(prompt.notes)
    with screen.running_text() as show:
        show(prompt.text)
        for piece in pieces:
            show(piece)
