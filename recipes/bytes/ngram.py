"""What a model has to beat: an n-gram model of bytes, with Witten and Bell's smoothing."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray


class NGrams:
    """How likely a byte is after those before it, of an order of 8 at most.

    Of each order the estimate is (count + kinds * estimate of the order below) / (all + kinds), where
    `kinds` is how many different bytes have followed what stands before (Witten and Bell, 1991).
    """

    def __init__(self, texts: Iterable[bytes], order: int) -> None:
        # A zero, which no text has, ends each; so many that nothing is read past them.
        text = np.frombuffer((b"\0" * order).join([b"", *texts]), np.uint8)
        self.order = order
        self._known: dict[bytes, NDArray[np.int64]] = {}
        self._sorted: list[tuple[NDArray[np.uint64], NDArray[np.uint8]]] = []
        before = np.zeros(len(text), np.uint64)
        """The bytes before each place as one number, the nearest as its last digit of 256."""
        for count in range(order):
            if count:
                before[count:] += text[:-count].astype(np.uint64) << np.uint64(8 * (count - 1))
            places = np.argsort(before, kind="stable")
            self._sorted.append((before[places], text[places]))

    def after(self, text: bytes) -> NDArray[np.float64]:
        """How likely each byte is to come next, [256]."""
        found = np.full(256, 1 / 256)
        for count in range(min(self.order, len(text) + 1)):
            times = self._times(text[len(text) - count :])
            kinds = np.count_nonzero(times)
            if not kinds:
                break
            found = (times + kinds * found) / (times.sum() + kinds)
        return found

    def _times(self, given: bytes) -> NDArray[np.int64]:
        """How often each byte has followed these, [256]."""
        if given not in self._known:
            before, followed = self._sorted[len(given)]
            number = np.uint64(int.from_bytes(given))
            first, last = np.searchsorted(before, number), np.searchsorted(before, number, "right")
            self._known[given] = np.bincount(followed[first:last], minlength=256)
        return self._known[given]
