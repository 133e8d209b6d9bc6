"""Times what runs from arrays in the memory of the host to arrays there."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.gpu.plan import Plan
from benchmarks.works import Arrays, Work, comparable

_LEAST, _MOST = 3, 30
BASE = "eager fp32"
"""With whose outputs all others are compared: transformers in float32, on the same device."""


def first(run: Callable[[], Arrays]) -> tuple[Arrays, float]:
    """The outputs of the first run, and its seconds: kernels are loaded and memory is taken in it."""
    began = time.perf_counter()
    outputs = run()
    return outputs, time.perf_counter() - began


def median(run: Callable[[], Arrays], seconds: float) -> tuple[float, int]:
    """Median seconds of the runs that fit into `seconds`, 3 at least, after one that does not count."""
    run()
    taken: list[float] = []
    ends = time.perf_counter() + seconds
    while len(taken) < _LEAST or (time.perf_counter() < ends and len(taken) < _MOST):
        began = time.perf_counter()
        run()
        taken.append(time.perf_counter() - began)
    return statistics.median(taken), len(taken)


def kept(plan: Plan, work: Work) -> Path:
    """Where the outputs of `BASE` are, for the processes that compare with them."""
    return Path(plan.folder) / "outputs" / f"{work.name}.base.npz"


def keep(plan: Plan, work: Work, outputs: Mapping[str, NDArray[Any]]) -> None:
    """Write the outputs of `BASE`."""
    path = kept(plan, work)
    path.parent.mkdir(parents=True, exist_ok=True)
    parts: dict[str, Any] = comparable(work, outputs, ours=False)
    np.savez(path, **parts)


def difference(
    plan: Plan, work: Work, outputs: Mapping[str, NDArray[Any]], *, ours: bool
) -> float | None:
    """The largest difference from `BASE` as a share of its largest output; None without `BASE`.

    Not finite where the outputs are not: no value that is not a number counts as equal.
    """
    if not kept(plan, work).exists():
        return None
    with np.load(kept(plan, work)) as base:
        found = comparable(work, outputs, ours=ours)
        return max(
            float(np.abs(found[name].astype(np.float64) - base[name]).max())
            / float(np.abs(base[name]).max())
            for name in base
        )
