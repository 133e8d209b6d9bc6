"""Tables from files: a row of numbers for each element of a set (a unit, a track, an object)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from perceiver_graph.media.files.numbers.columns import AXES, as_named, unindexed
from perceiver_graph.media.files.numbers.common import (
    Lines,
    Rows,
    as_rows,
    require_finite,
    undecodable,
)
from perceiver_graph.media.files.numbers.expressions import of_array, without_missing
from perceiver_graph.media.files.numbers.formats import TABLES, kind_of_file
from perceiver_graph.media.files.numbers.masks import mask_names, read_mask
from perceiver_graph.media.files.numbers.npy import only_array, read_array, read_npy
from perceiver_graph.media.files.numbers.sheet import Sheet, read_rows
from perceiver_graph.media.files.numbers.text import NUMBER
from perceiver_graph.runtime.arrays import rounded
from perceiver_graph.runtime.opening import Named, Source


@dataclass(frozen=True, eq=False)
class Table:
    """Rows of numbers: `values` float32 [n, channels]; `mask` bool [n] says which rows are there.

    Rows that are not there are 0.
    """

    values: NDArray[np.float32]
    mask: NDArray[np.bool_]
    notes: tuple[str, ...] = ()
    expression: str = ""
    """What reads the numbers in Python, for messages."""


def read_table(
    named: Named,
    name: str = "",
    most: int | None = None,
    channels: Sequence[str] = (),
    masked: bool = False,
    fixed: bool = False,
) -> Table:
    """The table in a .npz, .npy, .csv or other text file of numbers.

    Of an .npz, the array called `name` or the only one; the mask, if it has one, is its array
    `NAME.attention_mask`, `attention_mask` or `mask` (booleans, or 0 and 1). A text with more rows
    than `most` is not read. If it names its columns, they are taken by the names of the `channels`, if
    these have names. `masked`: whether the input takes a mask of its rows, and `fixed`: whether it takes
    so many rows and no fewer, for messages.
    Raises DiagnosticError (PG503 to PG505, PG507, PG512, PG514).
    """
    source = Source.of(named)
    kind = kind_of_file(source, TABLES)
    mask, lines = None, None
    notes: tuple[str, ...] = ()
    if kind in ("ply", "off", "pcd"):
        help = "give a .npz, .npy or .csv file"
        raise undecodable(f"{source}: a cloud of points, and no table of numbers", help=help)
    if kind == "npz":
        key = only_array(source, name, besides=mask_names(name))
        rows, expression = as_rows(source, read_array(source, key), key), of_array(source, key)
        mask, notes = read_mask(source, name, (key,), len(rows))
    elif kind == "npy":
        rows, expression = as_rows(source, read_npy(source)), of_array(source)
    else:
        sheet = read_rows(source, most, channels or AXES, name if masked else "", fixed)
        rows, notes, lines = _columns(source, sheet, channels)
        expression = sheet.expression
    if mask is None:
        mask = np.ones(len(rows), np.bool_)
    rows = np.where(mask[:, None], rows, 0.0)  # NaN is a usual filler of rows that are not there
    with np.errstate(over="ignore"):  # too large for float32: reported as not finite
        values = rows.astype(np.float32)
    missing = without_missing(expression, name if masked else "", fixed)
    require_finite(source, values, "row", lines or Lines(missing=missing))
    notes = (*notes, *rounded(rows, values, ("row", "column")))
    return Table(values, mask, notes, expression)


def _columns(
    source: Source, sheet: Sheet, channels: Sequence[str]
) -> tuple[Rows, tuple[str, ...], Lines]:
    """The rows of a text, with notes on how its columns are taken, and where they are."""
    rows, names, notes = unindexed(sheet.values, sheet.names)
    lines = Lines(sheet.lines, sheet.values.shape[1] - rows.shape[1], missing=sheet.missing)
    if channels and names and not all(NUMBER.fullmatch(one) for one in names):
        rows, how = as_named(source, rows, names, channels)
        notes, lines = (*notes, *how), replace(lines, names=channels)
    elif names:
        notes = (*notes, f"the columns are taken in their order: {', '.join(names)}")
    return rows, (*sheet.notes, *notes), lines
