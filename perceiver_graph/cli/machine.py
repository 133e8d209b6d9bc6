"""What this machine can do at best, measured in a few hundredths of a second or given by the user."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

_SIDE = 640
_NUMBERS = 2**23  # 32 MiB: more than the cache of a core
_SECONDS = 0.01


@dataclass(frozen=True)
class Rates:
    """FLOPs and bytes a second; without bytes, reading is taken to cost nothing."""

    flops: float
    bytes: float | None = None

    def seconds(self, flops: int, read: int) -> float:
        """The least time in which so many FLOPs can be done and so many bytes be read."""
        reading = read / self.bytes if self.bytes else 0.0
        return max(flops / self.flops, reading)

    def text(self) -> str:
        """`152 GFLOP/s and 11 GB/s, measured now`."""
        flops = f"{self.flops / 1e9:.3g} GFLOP/s"
        if self.bytes is None:
            return f"{flops}, as given"
        return f"{flops} and {self.bytes / 1e9:.2g} GB/s, measured now"


def measure() -> Rates:
    """Rates of a float32 matrix product on all cores, and of reading memory."""
    import numpy as np

    a, b, c = (np.ones((_SIDE, _SIDE), np.float32) for _ in range(3))
    numbers = np.ones(_NUMBERS, np.float32)
    product = _fastest(lambda: np.matmul(a, b, out=c))
    reading = _fastest(numbers.max)
    return Rates(2 * _SIDE**3 / product, numbers.nbytes / reading)


def _fastest(work: Callable[[], object]) -> float:
    """Seconds of the fastest of at least two calls: others may be using the machine."""
    began = last = time.perf_counter()
    calls: list[float] = []
    while len(calls) < 2 or last - began < _SECONDS:
        work()
        now = time.perf_counter()
        calls.append(now - last)
        last = now
    return min(calls)
