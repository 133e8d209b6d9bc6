"""Which ids an input takes: all of one vocabulary, or in each channel those of its own."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from perceiver_graph.diagnostics.words import joined
from perceiver_graph.spec.manifest import InputEntry


def not_ids(entry: InputEntry, array: NDArray[Any]) -> NDArray[np.bool_]:
    """Where an array holds what is no id of the input."""
    each = entry.vocabularies
    counts: Any = entry.vocabulary or np.iinfo(np.int64).max
    if each and array.shape[-1] == len(each):  # if not, the size is told
        counts = np.array(each)
    wrong: NDArray[np.bool_] = (array < 0) | (array >= counts)
    return wrong


def ids_of(entry: InputEntry) -> str:
    """`0 to 9`, or `0 to 9 in channel 0 and 0 to 3 in channel 1`."""
    if entry.vocabularies:
        counts = enumerate(entry.vocabularies)
        return joined([f"0 to {count - 1} in channel {i}" for i, count in counts], "and")
    return f"0 to {entry.vocabulary - 1}" if entry.vocabulary else "0 and above"
