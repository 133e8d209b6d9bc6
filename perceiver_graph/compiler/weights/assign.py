"""Fits a checkpoint to a graph: every parameter gets a tensor, every tensor has a place.

Nothing is filled in and nothing is left over silently: a partly initialised model would run and
give wrong results.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from perceiver_graph.compiler.ir.graph import Graph, Parameter
from perceiver_graph.compiler.ir.names import collapse
from perceiver_graph.compiler.ir.op import Array
from perceiver_graph.compiler.weights import transformers
from perceiver_graph.compiler.weights.configuration import differences
from perceiver_graph.compiler.weights.files import (
    EIGHT_BITS,
    FLOATS,
    Tensors,
    given_tensors,
    not_found,
    read_tensors,
)
from perceiver_graph.compiler.weights.folders import OWN_WEIGHTS
from perceiver_graph.compiler.weights.known_settings import not_followed
from perceiver_graph.compiler.weights.layouts import (
    Layout,
    pieces,
    recognise,
    unwrapped,
    why_left_over,
)
from perceiver_graph.compiler.weights.transformers import Checkpoint
from perceiver_graph.compiler.weights.turning import other_waves
from perceiver_graph.diagnostics import Report, Span, make, quote
from perceiver_graph.diagnostics.commands import command


def load(path: str | Path, graph: Graph, *, report: Report | None = None) -> dict[str, Array]:
    """Every parameter of a graph as float32, from a safetensors file or a transformers folder.

    The names of the tensors are those of the graph or those of transformers; which ones is told by
    looking. Other formats of FLOATS are converted, which `report` is told as a note.
    DiagnosticError lists all that is missing (PG302), superfluous (PG303), misshapen (PG304), of
    another dtype (PG305) or not finite (PG308), or says why the file cannot be used at all.
    """
    return fit(read_checkpoint(Path(path)), graph, report=report)


def load_arrays(
    arrays: Mapping[str, Any], graph: Graph, *, report: Report | None = None
) -> dict[str, Array]:
    """As `load`, of arrays by name, or tensors of torch."""
    return fit(Checkpoint(given_tensors(arrays)), graph, report=report)


def fit(
    checkpoint: Checkpoint,
    graph: Graph,
    *,
    layout: Layout | None = None,
    fresh: Collection[str] = (),
    report: Report | None = None,
) -> dict[str, Array]:
    """As `load`, of a checkpoint that is open and whose names may be known already.

    Parameters in `fresh` are not read: they are left out of the result, and their tensors may be
    absent.
    """
    found = Report(differences(checkpoint.config, graph) if checkpoint.config is not None else ())
    tensors = checkpoint.tensors if layout else unwrapped(checkpoint.tensors)
    layout = layout or recognise(tensors, {x.value.name for x in graph.parameters})
    for difference in other_waves(layout, tensors, graph):
        found.add(difference)
    assignment = _assign(tensors, graph, layout, fresh)
    _report_misfits(assignment, found, layout)
    found.raise_if_errors()
    values = {}
    infected = []
    for name, theirs in assignment.taken.items():
        value = assignment.tensors.get(theirs).reshape(_shape(assignment.parameters[name]))
        if not np.isfinite(value).all():
            infected.append(theirs)
        values[name] = value
    _report_infected(tensors, infected, found)
    found.raise_if_errors()
    if report is not None:
        for note in assignment.tensors.notes:
            report.add(make("PG301", note, severity="note"))
        for note in not_followed(checkpoint.config or {}):
            report.add(make("PG309", note, severity="note"))
        _report_conversions(assignment, report)
    return values


def read_checkpoint(path: Path) -> Checkpoint:
    """Open a safetensors file or a folder. Raises DiagnosticError (PG301, PG306)."""
    try:
        is_folder = path.is_dir()
    except OSError:  # a name that is too long
        raise not_found(path) from None
    try:
        if not is_folder:
            return Checkpoint(transformers.read_file(path))
        if not (path / transformers.CONFIG).exists() and (path / OWN_WEIGHTS).is_file():
            return Checkpoint(read_tensors(path / OWN_WEIGHTS))
        return transformers.read_folder(path)
    except ValueError:  # a NUL character in the path
        raise not_found(path) from None


@dataclass
class _Assignment:
    """Which tensor every parameter is filled from, by name, and what is left."""

    tensors: Tensors
    parameters: Mapping[str, Parameter]
    expected: Mapping[str, str]
    """What a parameter would most likely be called in the checkpoint."""
    taken: dict[str, str] = field(default_factory=dict)
    missing: list[str] = field(default_factory=list)
    misshapen: list[str] = field(default_factory=list)
    extra: list[str] = field(default_factory=list)

    def lines(self, names: Iterable[str]) -> list[str]:
        """Parameters, a line for each pattern of names; where the checkpoint's differ, its below."""
        found = []
        for pattern, members in collapse(names).items():
            known = [self.taken.get(name) or self.expected.get(name) for name in members]
            theirs = list(collapse(name for name in known if name))
            if not theirs:
                pattern += "\n(the checkpoint's layout has no name for it)"
            elif theirs != [pattern]:
                pattern += f"\n({', '.join(theirs)} in the checkpoint)"
            found.append(pattern)
        return found


