"""`perceiver-graph serve`: artifacts over HTTP and gRPC."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from perceiver_graph.cli import prepared, screen, usage
from perceiver_graph.cli.checkpoints import published
from perceiver_graph.cli.options import (
    Debug,
    Device,
    Extensions,
    ShareWeights,
    bytes_of,
    threads_of,
)
from perceiver_graph.diagnostics.commands import command
from perceiver_graph.diagnostics.text import quote
from perceiver_graph.storage.files import is_here

if TYPE_CHECKING:
    from perceiver_graph.runtime.program import Program
    from perceiver_graph.serving.models import Models

_NAMED = re.compile(r"([A-Za-z0-9][A-Za-z0-9_.-]{0,99})=(.+)", re.S)


def serve_command(
    artifacts: Annotated[
        list[str],
        typer.Argument(
            metavar="ARTIFACT",
            help="Folders that `compile` has written, or models of the Hugging Face hub; "
            "NAME=ARTIFACT says what one is called.",
            autocompletion=published,
        ),
    ],
    host: Annotated[
        str,
        typer.Option(
            "--host", metavar="ADDRESS", help="Who may ask. 0.0.0.0: whoever reaches this machine."
        ),
    ] = "127.0.0.1",
    port: Annotated[
        int,
        typer.Option(
            "--port", min=0, max=65535, metavar="NUMBER", help="Of HTTP; 0 is any that is free."
        ),
    ] = 8000,
    grpc_port: Annotated[
        int | None,
        typer.Option(
            "--grpc-port", min=0, max=65535, metavar="NUMBER", help="Of gRPC, if it is served too."
        ),
    ] = None,
    threads: Annotated[int | None, threads_of("Of a call [all cores].")] = None,
    batch: Annotated[
        int,
        typer.Option(
            "--batch",
            min=1,
            metavar="NUMBER",
            help="The most batch elements of several requests that are put together.",
        ),
    ] = 1,
    batch_delay: Annotated[
        float,
        typer.Option(
            "--batch-delay",
            min=0,
            max=60_000,
            metavar="MS",
            help="How long a request waits for others to go with.",
        ),
    ] = 5.0,
    max_request_bytes: Annotated[
        str,
        typer.Option("--max-request-bytes", metavar="SIZE", help="The largest request: 64MiB."),
    ] = "64MiB",
    timeout: Annotated[
        float,
        typer.Option(
            "--timeout", min=0.001, max=86_400, metavar="SECONDS", help="The longest for an answer."
        ),
    ] = 60.0,
    queue: Annotated[
        int,
        typer.Option(
            "--queue", min=1, metavar="NUMBER", help="The most requests that are inside at once."
        ),
    ] = 256,
    states: Annotated[
        int,
        typer.Option(
            "--states",
            min=0,
            metavar="NUMBER",
            help="How many states are kept of each model, to encode once and decode often.",
        ),
    ] = 0,
    state_seconds: Annotated[
        float,
        typer.Option(
            "--state-seconds",
            min=0.001,
            max=864_000,
            metavar="SECONDS",
            help="How long a state is kept that is not used.",
        ),
    ] = 300.0,
    device: Device = "auto",
    extensions: Extensions = None,
    share_weights: ShareWeights = False,
    debug: Debug = False,
) -> None:
    """Serve compiled models over HTTP and gRPC, by the Open Inference Protocol v2, until Ctrl-C."""
    from perceiver_graph.serving.limits import Limits
    from perceiver_graph.serving.server import Batching, Places, require, serve

    most = bytes_of(max_request_bytes, "--max-request-bytes") or 0
    if not any(map(_is_another, artifacts)):
        require()
    programs = _programs(artifacts, device, threads, share_weights)

    def began(http: str, grpc: str | None, models: Models) -> None:
        for name in models.names:
            together = models[name].batch
            rest = f"up to {together} together" if together > 1 else "requests one by one"
            screen.say(f"{name}: {http}/v2/models/{name}, {rest}")
        if grpc is not None:
            screen.say(f"gRPC: {grpc}")
        screen.say(f"a page to try them: {http}/")
        sys.stdout.flush()

    serve(
        programs,
        Places(host, port, grpc_port),
        limits=Limits(most, timeout, queue, states, state_seconds),
        batching=Batching(batch, batch_delay / 1000),
        began=began,
        say=lambda text: screen.notes([text]),
    )


def _is_another(text: str) -> bool:
    """Whether something is here, and is no artifact: that is told before what is to be installed."""
    from perceiver_graph.spec.manifest import MANIFEST_NAME

    named = None if is_here(text) else _NAMED.fullmatch(text)
    where = Path(named[2] if named else text)
    return is_here(where) and not is_here(where / MANIFEST_NAME)


def _programs(
    artifacts: list[str], device: Device, threads: int | None, share_weights: bool
) -> dict[str, Program]:
    """What is served by name. Raises DiagnosticError as `load`, and UsageError for a name twice."""
    from perceiver_graph.runtime.program import load

    found: dict[str, Program] = {}
    for text in artifacts:
        named = None if Path(text).is_dir() else _NAMED.fullmatch(text)
        where = named[2] if named else text
        folder = prepared.artifact(where, "cuda" if device == "cuda" else "cpu")
        with screen.bar("checking files") as progress:
            program = load(
                folder,
                device=device,
                threads=threads,
                share_weights=share_weights,
                progress=progress,
            )
        name = named[1] if named else program.manifest.name
        if name in found:
            message = f"two models are called {quote(name)}"
            help = f"give them names: {command('serve', 'a=ARTIFACT', 'b=ARTIFACT')}"
            raise usage.wrong(message, help)
        found[name] = program
    return found
