"""Which rows of an .npz archive are there: a mask beside them says so."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from perceiver_graph.diagnostics import DiagnosticError, quote
from perceiver_graph.media.files.numbers.columns import left_out
from perceiver_graph.media.files.numbers.npy import array_names, read_array
from perceiver_graph.runtime.opening import Source


def mask_names(name: str) -> frozenset[str]:
    """What the mask of the rows `name` may be called. They may themselves be called `mask`."""
    return frozenset(_names(name)) - {name}


def _names(name: str) -> tuple[str, ...]:
    return f"{name}.attention_mask", "attention_mask", "mask"


def read_mask(
    source: Source, name: str, rows: Sequence[str], count: int
) -> tuple[NDArray[np.bool_] | None, tuple[str, ...]]:
    """The mask bool [count] of the rows `name`, which are in the arrays `rows`, if there is one; and
    the note on arrays that are neither.

    Raises DiagnosticError (PG503, PG504, PG507, PG514).
    """
    held = array_names(source)
    key = next((one for one in _names(name) if one in held and one not in rows), None)
    taken = rows if key is None else (*rows, key)
    notes = left_out(held, taken, "other arrays of the file")
    if key is None:
        return None, notes
    return _as_mask(source, key, read_array(source, key), count), notes


def _as_mask(source: Source, name: str, array: NDArray[Any], count: int) -> NDArray[np.bool_]:
    what = f"the mask {quote(name)} of {source}"
    mask = array[0] if array.ndim == 2 and len(array) == 1 else array
    if mask.shape != (count,):
        raise DiagnosticError.of(
            "PG503",
            f"{what} has the shape {list(array.shape)}, and there are {count} rows",
            help="give one value for each row",
        )
    if mask.dtype.kind not in "biuf":
        message = f"{what} is of dtype {mask.dtype}"
        raise DiagnosticError.of("PG504", message, help="save booleans: .astype(bool)")
    wrong = (mask != 0) & (mask != 1)
    if wrong.any():
        row = int(wrong.argmax())
        raise DiagnosticError.of(
            "PG514",
            f"{what} has the value {mask[row]} in row {row}, and takes 0 and 1",
            help="give 1 (or true) for rows that are there, else 0"
            + "; if it is added to scores, save (mask == 0)" * bool((mask <= 0).all()),
        )
    return mask.astype(np.bool_)