def _assign(tensors: Tensors, graph: Graph, layout: Layout, fresh: Collection[str]) -> _Assignment:
    parameters = {leaf.value.name: leaf for leaf in graph.parameters}
    tensors = pieces(layout, tensors)
    options = {name: layout.candidates(name) for name in parameters}
    expected = {name: names[0] for name, names in options.items() if names}
    result = _Assignment(tensors, parameters, expected)
    used: set[str] = set()
    for name in sorted(parameters, key=lambda name: name in fresh):  # what is read comes first
        leaf = parameters[name]
        theirs = next((n for n in options[name] if n in tensors.tensors and n not in used), None)
        if theirs is not None:
            used.add(theirs)
        if name in fresh:
            continue
        if theirs is None:
            result.missing.append(name)
            continue
        result.taken[name] = theirs
        if not layout.fits(tensors.tensors[theirs].shape, _shape(leaf)):
            result.misshapen.append(name)
    result.extra = [
        name
        for name, tensor in tensors.tensors.items()
        if name not in used and not layout.ignores(name, tensor.shape)
    ]
    return result


def _shape(leaf: Parameter) -> tuple[int, ...]:
    return tuple(int(size) for size in leaf.value.shape)


def _report_misfits(found: _Assignment, report: Report, layout: Layout) -> None:
    where = found.tensors.label
    for span, names in _by_origin(found, found.missing):
        report.error(
            "PG302",
            f"{_count(names, 'is', 'are')} missing from {where}: {_first(names)}",
            span,
            label="needed for this" if span else "",
            notes=[f"missing: {line}" for line in found.lines(names)],
        )
    for span, names in _by_origin(found, found.misshapen):
        report.error(
            "PG304",
            f"{_count(names, 'has another shape', 'have other shapes')} in {where}: "
            f"{_first(names)}, {_shapes(found, names[0])}",
            span,
            label="this leads to the expected shape" if span else "",
            notes=[
                f"{_shapes(found, group[0])}: {line}"
                for group in _by_shapes(found, names)
                for line in found.lines(group)
            ],
        )
    if found.extra:
        report.error(
            "PG303",
            f"{_count(found.extra, 'has', 'have')} no place in the model: {_first(found.extra)} "
            f"of {where}",
            notes=[f"not used: {pattern}" for pattern in collapse(found.extra)],
            help=why_left_over(layout, found.extra)
            or f"compare what {command('inspect', 'SPEC')} shows of the spec with what was trained",
        )
    _report_dtypes(found, report)


def _report_dtypes(found: _Assignment, report: Report) -> None:
    dtypes = {name: found.tensors.tensors[name].dtype for name in found.taken.values()}
    wrong = {name: dtype for name, dtype in dtypes.items() if dtype not in FLOATS.values()}
    if wrong:
        report.error(
            "PG305",
            f"{_count(wrong, 'is', 'are')} not floating-point in {found.tensors.label}: "
            f"{_first(list(wrong))}",
            notes=[
                f"{dtype}: {pattern}"
                for dtype in dict.fromkeys(wrong.values())
                for pattern in collapse(name for name in wrong if wrong[name] == dtype)
            ],
            help=f"formats that are read: {', '.join(FLOATS.values())}",
        )


def _report_infected(tensors: Tensors, names: Sequence[str], report: Report) -> None:
    if names:
        report.error(
            "PG308",
            f"{_count(names, 'holds', 'hold')} NaN or infinite values in {tensors.label}: "
            f"{_first(names)}",
            notes=[f"not finite: {pattern}" for pattern in collapse(names)],
            help="use an earlier checkpoint of the training run",
        )


def _report_conversions(found: _Assignment, report: Report) -> None:
    dtypes = Counter(found.tensors.tensors[name].dtype for name in found.taken.values())
    for dtype, count in dtypes.items():
        if dtype != "float32":
            tensors = "tensor" if count == 1 else "tensors"
            message = f"{count} {tensors} converted from {dtype} to float32"
            if dtype in EIGHT_BITS.values():
                message += ", as they stand: the file has no scales for them"
            report.add(make("PG305", message, severity="note"))


def _by_origin(found: _Assignment, names: Sequence[str]) -> list[tuple[Span | None, list[str]]]:
    """Parameters grouped by the line of the spec that they come from."""
    groups: dict[Span | None, list[str]] = {}
    for name in names:
        groups.setdefault(found.parameters[name].origin, []).append(name)
    return list(groups.items())


def _by_shapes(found: _Assignment, names: Sequence[str]) -> list[list[str]]:
    """Parameters grouped by the shapes they should have and have."""
    groups: dict[str, list[str]] = {}
    for name in names:
        groups.setdefault(_shapes(found, name), []).append(name)
    return list(groups.values())


def _shapes(found: _Assignment, name: str) -> str:
    wanted = _shape(found.parameters[name])
    return f"expected {list(wanted)}, found {list(found.tensors.tensors[found.taken[name]].shape)}"


def _count(names: Collection[str], singular: str, plural: str) -> str:
    """`1 tensor is`, `3 tensors are`."""
    return f"1 tensor {singular}" if len(names) == 1 else f"{len(names)} tensors {plural}"


def _first(names: Sequence[str]) -> str:
    return quote(names[0]) + (" and others" if len(names) > 1 else "")
