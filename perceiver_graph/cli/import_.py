"""`perceiver-graph import`: a checkpoint of another library becomes a spec and weights."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from perceiver_graph.cli import checkpoints, screen
from perceiver_graph.cli.options import Debug
from perceiver_graph.diagnostics import escape
from perceiver_graph.diagnostics.commands import option
from perceiver_graph.diagnostics.errors import DiagnosticError
from perceiver_graph.diagnostics.text import quote

if TYPE_CHECKING:
    from perceiver_graph.compiler.importing import Imported


def import_command(
    checkpoint: Annotated[
        str,
        typer.Argument(
            metavar="CHECKPOINT",
            help="A transformers folder, a .safetensors file, a .pystate or .pickle file that "
            "DeepMind released, or the name of a model on the Hugging Face hub. "
            "A Perceiver that is a part of another system is told by its names.",
            autocompletion=checkpoints.published,
        ),
    ],
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", metavar="DIR", help="The folder to write [imported/NAME]."),
    ] = None,
    model_class: Annotated[
        str | None,
        typer.Option(
            "--model-class",
            metavar="CLASS",
            help="Which model it is, where that cannot be told: PerceiverForMaskedLM.",
        ),
    ] = None,
    config: Annotated[
        Path | None,
        typer.Option("--config", metavar="FILE", help="Its config.json, if not beside it."),
    ] = None,
    prefix: Annotated[
        str,
        typer.Option(
            "--prefix", metavar="TEXT", help="Read only tensors whose names begin with this."
        ),
    ] = "",
    name: Annotated[
        str | None,
        typer.Option("--name", metavar="NAME", help="What the model is called in the spec."),
    ] = None,
    image_size: Annotated[
        str | None,
        typer.Option("--image-size", metavar="HxW", help="The size of pictures: 224x224."),
    ] = None,
    replace_head: Annotated[
        list[str] | None,
        typer.Option(
            "--replace-head",
            metavar="OUTPUT=CLASSES",
            help="Start a new head of so many classes for an output: label=10.",
        ),
    ] = None,
    seed: Annotated[
        int,
        typer.Option("--seed", min=0, metavar="N", help="What new heads are drawn from."),
    ] = 0,
    settings: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="KEY=VALUE",
            help="What no tensor tells of a part of another system: encode.heads=12.",
        ),
    ] = None,
    revision: checkpoints.Revision = None,
    cache: checkpoints.Cache = None,
    token: checkpoints.Token = None,
    offline: checkpoints.Offline = False,
    debug: Debug = False,
) -> None:
    """Turn a checkpoint into a spec and weights that compile.

    The folder gets spec.yaml and weights.safetensors, and appears whole or not at all. No code of
    a pickle runs. A model of the hub is downloaded once: deepmind/language-perceiver.
    """
    heads = _heads(replace_head or ())
    size = _size(image_size) if image_size is not None else None
    from perceiver_graph.compiler.importing import import_checkpoint, save
    from perceiver_graph.compiler.importing.writing import IMPORTED
    from perceiver_graph.storage import refuse_foreign

    if output is not None:
        refuse_foreign(output, IMPORTED)
    hub = checkpoints.Hub(revision, cache, token, offline)
    found = checkpoints.find(checkpoint, hub, whatever=bool(prefix))
    with screen.progress() as progress, checkpoints.also_named(checkpoint):
        progress("reading the checkpoint")
        imported = import_checkpoint(
            found,
            model_class=model_class,
            config=config,
            prefix=prefix,
            name=name,
            image_size=size,
            replace_heads=heads,
            seed=seed,
            settings=settings or (),
        )
        directory = output or Path("imported") / imported.name
        progress("writing")
        save(imported, directory)
    _report(imported, directory)


def _report(imported: Imported, directory: Path) -> None:
    screen.notes(imported.notes)
    screen.heading(f"{directory}", imported.source)
    count = sum(value.size for value in imported.weights.values())
    screen.say(f"  spec.yaml            {len(imported.spec_text.splitlines())} lines")
    screen.say(f"  weights.safetensors  {screen.count(count)} parameters, {screen.size(4 * count)}")
    spec, weights = (escape.shell_path(directory / n) for n in ("spec.yaml", "weights.safetensors"))
    screen.say(f"next: perceiver-graph compile {spec} --weights {weights}")


def _heads(given: Sequence[str]) -> dict[str, int]:
    """The outputs with new heads, and their classes. Raises DiagnosticError (PG313)."""
    heads = {}
    for text in given:
        match = re.fullmatch(r"([^=]+)=([0-9]{1,10})", text, re.ASCII)
        if match is None:
            raise DiagnosticError.of(
                "PG313",
                f"{quote(text)} does not say which output gets a head of how many classes",
                help=f"write {option('--replace-head', 'OUTPUT=CLASSES')}, for example `label=10`",
            )
        heads[match[1].strip()] = int(match[2])
    return heads


def _size(text: str) -> tuple[int, int]:
    """Height and width. Raises DiagnosticError (PG310)."""
    match = re.fullmatch(r"([1-9][0-9]{0,5})(?:x([1-9][0-9]{0,5}))?", text, re.ASCII)
    if match is None:
        raise DiagnosticError.of(
            "PG310",
            f"{quote(text)} is no size of pictures",
            help=f"write height and width: {option('--image-size', '224x224')}",
        )
    return int(match[1]), int(match[2] or match[1])
