"""How many rows or ids of a file an input takes, and which of its tokens they make."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from perceiver_graph.runtime.sizes import evaluate
from perceiver_graph.spec.arithmetic import reach, solve, words
from perceiver_graph.spec.manifest import Dimension, InputEntry


class Length:
    """The size of the first axis of an input: a number, a symbol or, of one, `2*n + 3`."""

    def __init__(self, entry: InputEntry, dims: Mapping[str, Dimension]) -> None:
        size = entry.shape[1]
        self._entry = entry
        self._size = str(size)
        if isinstance(size, int):
            self._symbol, self._dimension = "", Dimension(min=size, max=size)
        else:
            self._symbol = next(iter(words(size)), "")  # of several, its media would not fit
            self._dimension = dims.get(self._symbol, Dimension())

    def __str__(self) -> str:
        takes = self._dimension.in_words
        plain = self._symbol in ("", self._size)
        return takes if plain else f"`{self._size}`, where `{self._symbol}` is {takes}"

    @property
    def max(self) -> int | None:
        """The greatest length, None if there is none."""
        if self._dimension.max is None:
            return None
        low = self._dimension.lowest
        last = self._dimension.max - (self._dimension.max - low) % self._dimension.multiple_of
        return max(self._at(low), self._at(last))

    def at_least(self, count: int) -> int | None:
        """The smallest length that is not below `count`, or None if there is none."""
        low, step = self._dimension.lowest, self._dimension.multiple_of
        value = reach(self._at, count, low, self._dimension.max, step)
        near = (
            () if value is None else (value - step, value)
        )  # a length may fall as its symbol rises
        lengths = (self._at(one) for one in near if one >= low)
        return min((length for length in lengths if length >= count), default=None)

    def padding(self, added: int) -> tuple[int, int]:
        """How many of so many rows or ids that are added come in front, and how many behind.

        The last tokens are not to be padding where they are the latents.
        """
        return (added, 0) if self._entry.padding == "front" else (0, added)

    def tokens(self, there: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """The attention mask, bool [1, ...], of as many values as are `there`, bool [length].

        Steps make a token of several values, as `patch` does: it is there if any of them is.
        """
        mask, axis = self._entry.attention_mask, self._entry.axes[1]
        assert mask is not None
        low, step = self._dimension.lowest, self._dimension.multiple_of
        value = solve(self._at, len(there), low, self._dimension.max, step)
        sizes = {"batch": 1} if value is None else {"batch": 1, self._symbol: value}
        shape = [evaluate(size, sizes) for size in mask.shape]
        if axis not in mask.axes:
            return np.full(shape, there.any())
        place = mask.axes.index(axis)
        begins = np.arange(shape[place]) * len(there)
        before = np.concatenate([[0], np.cumsum(there)])
        ends = -(-(begins + len(there)) // shape[place])
        found = before[ends] > before[begins // shape[place]]
        along = [-1 if index == place else 1 for index in range(len(shape))]
        return np.ascontiguousarray(np.broadcast_to(found.reshape(along), shape))

    def _at(self, value: int) -> int:
        return evaluate(self._size, {self._symbol: value}) if self._symbol else value
