"""Checks a program against the manifest: when it is loaded, and the results of each run."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from perceiver_graph.diagnostics import DiagnosticError, quote
from perceiver_graph.runtime.sizes import evaluate
from perceiver_graph.spec.manifest import Port, ProgramEntry

_TYPES = {"float32": "tensor(float)", "int64": "tensor(int64)", "bool": "tensor(bool)"}


def check_session(session: Any, entry: ProgramEntry, file: Path) -> None:
    """Raise DiagnosticError (PG413) unless a session takes and gives what the manifest says."""
    faults = [
        *_faults(entry.inputs, session.get_inputs(), "takes"),
        *_faults(entry.outputs, session.get_outputs(), "gives"),
    ]
    known = {port.name for port in entry.inputs}
    faults += [
        f"it takes {quote(leaf.name)}, of which the manifest knows nothing"
        for leaf in session.get_inputs()
        if leaf.name not in known
    ]
    if faults:
        raise not_its_own(file, faults)


def check_results(
    results: Mapping[str, Any], entry: ProgramEntry, sizes: Mapping[str, int], file: Path
) -> None:
    """Raise DiagnosticError (PG413) unless results have the shapes of the manifest."""
    faults = []
    for port in entry.outputs:
        if port.name in results:
            shape = list(results[port.name].shape())
            wanted = [evaluate(size, sizes) for size in port.shape]
            if shape != wanted:
                faults.append(f"it gave {quote(port.name)} as {shape}, and should as {wanted}")
    if faults:
        raise not_its_own(file, faults)


def not_its_own(file: Path, faults: Sequence[str]) -> DiagnosticError:
    """The diagnostic PG413."""
    return DiagnosticError.of(
        "PG413",
        f"{quote(file)} is not the program that the manifest describes",
        notes=faults,
        help="compile the artifact's spec.yaml again; if that gives the same, please report it",
    )


def _faults(ports: Sequence[Port], leaves: Sequence[Any], verb: str) -> Iterator[str]:
    found = {leaf.name: leaf for leaf in leaves}
    for port in ports:
        leaf = found.get(port.name)
        if leaf is None:
            yield f"it {verb} no {quote(port.name)}"
        elif port.role != "state" and leaf.type != _TYPES[port.dtype]:
            yield f"it {verb} {quote(port.name)} as {leaf.type}, and should as {port.dtype}"
        elif port.role == "state" and not leaf.type.startswith("tensor("):
            yield f"it {verb} {quote(port.name)} as {leaf.type}, which is no array"
        elif not _fits(leaf.shape, port.shape):
            yield f"it {verb} {quote(port.name)} as {leaf.shape}, and should as {port.shape}"


def _fits(shape: Sequence[Any], wanted: Sequence[int | str]) -> bool:
    """Whether the numbers of both agree; what is a symbol to either is seen with each run."""
    if len(shape) != len(wanted):
        return False
    numbers = [
        pair for pair in zip(shape, wanted, strict=True) if all(isinstance(x, int) for x in pair)
    ]
    return all(size == other for size, other in numbers)
