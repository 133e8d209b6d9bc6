"""Inputs that lie at more places than memory holds, some rows of places at a time.

Places know nothing of each other, so that a part by itself has the numbers that it has among all.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from perceiver_graph.runtime.masks import SUFFIX
from perceiver_graph.spec.manifest import USUAL_MEMORY, Manifest


def parts(
    manifest: Manifest, sizes: Mapping[str, int], memory: int | None
) -> list[tuple[int, int]]:
    """The first row of each part and that behind its last; none where nothing has to be cut.

    A part takes no more than `memory`, in bytes, and than is usual: more at a time gains nothing.
    """
    cut = manifest.places
    if cut is None:
        return []
    rows, room = sizes[cut.size], min(memory or USUAL_MEMORY, USUAL_MEMORY)
    room = room // sizes.get("batch", 1) - cut.memory.fixed
    most = max(room // max(cut.memory.per_query, 1), 1)
    if most >= rows:
        return []
    length = -(-rows // -(-rows // most))
    return [(start, min(start + length, rows)) for start in range(0, rows, length)]


def each(
    manifest: Manifest,
    parts: Sequence[tuple[int, int]],
    inputs: Mapping[str, Any],
    run: Callable[[Mapping[str, Any]], dict[str, NDArray[np.float32]]],
    progress: Callable[[int, int], None] | None,
) -> dict[str, NDArray[np.float32]]:
    """What `run` gives for one part after the other, together."""
    results: dict[str, NDArray[np.float32]] = {}
    for done, (start, stop) in enumerate(parts):
        put(manifest, results, run(part_of(manifest, inputs, start, stop)), start, parts[-1][1])
        if progress is not None:
            progress(done + 1, len(parts))
    return results


def part_of(
    manifest: Manifest, given: Mapping[str, Any], start: int, stop: int
) -> dict[str, NDArray[Any]]:
    """The arrays of a call between two rows. What has no such axis is the same for all places."""
    assert manifest.places is not None
    axis = manifest.places.axis
    found = {}
    for name, value in given.items():
        entry = manifest.inputs.get(name)
        axes = entry.axes if entry else []
        if entry is None and (masked := manifest.inputs.get(name.removesuffix(SUFFIX))):
            axes = masked.attention_mask.axes if masked.attention_mask else []
        array = np.asarray(value)
        at = (slice(None),) * axes.index(axis) if axis in axes else ()
        found[name] = array[(*at, slice(start, stop))] if axis in axes else array
    return found


def put(
    manifest: Manifest,
    results: dict[str, NDArray[np.float32]],
    found: Mapping[str, NDArray[np.float32]],
    start: int,
    rows: int,
) -> None:
    """Write what was found of a part, from the row `start` on, into the results of all rows."""
    assert manifest.places is not None
    for name, part in found.items():
        at = manifest.outputs[name].axes.index(manifest.places.axis)
        whole = (*part.shape[:at], rows, *part.shape[at + 1 :])
        if name not in results:
            results[name] = np.empty(whole, np.float32)
        array = results[name]
        array[(*(slice(None),) * at, slice(start, start + part.shape[at]))] = part
