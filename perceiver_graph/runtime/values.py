"""What the arrays of a call hold: ids of a vocabulary, and numbers that can be computed with."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from perceiver_graph import limits
from perceiver_graph.diagnostics import Report, quote
from perceiver_graph.runtime.arrays import first
from perceiver_graph.runtime.ids import ids_of, not_ids
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
        report.error("PG514", message, notes=notes, help=f"ids are {ids_of(entry)}")
    elif np.isfinite(array).all():
        report.error(
            "PG505",
            f"{count} of {array.size} values of input {quote(name)} are beyond {most:g}: "
            "their squares, which norms sum, are infinite in float32",
            notes=notes,
            help=f"give them in a larger unit; if they stand for what is missing, replace them: "
            f"numpy.where(numpy.abs({name}) <= {most:g}, {name}, 0)",
        )
    else:
        report.error(
            "PG505",
            f"{count} of {array.size} values of input {quote(name)} are not finite in float32",
            notes=notes,
            help=f"replace them: numpy.where(numpy.isfinite(numpy.float32({name})), {name}, 0)"
            + ("; or leave the input out" if optional else ""),
        )
