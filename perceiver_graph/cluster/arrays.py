"""The arrays of an item: archives by the names of inputs, files of one array, and numbers in a table.

They are written as texts, which any engine can carry: `=PATH` is an archive, `NAME=PATH` a file of one
array, `NAME=[1, 2]` the numbers themselves. An item is one element of a batch, so that the axis of the
batch may be left out.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from perceiver_graph.diagnostics import DiagnosticError, escape, quote
from perceiver_graph.media.io import Arrays, Piece, Reading
from perceiver_graph.runtime.inputs import as_element, read_arrays
from perceiver_graph.runtime.named_arrays import array_of, refuse_several
from perceiver_graph.spec.manifest import Manifest


def written(name: str, numbers: Sequence[Any]) -> str | None:
    """Numbers of a table as a text; None for what are no numbers, or lists of unequal length."""
    try:
        if np.asarray(numbers).dtype.kind not in "biuf":
            return None
    except (ValueError, OverflowError):
        return None
    return f"{name}={escape.json(numbers, indent=None, end='')}"


def read(texts: Sequence[str], manifest: Manifest) -> Arrays:
    """The arrays by the names of inputs, each with a batch of one.

    Raises DiagnosticError (PG501 to PG504, PG507, PG512 to PG514, PG603).
    """
    found: dict[str, NDArray[Any]] = {}
    for text in texts:
        name, _, rest = text.partition("=")
        arrays = {name: _single(name, rest)} if name else read_arrays(rest, manifest, element=True)
        for one in arrays.keys() & found.keys():
            message = f"input {quote(one)} is given twice"
            raise DiagnosticError.of("PG512", message, help="give it once")
        found |= arrays
    found = as_element(found, manifest)
    refuse_several(found, manifest)
    return found


def read_as(texts: Sequence[str], arrays: Mapping[str, NDArray[Any]], name: str) -> Reading:
    """Them as what is read for an item, whose one piece they are. `name` is that of the item."""
    files = tuple(Path(path) for path in map(_path, texts) if path)
    stem = Path(name).stem if len(files) == len(texts) == 1 else Path(name).name
    label = str(files[0]) if files else name
    return Reading(label, stem, files, lambda: iter([Piece(dict(arrays))]))


def _path(text: str) -> str:
    """The path in a text, none where it has the numbers."""
    place = text.partition("=")[2]
    return "" if place.startswith("[") else place


def _single(name: str, text: str) -> NDArray[Any]:
    if text.startswith("["):
        numbers = np.asarray(json.loads(text))
        return numbers.astype(float) if numbers.dtype == object else numbers  # null is no number
    return array_of(name, text)
