"""`perceiver-graph batch`: an artifact on many files, by several processes or on a cluster."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from perceiver_graph.choices import BatchEngine
from perceiver_graph.cli import prepared, screen, usage
from perceiver_graph.cli.checkpoints import published
from perceiver_graph.cli.options import (
    Debug,
    Decode,
    Device,
    Names,
    ShareWeights,
    Sizes,
    bytes_of,
    memory_of,
    threads_of,
)
from perceiver_graph.diagnostics.commands import option
from perceiver_graph.diagnostics.errors import DiagnosticError
from perceiver_graph.diagnostics.model import make

if TYPE_CHECKING:
    from perceiver_graph.cluster.batch import Totals


def batch_command(
    artifact: Annotated[
        str,
        typer.Argument(
            metavar="ARTIFACT",
            help="A folder that `compile` has written, or a model of the Hugging Face hub.",
            autocompletion=published,
        ),
    ],
    inputs: Annotated[
        list[str],
        typer.Argument(
            metavar="INPUT",
            help="Files, folders of them, patterns in quotes ('clips/**/*.mp4'), and tables (.jsonl, "
            ".parquet) that have a column for each input. Arrays: an .npz file for each run, or columns "
            "that name .npy files or have the numbers.",
        ),
    ],
    output: Annotated[
        Path,
        typer.Option("-o", "--output", metavar="DIR", help="The folder for a folder of each."),
    ] = Path("out"),
    table: Annotated[
        Path | None,
        typer.Option(
            "--table",
            metavar="FILE",
            help="All results as a table, too: .parquet or .jsonl, a row for each input.",
        ),
    ] = None,
    engine: Annotated[
        BatchEngine,
        typer.Option(
            "--on",
            "--engine",
            help="Who does it: processes of this machine, or a Ray cluster (--engine is the older name).",
        ),
    ] = "local",
    workers: Annotated[
        int | None,
        typer.Option(
            "--workers",
            min=1,
            metavar="NUMBER",
            help="How many processes [one a core, as far as there is memory].",
        ),
    ] = None,
    threads: Annotated[int | None, threads_of("Of each process [cores by processes].")] = None,
    batch: Annotated[
        int | None,
        typer.Option(
            "--batch",
            min=1,
            metavar="NUMBER",
            help="The most pieces of equal shapes in a call [1 on a CPU, 8 on CUDA].",
        ),
    ] = None,
    decode: Decode = None,
    size: Sizes = None,
    names: Names = None,
    device: Device = "auto",
    memory: Annotated[str | None, memory_of("Budget of a process")] = None,
    extension: Annotated[
        list[Path] | None,
        typer.Option(
            "--extension",
            metavar="FILE.py",
            help="Run a Python file that defines media or steps, in each process.",
        ),
    ] = None,
    share_weights: ShareWeights = False,
    debug: Debug = False,
) -> None:
    """Run a compiled model on many files, and go on where an earlier run has stopped.

    Each file gets a folder. A file that cannot be run on is told, and the rest is done.
    """
    from perceiver_graph.cluster import run_batch

    budget = bytes_of(memory)
    if output.is_file():
        message = "the results go to a folder, and `-o` names a file"
        raise usage.wrong(message, f"choose another place: {option('-o', 'DIR')}")
    folder = prepared.artifact(artifact, "cuda" if device == "cuda" else "cpu")
    with screen.bar("checking files") as checking, screen.bar("running") as progress:
        totals = run_batch(
            folder,
            inputs,
            output,
            engine=engine,
            workers=workers,
            threads=threads,
            batch=batch,
            decode=decode or (),
            sizes=size or (),
            names=names or (),
            memory=budget,
            device=device,
            extensions=extension or (),
            share_weights=share_weights,
            table=table,
            checking=checking,
            progress=lambda done, total, failed: progress(
                done, total, f"({failed} failed)" if failed else ""
            ),
        )
    screen.notes(totals.notes)
    _tell(totals, output)


def _tell(totals: Totals, output: Path) -> None:
    """What became of it; raises DiagnosticError (PG521) where something failed."""
    before = f", {screen.count(totals.before)} were done before" if totals.before else ""
    screen.say(
        f"{output}: {screen.count(totals.done)} of {screen.count(totals.items)} done{before}"
    )
    if not totals.failed:
        return
    failures = sorted(totals.failures, key=lambda one: one.name)
    shown = [f"{one.name}: {one.code}: {one.message}" for one in failures]
    more = totals.failed - len(shown)
    raise DiagnosticError(
        make(
            "PG521",
            f"{screen.count(totals.failed)} of {screen.count(totals.items)} inputs could not be run on",
            notes=[*shown, *([f"and {screen.count(more)} more"] if more else [])],
            help=f"{output / 'batch.jsonl'} has all of them; the same command tries them again, and "
            "does not do again what is done",
        )
    )
