"""Pieces of equal shapes as one batch, and its results as those of each piece."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from perceiver_graph.media.io import Arrays, Piece

Shape = tuple[tuple[str, tuple[int, ...], str], ...]


@dataclass(eq=False)
class Waiting:
    """A piece of an item that waits for its turn."""

    owner: str
    index: int
    piece: Piece
    notes: tuple[str, ...] = ()
    shape: Shape = field(init=False)

    def __post_init__(self) -> None:
        arrays = self.piece.arrays.items()
        self.shape = tuple(sorted((n, a.shape[1:], a.dtype.str) for n, a in arrays))


class Batches:
    """Pieces in the order they came, given out in batches of up to `most` of equal shapes."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._waiting: deque[Waiting] = deque()

    def __bool__(self) -> bool:
        return bool(self._waiting)

    def add(self, one: Waiting) -> None:
        """One more piece."""
        self._waiting.append(one)

    def drop(self, owner: str) -> None:
        """Forget the pieces of an item."""
        self._waiting = deque(one for one in self._waiting if one.owner != owner)

    def take(self, *, whole: bool) -> list[Waiting]:
        """The oldest piece with those of its shapes; `whole`: only if that makes a batch, or if so
        many others wait that it may be long until there is one."""
        if not self._waiting:
            return []
        shape = self._waiting[0].shape
        found = [one for one in self._waiting if one.shape == shape][: self._most]
        if whole and len(found) < self._most and len(self._waiting) < 2 * self._most:
            return []
        taken = set(map(id, found))
        self._waiting = deque(one for one in self._waiting if id(one) not in taken)
        return found


def stacked(group: Sequence[Waiting]) -> Arrays:
    """The arrays of pieces of equal shapes, one after the other along the batch."""
    if len(group) == 1:
        return group[0].piece.arrays
    names = group[0].piece.arrays
    return {name: np.concatenate([one.piece.arrays[name] for one in group]) for name in names}


def split(results: Mapping[str, NDArray[Any]], count: int) -> list[Arrays]:
    """The results of each piece of a batch."""
    return [{name: array[i : i + 1] for name, array in results.items()} for i in range(count)]
