"""`perceiver-graph export`: a trained model in the form that other programs read."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from perceiver_graph.choices import DeviceKind
from perceiver_graph.cli import screen, usage
from perceiver_graph.cli.options import Debug, Extensions, Overrides, threads_of
from perceiver_graph.diagnostics import escape
from perceiver_graph.diagnostics.commands import command, option, shell
from perceiver_graph.diagnostics.errors import DiagnosticError, Report
from perceiver_graph.diagnostics.text import quote
from perceiver_graph.storage.files import is_here


def export_command(
    source: Annotated[
        str,
        typer.Argument(
            metavar="SOURCE",
            help="A folder with a spec and its weights, as `import` and `compile --backend torch` "
            "write them, or a SPEC; for triton, an ARTIFACT.",
        ),
    ],
    to: Annotated[
        Literal["transformers", "triton"],
        typer.Option("--to", help="What is to read it: a library, or a server."),
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
    batch: Annotated[
        int | None,
        typer.Option(
            "--batch",
            min=0,
            metavar="NUMBER",
            help="Of triton: the most that it puts together [8].",
        ),
    ] = None,
    device: Annotated[
        DeviceKind | None,
        typer.Option("--device", help="Of triton: where it is to run [cpu]."),
    ] = None,
    instances: Annotated[
        int | None,
        typer.Option(
            "--instances", min=1, metavar="NUMBER", help="Of triton: how many of each program [1]."
        ),
    ] = None,
    threads: Annotated[int | None, threads_of("Of triton: of an instance [all cores].")] = None,
    extensions: Extensions = None,
    debug: Debug = False,
) -> None:
    """Write a trained model for others: as transformers does, whose `from_pretrained` loads the folder, or
    as a model repository of Triton.

    The folder appears whole or not at all.
    """
    of_checkpoints = {"--weights": weights, "--set": overrides}
    of_servers = {
        "--batch": batch,
        "--device": device,
        "--instances": instances,
        "--threads": threads,
    }
    wrong = of_checkpoints if to == "triton" else of_servers
    for flag in (flag for flag, value in wrong.items() if value is not None):
        message = f"{quote(flag)} has no meaning for {to}"
        raise usage.wrong(
            message, f"leave it out: {command('export', '--help')} says what it is for"
        )
    if to == "triton":
        _to_triton(source, output, batch, device, instances, threads)
    else:
        _to_transformers(source, output, weights, overrides)


def _to_triton(
    source: str,
    output: Path | None,
    batch: int | None,
    device: DeviceKind | None,
    instances: int | None,
    threads: int | None,
) -> None:
    from perceiver_graph.runtime.artifact import open_artifact
    from perceiver_graph.serving.triton import export

    with screen.bar("checking files") as progress:
        artifact = open_artifact(source, progress=progress)
    directory = output or Path("exported") / artifact.manifest.name
    found = export(
        artifact,
        directory,
        batch=8 if batch is None else batch,
        placement=device or "cpu",
        instances=instances or 1,
        threads=threads,
    )
    screen.heading(f"{directory}", "model repository of Triton")
    for model in found:
        names = ", ".join(port.name for port in model.inputs if port.role != "state")
        together = f"up to {model.batch} together" if model.batch else "one by one"
        screen.say(f"  {model.name}: {names or 'states'}; {together}")
    screen.say(f"next: {shell('tritonserver', '--model-repository', directory)}")


def _to_transformers(
    source: str, output: Path | None, weights: Path | None, overrides: list[str] | None
) -> None:
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
    screen.heading(f"{directory}", f"{exported.model_class} of transformers")
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
    if weights is None and (told := _other(source)):
        raise DiagnosticError.of("PG301", f"{quote(source)} is no spec and no folder", help=told)
    if weights is None:
        anew = command("compile", "SPEC", "--weights", "PATH", "--backend", "torch")
        raise DiagnosticError.of(
            "PG301",
            f"{quote(source)} has no {OWN_WEIGHTS}: there are no weights to export",
            notes=["an ONNX artifact holds what its programs compute with, not the weights"],
            help=f"name them with {option('--weights', 'PATH')}; {anew} keeps them in the artifact",
        )
    return spec, weights


def _other(source: str) -> str | None:
    """What to do with weights alone, an address, or a model of a hub."""
    from perceiver_graph.spec.no_spec import of_a_file, of_a_name

    path = Path(source)
    if is_here(path):
        plain = path.is_dir() or path.suffix in (".yaml", ".yml")
        own = path.suffix in (".safetensors", ".pt", ".pth", ".bin")
        made = command("export", "SPEC", "--weights", path)
        return None if plain else f"with its spec: {made}" if own else of_a_file(path)
    return of_a_name(source)
