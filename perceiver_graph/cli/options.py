"""Options and arguments that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from perceiver_graph.choices import DeviceName
from perceiver_graph.cli import faults, usage
from perceiver_graph.diagnostics.errors import DiagnosticError

Debug = Annotated[
    bool,
    typer.Option(
        "--debug",
        callback=faults.ask_for_tracebacks,
        expose_value=False,
        help=f"Show the traceback of an internal error ({faults.DEBUG_VARIABLE}=1 does the same).",
    ),
]
"""Declared by every command; its callback does the work and the command never sees the value."""


def _load_extensions(ctx: typer.Context, files: list[Path] | None) -> None:
    from perceiver_graph.extensions import extend

    flags = {flag for param in ctx.command.params for flag in param.opts}
    try:
        for file in files or ():
            if str(file) not in flags:  # an option that was taken for a value is told elsewhere
                extend(file)
    except DiagnosticError as error:
        faults.print_diagnostics(error.diagnostics)
        raise typer.Exit(faults.WRONG_INPUT) from None


Extensions = Annotated[
    list[Path] | None,
    typer.Option(
        "--extension",
        metavar="FILE.py",
        callback=_load_extensions,
        is_eager=True,
        expose_value=False,
        help="Run a Python file that defines steps, positions, media, passes or backends.",
    ),
]
"""As `Debug`, declared alone: the files have been run when the command begins."""


def shipped(incomplete: str) -> list[str]:
    """For shell completion: the shipped specs that begin like this."""
    from perceiver_graph.spec.loader import shipped_names

    return [name for name in shipped_names() if name.startswith(incomplete)]


Names = Annotated[
    list[str] | None,
    typer.Option(
        "--names",
        metavar="[OUTPUT=]FILE",
        help="What classes are called: a name on each line.",
    ),
]

ShareWeights = Annotated[
    bool,
    typer.Option(
        "--share-weights",
        help="Keep weights as kernels want them in a file of the cache, once in memory for all processes.",
    ),
]

SpecArgument = Annotated[
    str,
    typer.Argument(
        metavar="SPEC",
        help="A YAML file, `-` for standard input, or the name of a shipped spec.",
        autocompletion=shipped,
    ),
]

Overrides = Annotated[
    list[str] | None,
    typer.Option(
        "--set", metavar="KEY=VALUE", help="Replace a value of the spec: latents.count=392."
    ),
]

Level = Annotated[
    int,
    typer.Option("-O", min=0, max=2, metavar="LEVEL", help="Optimisation level."),
]

OptionalLevel = Annotated[
    int | None,
    typer.Option("-O", min=0, max=2, metavar="LEVEL", help="Optimisation level."),
]

Decode = Annotated[
    list[str] | None,
    typer.Option(
        "--decode",
        metavar="OUTPUT[=START:STOP]",
        help="Decode only this output or these queries.",
    ),
]

Sizes = Annotated[
    list[str] | None,
    typer.Option(
        "--size",
        metavar="NAME=NUMBER",
        help="How large a symbol is that no input says [the largest].",
    ),
]

Device = Annotated[DeviceName, typer.Option("--device", help="Where to run.")]


def threads_of(what: str) -> Any:
    """`--threads`: of what, and how many where it is left out."""
    return typer.Option("--threads", min=1, metavar="NUMBER", help=what)


def memory_of(what: str) -> Any:
    """`--memory`, which `bytes_of` reads: what it is the most of."""
    return typer.Option("--memory", metavar="SIZE", help=f"{what}: 2GiB, 500MB.")


Memory = Annotated[str | None, memory_of("What a run may take in all")]


def bytes_of(memory: str | None, flag: str = "--memory") -> int | None:
    """The bytes of a `--memory`, or of another such option; what is no size is an error of usage."""
    if memory is None:
        return None
    from perceiver_graph.runtime.chunks import parse_size

    try:
        return parse_size(memory)
    except ValueError as error:
        raise usage.wrong(f"`{flag}`: {error}") from None
