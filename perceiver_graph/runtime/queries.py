"""Which queries of which outputs a call asks for."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from perceiver_graph.diagnostics import Report, quote
from perceiver_graph.diagnostics.arguments import as_mapping
from perceiver_graph.diagnostics.commands import either, setting
from perceiver_graph.diagnostics.words import did_you_mean
from perceiver_graph.runtime.coordinates import Points, points_of
from perceiver_graph.runtime.feeds import check_points
from perceiver_graph.runtime.room import require_room
from perceiver_graph.runtime.sizes import evaluate
from perceiver_graph.spec.manifest import Manifest, OutputEntry, Port, axes_of

Selection = (
    slice
    | Sequence[int]
    | NDArray[np.integer]
    | NDArray[np.floating]
    | Mapping[str, ArrayLike]
    | None
)
"""Flat query positions: a range, positions in any order, or None for all. Of an output that is asked
at points, also the points: an array of them, or `{"points": array}`."""


@dataclass(frozen=True)
class Asked:
    """An output that is asked for. `positions` int64 [n]; `shape` is that of the result, the number
    of batch elements first."""

    positions: NDArray[np.int64]
    shape: tuple[int, ...]
    places: int = 1
    """At how many places of a batch element all of them are asked."""

    @property
    def flat(self) -> tuple[int, int, int, int]:
        """The shape of the result with one axis for the places, and one for what is asked at each."""
        return self.shape[0], self.places, len(self.positions), self.shape[-1]


def _part(name: str) -> str:
    """How to ask for less of an output."""
    some = setting("--decode", f"{name}=START:STOP", f"{{{name!r}: slice(START, STOP)}}")
    return f"a smaller batch, or some of its queries at a time: {some}"


def parse_decode(requests: Iterable[str]) -> dict[str, slice | None] | None:
    """`OUTPUT` and `OUTPUT=START:STOP` texts as a mapping; None (everything) if there are none.

    Raises DiagnosticError (PG506). Names and ranges are checked where the outputs are known.
    """
    found: dict[str, slice | None] = {}
    report = Report()
    for text in requests:
        name, equals, span = (part.strip() for part in text.partition("="))
        start, colon, stop = (part.strip() for part in span.partition(":"))
        numbers = all(not part or part.isdecimal() for part in (start, stop))
        if not name or (equals and not (colon and (start or stop) and numbers)):
            one = int(span) if span.isdecimal() and len(span) < 16 else 0
            example = f"{name or 'image'}={one}:{one + 1}"
            report.error(
                "PG506",
                f"{quote(text)} is not OUTPUT or OUTPUT=START:STOP",
                help=f"for example {setting('--decode', example, example)}",
            )
        elif name in found:
            report.error("PG506", f"output {quote(name)} is asked for twice", help="ask once")
        else:
            bounds = (int(start) if start else None, int(stop) if stop else None)
            found[name] = slice(*bounds) if equals else None
    report.raise_if_errors()
    return found or None


def _form(manifest: Manifest, given: object) -> str:
    """What is asked for as it is written, to who gives names alone."""
    names = (
        [given] if isinstance(given, str) else [*given] if isinstance(given, list | tuple) else []
    )
    names = [name for name in names if name in manifest.outputs] or [*manifest.outputs][:1]
    shown = ", ".join(f'"{name}": None' for name in names)
    return f"a mapping such as {{{shown}}} (of a part: slice(0, 1000)), or None for everything"


def resolve(
    manifest: Manifest,
    sizes: Mapping[str, int],
    decode: Mapping[str, Selection] | None,
    points: Mapping[str, NDArray[np.float32]],
) -> tuple[dict[str, Asked], Points]:
    """The outputs asked for (None: all of them) with their positions and the shape of the result,
    and the points of those that are asked at points: what `decode` has, or else `points`.

    Raises DiagnosticError (PG501, PG503 to PG506, PG517) with everything that is wrong.
    """
    wanted: dict[str, Selection] = {**dict.fromkeys(manifest.outputs)}
    if decode is not None:
        wanted = {**as_mapping("what is to be decoded", _form(manifest, decode), decode)}
    asked: dict[str, Asked] = {}
    report = Report()
    given = _points(manifest, wanted)
    found = check_points(manifest, given, sizes.get("batch", 1), report)
    points = {name: array for name, array in points.items() if name not in given} | found
    for name, selection in wanted.items():
        if name not in manifest.outputs:
            help = did_you_mean(name, manifest.outputs) or _outputs(manifest)
            report.error("PG506", f"the model has no output {quote(name)}", help=help)
            continue
        entry = manifest.outputs[name]
        if points_of(manifest, name) is not None:
            if name not in points:
                if name not in given:
                    _report_pointless(manifest, name, report)
                continue
            sizes = {**sizes, str(entry.asked[0]): points[name].shape[1]}
        shape = tuple(evaluate(size, sizes) for size in entry.shape)
        places = [evaluate(size, sizes) for size in entry.at_places]
        count = prod(shape[1 + len(places) : -1])
        if selection is None:
            require_room(shape, "float32", f"output {quote(name)}", _part(name))
            asked[name] = Asked(np.arange(count, dtype=np.int64), shape, prod(places))
            continue
        positions = _positions(name, entry, selection, count, report)
        if positions is not None:
            shape = (shape[0], *places, len(positions), shape[-1])
            asked[name] = Asked(positions, shape, prod(places))
    if not wanted:
        report.error("PG506", "no output is asked for", help=_outputs(manifest))
    report.raise_if_errors()
    return asked, {name: array for name, array in points.items() if name in asked}


def _points(manifest: Manifest, wanted: dict[str, Selection]) -> dict[str, Any]:
    """Takes the points out of what is asked for; all of them are asked then."""
    found: dict[str, Any] = {}
    for name, selection in wanted.items():
        if points_of(manifest, name) is None or selection is None or isinstance(selection, slice):
            continue
        if isinstance(selection, Mapping):
            if set(selection) == {"points"}:
                found[name] = selection["points"]
        elif np.ndim(selection) > 1:
            found[name] = selection
    wanted.update(dict.fromkeys(found))
    return found


def _report_pointless(manifest: Manifest, name: str, report: Report) -> None:
    others = [quote(n) for n in manifest.outputs if points_of(manifest, n) is None]
    declared = points_of(manifest, name)
    assert declared is not None
    array, entry = declared
    report.error(
        "PG501",
        f"output {quote(name)} is asked at points, and none are given: {entry.dtype} "
        f"{axes_of(entry)}",
        help=f"pass an array under the name {quote(array)}"
        + (f", or decode other outputs only: {', '.join(others)}" if others else ""),
    )


def _outputs(manifest: Manifest) -> str:
    return "the outputs are " + ", ".join(
        f"{quote(name)} ({entry.queries} queries)" if entry.selectable and entry.queries else name
        for name, entry in manifest.outputs.items()
    )


def _positions(
    name: str, entry: OutputEntry, selection: Selection, count: int, report: Report
) -> NDArray[np.int64] | None:
    """The positions chosen, or None where a problem was reported."""
    if not entry.selectable:
        number = "no queries" if entry.queries == 0 else "a single query"
        report.error(
            "PG506",
            f"output {quote(name)} has {number}, of which none can be chosen",
            help=f"ask for the whole: {either(name, f'`{{{name!r}: None}}`')}",
        )
        return None
    example = either(f"{name}=0:{count}", f"`{{{name!r}: slice(0, {count})}}`")
    help = f"0 <= START < STOP <= {count}, for example {example}"
    if isinstance(selection, Mapping):
        fault = f"{quote(', '.join(map(str, selection)) or '{}')} is nothing that output {quote(name)} takes"
    elif isinstance(selection, slice):
        start = 0 if selection.start is None else selection.start
        stop = count if selection.stop is None else selection.stop
        step = 1 if selection.step is None else selection.step
        numbers = all(isinstance(bound, int | np.integer) for bound in (start, stop, step))
        if numbers and 0 <= start < stop <= count and step > 0:
            return np.arange(start, stop, step, dtype=np.int64)
        fault = f"{start}:{stop} is not a range of the {count} queries of output {quote(name)}"
        if numbers and step <= 0:
            fault = f"a range of output {quote(name)} has the step {step}, which is not 1 or more"
            help = "list the positions, which may be in any order: numpy.arange(LAST, -1, -1)"
    else:
        try:
            given = np.asarray(selection)
        except (TypeError, ValueError):  # rows of unequal length
            given = np.empty((1, 0))
        if given.dtype == bool:
            fault = f"the positions for output {quote(name)} are a mask, and not whole numbers"
            help = "list where it is true: numpy.flatnonzero(MASK)"
        elif given.shape == (0,):
            fault = f"there are no positions for output {quote(name)}"
            help = f"leave {quote(name)} out if nothing of it is wanted"
        elif given.ndim != 1 or given.dtype.kind not in "iu":
            fault = f"the positions for output {quote(name)} are not a list of whole numbers"
        elif given.min() < 0 or given.max() >= count:
            fault = f"the positions for output {quote(name)} are not all from 0 to {count - 1}"
        else:
            return np.ascontiguousarray(given, dtype=np.int64)
    report.error("PG506", fault, help=help)
    return None


def count_of(port: Port) -> str:
    """The symbol for how many queries go into a port."""
    return str(port.shape[1 if port.role == "points" else 0])


def chunk_of(
    port: Port,
    asked: Mapping[str, Asked],
    points: Points,
    parts: Mapping[str, tuple[int, int]],
    sizes: Mapping[str, int],
) -> NDArray[Any]:
    """The positions of a chunk, int64 [size], or its points, float32 [batch, size, coordinates]; the
    last one, or zero, is repeated to fill it."""
    count = sizes[count_of(port)]
    if port.of not in parts:
        shape = [evaluate(size, sizes) for size in port.shape]
        return np.zeros(shape, port.dtype)
    start, stop = parts[port.of]
    positions = asked[port.of].positions[start:stop]
    positions = np.pad(positions, (0, count - len(positions)), mode="edge")
    return positions if port.role == "queries" else points[port.of][:, positions]
