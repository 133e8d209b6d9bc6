"""`perceiver-graph export`: a spec and its weights become a checkpoint of another library."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from perceiver_graph.cli import screen
from perceiver_graph.cli.options import Debug, Extensions, Overrides
from perceiver_graph.diagnostics import escape
from perceiver_graph.diagnostics.commands import command, option
from perceiver_graph.diagnostics.errors import DiagnosticError, Report
from perceiver_graph.diagnostics.text import quote


def export_command(
    source: Annotated[
        str,
        typer.Argument(
            metavar="SOURCE",
            help="A folder with a spec and its weights, as `import` and `compile --backend torch` "
            "write them, or a SPEC.",
        ),
    ],
    to: Annotated[
        Literal["transformers"], typer.Option("--to", help="The library that is to read it.")
    ] = "transformers",
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", metavar="DIR", help="The folder to write [exported/NAME]."),
    ] = None,
    weights: Annotated[
        Path | None,
        typer.Option(
            "--weights", metavar="PATH", help="Trained weights, instead of those in the folder."
        ),
    ] = None,
    overrides: Overrides = None,
    extensions: Extensions = None,
    debug: Debug = False,
) -> None:
    """Write a trained model as transformers does: its `from_pretrained` loads the folder.

    The folder gets config.json and model.safetensors, and appears whole or not at all.
    """
    from perceiver_graph.compiler import driver
    from perceiver_graph.compiler.exporting import save, to_transformers
    from perceiver_graph.compiler.exporting.writing import EXPORTED
    from perceiver_graph.storage import refuse_foreign

    spec, found = _parts(source, weights)
    compiled = driver.compile(spec, overrides=overrides or ())
    directory = output or Path("exported") / compiled.lowered.document.spec.name
    refuse_foreign(directory, EXPORTED)
    report = Report()
    with screen.progress() as progress:
        progress("reading weights")
        values = compiled.weights(found, report=report)
        exported = to_transformers(compiled.lowered, values)
        progress("writing")
        save(exported, directory)
    screen.notes([*(one.message for one in report.diagnostics), *exported.notes])
    count = sum(value.size for value in values.values())
    screen.heading(f"{directory}", f"{exported.model_class} of {to}")
    screen.say(f"  config.json        {len(exported.config)} settings")
    screen.say(f"  model.safetensors  {screen.count(count)} parameters, {screen.size(4 * count)}")
    folder = escape.json(str(directory), indent=None, end="")
    screen.say(f"next: transformers.{exported.model_class}.from_pretrained({folder})")


def _parts(source: str, weights: Path | None) -> tuple[str | Path, Path]:
    """The spec and the weights that a word stands for. Raises DiagnosticError (PG301)."""
    from perceiver_graph.compiler.weights.folders import OWN_WEIGHTS
    from perceiver_graph.spec.manifest import SPEC_NAME

    folder = Path(source)
    try:
        is_folder = folder.is_dir()
        spec: str | Path = folder / SPEC_NAME if is_folder else source
        beside = (folder if is_folder else folder.parent) / OWN_WEIGHTS
        if weights is None and (is_folder or folder.is_file()) and beside.is_file():
            weights = beside
    except (OSError, ValueError):  # a name that is too long, a NUL character: no spec either
        spec = source
    if weights is None:
        anew = command("compile", "SPEC", "--weights", "PATH", "--backend", "torch")
        raise DiagnosticError.of(
            "PG301",
            f"{quote(source)} has no {OWN_WEIGHTS}: there are no weights to export",
            notes=["an ONNX artifact holds what its programs compute with, not the weights"],
            help=f"name them with {option('--weights', 'PATH')}; {anew} keeps them in the artifact",
        )
    return spec, weights
