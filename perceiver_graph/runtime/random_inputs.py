"""Random inputs for a model without data: to see that it runs, how long it takes, what comes out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from perceiver_graph.runtime.bindings import refuse_unknown_sizes
from perceiver_graph.runtime.coordinates import is_extra
from perceiver_graph.runtime.sizes import evaluate, symbols
from perceiver_graph.spec.manifest import Dimension, InputEntry, Manifest

_USUAL = 16  # what a symbol is, if it may be


@dataclass(frozen=True, eq=False)
class RandomInputs:
    """Arrays by input; what their symbols are (`sizes`), and what no input says of those given
    (`free`)."""

    arrays: dict[str, NDArray[Any]]
    sizes: dict[str, int]
    free: dict[str, int]


def random_inputs(manifest: Manifest, given: Mapping[str, int], seed: int = 0) -> RandomInputs:
    """Normal numbers and ids of the vocabulary for every input that is not always masked.

    Coordinates are spread over their range.

    A symbol is what is given for it, else 16 or the nearest that is permitted; the batch is 1. The
    same seed gives the same values. Raises DiagnosticError (PG516) for a symbol that is none.
    """
    refuse_unknown_sizes(manifest, given)
    used = {name: entry for name, entry in manifest.inputs.items() if entry.mask != "always"}
    names = dict.fromkeys(name for entry in used.values() for name in symbols(entry.shape))
    sizes = {name: given[name] if name in given else _size(manifest, name) for name in names}
    rng = np.random.default_rng(seed)
    arrays = {name: _values(entry, sizes, rng) for name, entry in used.items()}
    free = {name: value for name, value in given.items() if name not in sizes}
    return RandomInputs(arrays, sizes, free)


def _size(manifest: Manifest, name: str) -> int:
    dimension = manifest.dims.get(name, Dimension())
    if name == "batch":
        return dimension.lowest
    largest = dimension.max or _USUAL
    step = dimension.multiple_of
    return dimension.at_least(_USUAL) or max(dimension.lowest, largest // step * step)


def _numbers(shape: Sequence[int], among: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """Numbers of tokens, each once as far as there are so many."""
    times = -(-shape[-1] // among)
    each = np.broadcast_to(np.tile(np.arange(among), times), (*shape[:-1], among * times))
    return np.sort(rng.permuted(each, axis=-1)[..., : shape[-1]], axis=-1)


def _values(entry: InputEntry, sizes: Mapping[str, int], rng: np.random.Generator) -> NDArray[Any]:
    shape = [evaluate(size, sizes) for size in entry.shape]
    if entry.among is not None:
        return _numbers(shape, evaluate(entry.among, sizes), rng)
    if entry.dtype == "int64":
        return rng.integers(0, entry.vocabularies or entry.vocabulary or 1, shape, np.int64)
    values = rng.standard_normal(shape, np.float32)
    if entry.fourier:  # coordinates, whose place is said nowhere else
        values[..., : entry.fourier] = rng.uniform(-1, 1, (*shape[:-1], entry.fourier))
    if is_extra(entry):
        for channel, bounds in enumerate(entry.ranges or [None] * shape[-1]):
            low, high = bounds or (-1, 1)
            values[..., channel] = rng.uniform(low, high, shape[:-1])
    return values
