"""`perceiver-graph compile`: a spec and its weights become a folder that runs."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, cast

import typer

from perceiver_graph.choices import Precision, TargetName
from perceiver_graph.cli import choices, screen, usage
from perceiver_graph.cli import precision as numbers
from perceiver_graph.cli.options import (
    Debug,
    Extensions,
    Level,
    Memory,
    Overrides,
    SpecArgument,
    bytes_of,
)
from perceiver_graph.diagnostics import escape
from perceiver_graph.diagnostics.commands import command, option
from perceiver_graph.diagnostics.errors import DiagnosticError, Report
from perceiver_graph.diagnostics.text import quote
from perceiver_graph.diagnostics.words import closest, question

if TYPE_CHECKING:
    from perceiver_graph.compiler.backends.onnx.trial import Sample
    from perceiver_graph.compiler.driver import Compiled
    from perceiver_graph.spec.manifest import Generation, Manifest


def compile_command(
    spec: SpecArgument,
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", metavar="DIR", help="The folder to write [build/NAME]."),
    ] = None,
    backend: Annotated[
        Literal["onnx", "torch", "all"],  # and what extensions define
        typer.Option(
            "--backend",
            metavar="<onnx|torch|all>",
            parser=str,
            help="onnx: to run. torch: to train, one file that needs only torch.",
        ),
    ] = "onnx",
    weights: Annotated[
        Path | None,
        typer.Option("--weights", metavar="PATH", help="A weight file or a checkpoint folder."),
    ] = None,
    seed: Annotated[
        int | None,
        typer.Option(
            "--seed", min=0, metavar="N", help="Without weights: what they are drawn from [0]."
        ),
    ] = None,
    target: Annotated[
        TargetName,
        typer.Option(
            "--device",
            "--target",
            help="What will run it; others do too, only slower. onnx-standard: operators of ai.onnx alone.",
        ),
    ] = "cpu",
    precision: Annotated[
        Precision,
        typer.Option(
            "--precision",
            help="Of weights and arithmetic. cpu, onnx-standard: fp32, int8. cuda: fp32, fp16, bf16. "
            "openvino: fp32, bf16.",
        ),
    ] = "fp32",
    calibrate: Annotated[
        Path | None,
        typer.Option(
            "--calibrate",
            metavar="IN.npz",
            help="int8: arrays as for `run --inputs` to measure accuracy on [random].",
        ),
    ] = None,
    level: Level = 2,
    overrides: Overrides = None,
    memory: Memory = None,
    attention: Annotated[
        bool,
        typer.Option(
            "--attention",
            help="Write what shows attention, too: which inputs latents read, which latents outputs.",
        ),
    ] = False,
    verify: Annotated[
        bool, typer.Option("--verify", help="Check the graph after every pass.")
    ] = False,
    dump_ir: Annotated[
        Path | None,
        typer.Option("--dump-ir", metavar="DIR", help="Write the graph as text after every pass."),
    ] = None,
    extensions: Extensions = None,
    debug: Debug = False,
) -> None:
    """Compile a spec to a folder with programs, weights and a manifest.

    The folder appears whole or not at all. Without --weights, weights are initialised from the
    seed as the reference does; trained ones that lie there are replaced so only where --seed is given.
    """
    numbers.require_sense(precision, backend, calibrate)
    from perceiver_graph.compiler import driver

    backends = _backends(backend)
    began = time.monotonic()
    compiled = driver.compile(
        spec,
        overrides=overrides or (),
        level=cast(Literal[0, 1, 2], level),
        target=target,
        precision=precision,
        memory=bytes_of(memory),
        attention=attention,
        verify=verify,
        dump_ir=dump_ir,
    )
    directory = output or Path("build") / compiled.lowered.document.spec.name
    sample = numbers.read_sample(compiled, calibrate) if calibrate else None
    report = Report()
    manifest = _save(compiled, directory, backends, weights, seed, sample, report)
    told = (*compiled.lowered.warnings, *report.diagnostics)
    screen.notes(found.message for found in told)
    _report(manifest, directory, time.monotonic() - began)
    if len(backends) > 1:
        flops = screen.scaled(compiled.module_flops)
        screen.say(f"model.py, to train: {flops} FLOPs for the same")
    if compiled.memory is not None:
        screen.say(compiled.plan.text(compiled.memory))
    screen.say(f"next: {_next(manifest, directory)}")


def _backends(name: str) -> Sequence[str]:
    """The backends that a name stands for."""
    from perceiver_graph.compiler.backends.base import BACKENDS
    from perceiver_graph.extensions import load_installed

    if name not in BACKENDS:
        load_installed()
    if name in BACKENDS:
        return (name,)
    if name == "all":
        return tuple(BACKENDS)
    known = [*BACKENDS, "all"]
    *most, last = (f"`{one}`" for one in known)
    raise usage.wrong(
        f"`--backend` takes {', '.join(most)} or {last}, not {quote(name)}",
        help=(
            choices.backend(name)
            or question(closest(name, known))
            or f"write {option('--backend', 'onnx')};"
        )
        + f" {command('compile', '--help')} says more",
        notes=[f"an extension may define others: {option('--extension', 'FILE.py')}"],
    )


def _save(
    compiled: Compiled,
    directory: Path,
    backends: Sequence[str],
    weights: Path | None,
    seed: int | None,
    sample: Sample | None,
    report: Report,
) -> Manifest:
    """Write the artifact. A graph that a pass has broken is PG902, not a traceback."""
    from perceiver_graph.compiler.ir.verify import VerificationError
    from perceiver_graph.compiler.passes.pipeline import PassError

    try:
        with screen.progress() as progress:
            return compiled.save(
                directory,
                backends=backends,
                weights=weights,
                seed=seed,
                sample=sample,
                progress=progress,
                report=report,
            )
    except (PassError, VerificationError) as error:
        message, *rest = str(error).splitlines()
        raise DiagnosticError.of(
            "PG902",
            message,
            notes=["this is a defect of perceiver-graph: please report it", *rest],
            help="`-O 0` avoids most passes",
        ) from error


def _report(manifest: Manifest, directory: Path, seconds: float) -> None:
    from perceiver_graph.spec.manifest import arrays

    screen.heading(f"{directory}", f"{manifest.name}, weights: {manifest.weights}, {seconds:.1f} s")
    files = sorted(manifest.files.items())
    rows = [(name, screen.size(entry.bytes)) for name, entry in files]
    rows.append(("all files", screen.size(sum(entry.bytes for _, entry in files))))
    screen.rows(rows)
    for title, rows_of in (
        ("inputs", arrays(manifest.inputs)),
        ("outputs", arrays(manifest.outputs)),
    ):
        screen.say(title)
        screen.rows(rows_of)
    screen.say(
        f"{screen.count(manifest.parameters)} parameters, {screen.scaled(manifest.flops)} FLOPs "
        "for one encode and every query"
    )
    screen.lines(numbers.report(manifest))


def _next(manifest: Manifest, directory: Path) -> str:
    if "onnx" not in manifest.backends:
        if "torch" in manifest.backends:
            return f"train {escape.shell_path(directory / 'model.py')}, which needs only torch"
        return f"use what is in {escape.shell_path(directory)}"
    artifact = escape.shell_path(directory)
    from perceiver_graph.media.base import InputMedia

    media = {name: e.media for name, e in manifest.inputs.items() if e.media}
    order = [*InputMedia.forms]
    shown = sorted(media.items(), key=lambda item: order.index(item[1].key))
    files = shown[0][1].example if shown else None
    if manifest.generation is not None and manifest.generation.refused is None:
        return _next_text(manifest.generation, manifest, artifact)
    if len(shown) > 1 and not all(one.stream for _, one in shown):  # a file would fit several
        files = " ".join(f"{name}={one.example}" for name, one in shown)
    if files is None:
        return f"perceiver-graph run {artifact} --inputs IN.npz -o OUT.npz"
    return f"perceiver-graph run {artifact} {files}{_arrays_beside(manifest)} -o out"


def _arrays_beside(manifest: Manifest) -> str:
    """How the arrays are given that are needed beside files: each by its name, or in one archive where
    that is as short."""
    others = ((name, entry) for name, entry in manifest.inputs.items() if entry.media is None)
    needed = [name for name, entry in others if entry.mask == "never" or entry.points_of]
    return min(
        " --inputs REST.npz" * bool(needed), "".join(f" {n}=FILE.npy" for n in needed), key=len
    )


def _next_text(known: Generation, manifest: Manifest, artifact: str) -> str:
    """How a model that writes goes on: with a text, or with ids where nothing makes ids of a text."""
    given = "--inputs IN.npz" if manifest.inputs[known.text].media is None else '"Once upon a time"'
    return f"perceiver-graph run {artifact} {given} --generate 100"
