"""What happens when a command cannot do its work: a diagnostic and an exit code, no traceback."""

from __future__ import annotations

import errno
import os
import platform
import sys
import traceback
from collections.abc import Callable, Iterable
from functools import wraps
from pathlib import Path
from typing import ParamSpec

import typer

from perceiver_graph.cli import screen, streams
from perceiver_graph.cli.usage import UsageError
from perceiver_graph.diagnostics.errors import DiagnosticError
from perceiver_graph.diagnostics.model import Diagnostic, make
from perceiver_graph.diagnostics.render import Format, render
from perceiver_graph.diagnostics.text import quote
from perceiver_graph.signals import end_if_asked
from perceiver_graph.version import __version__

WRONG_INPUT = 1
WRONG_USAGE = 2
BROKEN_PIPE = 141
_NO_ROOM = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS}
_RIGHTS = {errno.EACCES, errno.EPERM}

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
        except (typer.Exit, typer.Abort):
            raise
        except Exception as error:  # noqa: BLE001 - whatever was not foreseen becomes PG901
            end_if_asked()  # a library may have turned the end into an error of its own
            raise typer.Exit(_told(error)) from None

    return run


def _told(error: Exception) -> int:
    """The exit code of an error, once it is printed."""
    match error:
        case UsageError():
            return wrong_usage(error)
        case DiagnosticError():
            print_diagnostics(error.diagnostics)
        case BrokenPipeError():
            streams.silence(sys.stdout)
            return BROKEN_PIPE
        case MemoryError():
            print_diagnostics([make("PG603", "the memory of this machine ran out")])
        case FileNotFoundError() if not _stands_somewhere():
            print_diagnostics([_nowhere()])
            return WRONG_USAGE
        case OSError():
            print_diagnostics([_of_the_system(error)])
        case _:
            print_diagnostics([_unforeseen(error)])
    return WRONG_INPUT


def wrong_usage(error: UsageError) -> int:
    """Print what is wrong with a command line; its exit code."""
    print_diagnostics(error.diagnostics)
    return WRONG_USAGE


def print_diagnostics(diagnostics: Iterable[Diagnostic], format: Format = "full") -> bool:
    """Print diagnostics on stderr, coloured on a terminal; False if that could not be."""
    color = screen.styled(sys.stderr)
    width = screen.width() if sys.stderr.isatty() else None
    return streams.say(render(diagnostics, format=format, color=color, width=width))


def after_output(code: int) -> int:
    """The exit code of a command line, once all that it printed is written out."""
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        streams.silence(sys.stdout)
        return BROKEN_PIPE
    except OSError as error:
        streams.silence(sys.stdout)
        print_diagnostics([_of_the_system(error)])
        return code or WRONG_INPUT
    return code


def unwritten_help(error: OSError) -> int:
    """The exit code where help could not be printed."""
    streams.silence(sys.stdout)
    print_diagnostics([_unwritten("standard output", error)])
    return WRONG_INPUT


def _of_the_system(error: OSError) -> Diagnostic:
    """Output that cannot be written, a full disk; what else the system refuses was not foreseen."""
    if isinstance(error, streams.OutputError):
        streams.silence(sys.stdout)
        return _unwritten("standard output", error)
    if error.errno in _NO_ROOM:
        return _unwritten(quote(error.filename, 200) if error.filename else "a file", error)
    if error.errno in _RIGHTS and error.filename:
        return make(
            "PG606",
            f"{quote(error.filename, 200)}: {error.strerror}",
            help="name another place, or let this user read it and enter each folder on the way to it",
        )
    return _unforeseen(error)


def _stands_somewhere() -> bool:
    """Whether the current folder is still there."""
    try:
        Path.cwd()
    except OSError:
        return False
    return True


def _nowhere() -> Diagnostic:
    return make(
        "PG620",
        "the current folder was removed, or another one took its place",
        help="`cd` into a folder that is there; where a new one has its name, `cd .` does it",
    )


def _unwritten(what: str, error: OSError) -> Diagnostic:
    return make(
        "PG605",
        f"{what} cannot be written: {error.strerror or error}",
        help="free space, or let it go elsewhere",
    )


def _unforeseen(error: Exception) -> Diagnostic:
    if _State.debug:
        traceback.print_exc()
    what = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
    versions = (
        f"perceiver-graph {__version__}, Python {platform.python_version()}, "
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
