"""What onnxruntime raises, as diagnostics: its messages speak of nodes and not of what to do."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

from perceiver_graph.diagnostics import DiagnosticError
from perceiver_graph.diagnostics.commands import setting, shell
from perceiver_graph.engine import failures
from perceiver_graph.runtime.signature import not_its_own

NO_MEMORY = re.compile(r"failed to allocate|out of memory|bad.?alloc", re.IGNORECASE)
_ELSEWHERE = re.compile(r"escapes .*directory|outside the base directory")
_BAD_INDEX = re.compile(r"idx=(-?\d+) must be within the inclusive range \[-?\d+,\s*(\d+)\]")


@contextmanager
def loading(path: Path, device: str, precision: str) -> Iterator[None]:
    """Translate a failure to load a program: PG406, PG602 or PG603."""
    state, anything = failures(), _anything()
    try:
        yield
    except state.NotImplemented as error:
        raise DiagnosticError.of(
            "PG602",
            f"{device} has no kernel for a part of {path.name}, compiled for {precision}",
            notes=[_first_line(error)],
            help=f"compile with {setting('--precision', 'fp32')}, or run on another device or engine",
        ) from error
    except anything as error:
        if NO_MEMORY.search(str(error)):
            raise out_of_memory(device, _first_line(error)) from error
        raise cannot_load("onnxruntime", path, _first_line(error)) from error


def cannot_load(engine: str, path: Path, reason: str) -> DiagnosticError:
    """The diagnostic PG406 for a program that an engine does not take."""
    help = f"compile the artifact's spec.yaml again, or update {engine}"
    if _ELSEWHERE.search(reason):  # files that the manifest lists, and links to other folders
        copy = path.parent.with_name(f"{path.parent.name}-copy")
        help = f"copy the files that its links lead to: {shell('cp', '-RL', path.parent, copy)}"
    return DiagnosticError.of("PG406", f"{engine} cannot load {path}", notes=[reason], help=help)


@contextmanager
def running(device: str, ids: str, path: Path) -> Iterator[None]:
    """Translate a failure of a run: PG514, PG603, or PG413 where the program is to blame.

    `ids` says which inputs hold ids, if any do. With inputs and outputs bound, onnxruntime raises
    RuntimeError in place of its own exceptions.
    """
    try:
        yield
    except _anything() as error:
        if NO_MEMORY.search(str(error)):
            raise out_of_memory(device, _first_line(error)) from error
        if ids and (found := _BAD_INDEX.search(str(error))):
            raise DiagnosticError.of(
                "PG514",
                f"{ids} holds the id {found[1]}, and ids are 0 to {found[2]}",
                help="check that the ids were made with the model's own vocabulary",
            ) from error
        raise not_its_own(path, [f"it fails: {_first_line(error)}"]) from error


@cache
def _anything() -> tuple[type[Exception], ...]:
    """What onnxruntime raises for a program that it cannot load or run, whatever its bytes are."""
    own = [one for one in vars(failures()).values() if isinstance(one, type)]
    errors = (one for one in own if issubclass(one, Exception))
    return (*errors, *(RuntimeError, ValueError, TypeError, OverflowError, IndexError, KeyError))


def out_of_memory(device: str, reason: str) -> DiagnosticError:
    """The diagnostic PG603."""
    less = setting("--memory", "SIZE", "memory=BYTES")
    return DiagnosticError.of(
        "PG603",
        f"the memory of {device} does not suffice",
        notes=[reason],
        help=f"use a smaller batch, or {less} to decode in smaller chunks",
    )


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return f"onnxruntime says: {lines[0] if lines else type(error).__name__}"
