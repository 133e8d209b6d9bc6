"""What the arrays of a call hold: ids of a vocabulary, and numbers that can be computed with."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from perceiver_graph import limits
from perceiver_graph.diagnostics import Report, quote
from perceiver_graph.runtime.arrays import first
from perceiver_graph.runtime.ids import ids_of, not_ids
from perceiver_graph.runtime.one_array import read_call
from perceiver_graph.spec.manifest import InputEntry


def check_values(
    name: str, entry: InputEntry, array: NDArray[Any], report: Report, optional: bool = False
) -> None:
    """Report ids that are out of range (PG514), and numbers that are not finite or too large (PG505)."""
    ids = entry.dtype == "int64"
    most = limits.NUMBER
    wrong = not_ids(entry, array) if ids else ~((array >= -most) & (array <= most))
    if not wrong.any():
        return
    count = int(np.count_nonzero(wrong))
    place, where = first(wrong, entry.axes)
    notes = [f"the first is {array[place]} at {where}"]
    if ids:
        message = f"{count} of {array.size} ids of input {quote(name)} are out of range"
        help = f"ids are {ids_of(entry)}"
        if entry.media is not None:
            help += f", those that {read_call(name, entry.media)} makes"
        report.error("PG514", message, notes=notes, help=help)
    elif np.isfinite(array).all():
        report.error(
            "PG505",
            f"{count} of {array.size} values of input {quote(name)} are beyond {most:g}: "
            "their squares, which norms sum, are infinite in float32",
            notes=notes,
            help=_smaller(name, entry) + "if they stand for what is missing, replace them: "
            f"numpy.where(numpy.abs({name}) <= {most:g}, {name}, 0)",
        )
    else:
        report.error(
            "PG505",
            f"{count} of {array.size} values of input {quote(name)} are not finite in float32",
            notes=notes,
            help=f"replace them: numpy.where(numpy.isfinite(numpy.float32({name})), {name}, 0)"
            + ("; or leave the input out" if optional else "")
            + _left_out(name, entry),
        )


def _left_out(name: str, entry: InputEntry) -> str:
    """What leaves out the tokens that are missing, where each has a value in the mask of the input."""
    if entry.attention_mask is None or entry.attention_mask.shape != entry.shape[:-1]:
        return ""
    seen = f"numpy.isfinite(numpy.float32({name})).all(axis=-1)"
    return f"; and to leave out tokens where some are missing, {quote(f'{name}.attention_mask')}: {seen}"


def _smaller(name: str, entry: InputEntry) -> str:
    """How numbers become smaller: moments in nanoseconds of 1970 are 2 minutes apart in float32."""
    if entry.beside or entry.points_of or entry.coordinates:
        return (
            "count coordinates from nearby, in a larger unit, before float32 rounds them to 7 digits: "
            f"({name} - {name}.min()) / 1e9 makes seconds of nanoseconds; "
        )
    return "give them in a larger unit; "
