"""What happens when a command cannot do its work: a diagnostic and an exit code, no traceback."""

from __future__ import annotations

import os
import platform
import sys
import traceback
from collections.abc import Callable, Iterable
from functools import wraps
from typing import ParamSpec

import typer

import perceiver_graph
from perceiver_graph.cli import screen
from perceiver_graph.diagnostics import escape
from perceiver_graph.diagnostics.model import Diagnostic, DiagnosticError, make
from perceiver_graph.diagnostics.render import Format, render

WRONG_INPUT = 1
BROKEN_PIPE = 141

DEBUG_VARIABLE = "PERCEIVER_GRAPH_DEBUG"

P = ParamSpec("P")


class _State:
    debug = False


def reset() -> None:
    """Take the debug setting from the environment; `--debug` may turn it on later."""
    _State.debug = os.environ.get(DEBUG_VARIABLE, "0") not in {"", "0"}


def ask_for_tracebacks(wanted: bool) -> None:
    """The callback of `--debug`."""
    _State.debug = _State.debug or wanted


def guarded(command: Callable[P, None]) -> Callable[P, None]:
    """The command with every error turned into diagnostics and an exit code."""

    @wraps(command)
    def run(*args: P.args, **options: P.kwargs) -> None:
        try:
            command(*args, **options)
            sys.stdout.flush()
        except typer.BadParameter as error:
            error.message = escape.line(error.message)  # it may repeat what was typed
            raise
        except (typer.Exit, typer.Abort):
            raise
        except DiagnosticError as error:
            print_diagnostics(error.diagnostics)
            raise typer.Exit(WRONG_INPUT) from None
        except BrokenPipeError:
            _close_output()
            raise typer.Exit(BROKEN_PIPE) from None
        except MemoryError:
            print_diagnostics([make("PG603", "the memory of this machine ran out")])
            raise typer.Exit(WRONG_INPUT) from None
        except Exception as error:  # noqa: BLE001 - whatever was not foreseen becomes PG901
            if _State.debug:
                traceback.print_exc()
            print_diagnostics([_internal(error)])
            raise typer.Exit(WRONG_INPUT) from None

    return run


def print_diagnostics(diagnostics: Iterable[Diagnostic], format: Format = "full") -> None:
    """Print diagnostics on stderr; coloured on a terminal."""
    color = screen.styled(sys.stderr)
    sys.stderr.write(render(diagnostics, format=format, color=color))


def _internal(error: Exception) -> Diagnostic:
    what = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
    versions = (
        f"perceiver-graph {perceiver_graph.__version__}, Python {platform.python_version()}, "
        f"{platform.system()} {platform.machine()}"
    )
    return make(
        "PG901",
        f"internal error: {what}",
        notes=[
            "this is a defect of perceiver-graph, whatever the input was: please report it",
            versions,
        ],
        help=None
        if _State.debug
        else "run it again with `--debug`, and report what it prints with the command and the spec",
    )


def _close_output() -> None:
    """Nobody reads the output any more: let what is still buffered go nowhere, quietly."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)
