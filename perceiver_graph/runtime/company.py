"""What the other arrays of a call say about one of them: what would work if it is wrong."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from perceiver_graph.runtime.coordinates import is_extra
from perceiver_graph.runtime.masks import SUFFIX
from perceiver_graph.spec.manifest import Manifest


def shared_batch(manifest: Manifest, given: Mapping[str, Any]) -> int:
    """How many batch elements those arrays have that have all their axes; 1 where they disagree."""
    shapes = {name: tuple(getattr(given.get(name), "shape", ())) for name in manifest.inputs}
    counts = {
        shape[0]
        for name, shape in shapes.items()
        if len(shape) == len(manifest.inputs[name].shape) and not manifest.inputs[name].points_of
    }
    return counts.pop() if len(counts) == 1 else 1


def dispensable(manifest: Manifest, name: str, given: Mapping[str, Any]) -> bool:
    """Whether the call would do without an array that is given: others are, and nothing tells of it."""
    entry = manifest.inputs[name]
    beside = (other for other, one in manifest.inputs.items() if name in one.beside)
    tokens = (n for n, one in manifest.inputs.items() if n != name and not is_extra(one))
    return (
        entry.mask == "optional"
        and not is_extra(entry)
        and not any(one in given for one in (*beside, f"{name}{SUFFIX}"))
        and any(other in given for other in tokens)
    )
