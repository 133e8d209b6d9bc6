"""What a size may be that is known only at run time: specs declare it, and manifests repeat it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from math import lcm
from typing import TYPE_CHECKING


class SizeRange:
    """The multiples of `multiple_of` from `min` to `max` (None: no limit), for classes that have these."""

    __slots__ = ()
    if TYPE_CHECKING:

        @property
        def min(self) -> int: ...
        @property
        def max(self) -> int | None: ...
        @property
        def multiple_of(self) -> int: ...

    @property
    def lowest(self) -> int:
        """The smallest permitted size."""
        return -(-self.min // self.multiple_of) * self.multiple_of

    @property
    def highest(self) -> int | None:
        """The largest permitted size, None if there is no limit."""
        return None if self.max is None else self.max // self.multiple_of * self.multiple_of

    def permits(self, size: int) -> bool:
        """Whether it may be so large."""
        in_range = self.min <= size and (self.max is None or size <= self.max)
        return in_range and size % self.multiple_of == 0

    def at_least(self, size: int) -> int | None:
        """The smallest permitted size that is not below `size`, or None if there is none."""
        found = max(self.lowest, -(-size // self.multiple_of) * self.multiple_of)
        return found if self.permits(found) else None

    @property
    def in_words(self) -> str:
        """`a multiple of 8, 8 to 64`."""
        if self.max is not None and self.lowest + self.multiple_of > self.max:
            return str(self.lowest)
        steps = f"a multiple of {self.multiple_of}, " if self.multiple_of > 1 else ""
        most = f"at least {self.lowest}" if self.max is None else f"{self.lowest} to {self.max}"
        return steps + most


@dataclass(frozen=True, slots=True)
class Symbol(SizeRange):
    """A size known only at run time: a positive multiple of `multiple_of` in `min`..`max`.

    `ValueError` if the name cannot stand in an expression or no size would be permitted.
    """

    name: str
    min: int = 1
    max: int | None = None
    multiple_of: int = 1

    def __post_init__(self) -> None:
        if not re.fullmatch(r"[^\W\d]\w*", self.name):
            raise ValueError(f"{self.name!r} cannot name a dim: use letters, digits and `_`")
        if self.min < 1 or self.multiple_of < 1:
            raise ValueError(f"dim `{self.name}`: min and multiple_of must be at least 1")
        if self.highest is not None and self.highest < self.lowest:
            allowed = f"{self.min}..{self.max}"
            raise ValueError(f"dim `{self.name}`: no multiple of {self.multiple_of} in {allowed}")

    def declaration(self, least: int = 1, most: int | None = None, multiple_of: int = 1) -> str:
        """How a spec declares it where it has to be this, too: `n: {max: 40, multiple_of: 8}`."""
        step = lcm(self.multiple_of, multiple_of)
        low, most = max(self.min, least), self.max or most
        limits = {"min": -(-low // step) * step} if low > 1 else {}
        if most is not None:
            limits["max"] = max(most // step, -(-low // step)) * step
        limits |= {"multiple_of": step} if step > 1 else {}
        return f"{self.name}: {{{', '.join(f'{key}: {value}' for key, value in limits.items())}}}"


def check_symbol(symbol: Symbol, value: int) -> str | None:
    """Which sizes `symbol` permits, if `value` is not one of them, else None."""
    if symbol.permits(value):
        return None
    return f"`{symbol.name}` is {value}, but must be {symbol.in_words}"
