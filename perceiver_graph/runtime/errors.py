"""What onnxruntime raises, as diagnostics: its messages speak of nodes and not of what to do."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from perceiver_graph.diagnostics import DiagnosticError
from perceiver_graph.diagnostics.commands import option
from perceiver_graph.engine import failures

_NO_MEMORY = re.compile(r"failed to allocate|out of memory|bad.?alloc", re.IGNORECASE)
_BAD_INDEX = re.compile(r"idx=(-?\d+) must be within the inclusive range \[-?\d+,\s*(\d+)\]")


@contextmanager
def loading(path: Path, device: str, precision: str) -> Iterator[None]:
    """Translate a failure to load a program: PG406, PG602 or PG603."""
    state = failures()
    try:
        yield
    except state.NotImplemented as error:
        raise DiagnosticError.of(
            "PG602",
            f"{device} has no kernel for a part of {path.name}, compiled for {precision}",
            notes=[_first_line(error)],
            help=f"compile with {option('--precision', 'fp32')}, or run on another device",
        ) from error
    except (
        RuntimeError,
        state.EPFail,
        state.Fail,
        state.InvalidArgument,
        state.InvalidGraph,
        state.InvalidProtobuf,
        state.NoSuchFile,
        state.RuntimeException,
    ) as error:
        if _NO_MEMORY.search(str(error)):
            raise _out_of_memory(device, error) from error
        raise DiagnosticError.of(
            "PG406",
            f"onnxruntime cannot load {path}",
            notes=[_first_line(error)],
            help="compile the artifact's spec.yaml again, or update onnxruntime",
        ) from error


@contextmanager
def running(device: str, ids: str = "an input") -> Iterator[None]:
    """Translate a failure of a run that the user can do something about: PG514 or PG603.

    `ids` says which inputs hold ids. With inputs and outputs bound, onnxruntime raises RuntimeError
    in place of its own exceptions.
    """
    state = failures()
    try:
        yield
    except (RuntimeError, state.Fail, state.InvalidArgument, state.RuntimeException) as error:
        if _NO_MEMORY.search(str(error)):
            raise _out_of_memory(device, error) from error
        if found := _BAD_INDEX.search(str(error)):
            raise DiagnosticError.of(
                "PG514",
                f"{ids} holds the id {found[1]}, and ids are 0 to {found[2]}",
                help="check that the ids were made with the model's own vocabulary",
            ) from error
        raise


def _out_of_memory(device: str, error: Exception) -> DiagnosticError:
    return DiagnosticError.of(
        "PG603",
        f"the memory of {device} does not suffice",
        notes=[_first_line(error)],
        help=f"use a smaller batch, or {option('--memory', 'SIZE')} to decode in smaller chunks",
    )


def _first_line(error: Exception) -> str:
    return f"onnxruntime says: {str(error).strip().splitlines()[0]}"
