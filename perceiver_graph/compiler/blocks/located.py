"""Arrays that read or are read, and where their rows are: what rotary positions are made of.

Tokens have the places of a grid, or coordinates that the caller gives; latents that are tokens have those
of the tokens. Which of them turns queries and keys is said where these are made (`rotary.py`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from perceiver_graph.compiler.blocks.context import Axis, Path
from perceiver_graph.compiler.ir.dims import Dim
from perceiver_graph.compiler.ir.graph import Value


@dataclass(frozen=True)
class Stretch:
    """Where a stretch of rows is."""

    what: str
    """In words, what the rows are: "the tokens of `image`"."""
    path: Path
    """Their place in the spec."""
    count: Dim
    """How many rows there are."""
    axes: tuple[Axis, ...] = ()
    """Those of the grid whose points they are, the first slowest; none where they are no such points."""
    chosen: Value | None = None
    """Which of the points: int64 [n]. None for all."""
    coordinates: Value | None = None
    """What is given for each: [.., n, coordinates]."""
    names: tuple[str, ...] = ()
    """What the coordinates are called, if they have names."""
    array: str = ""
    """The array in which the caller gives them."""
    rotary: bool = False
    """Whether the coordinates are said to be rotary positions, and not only features."""


@dataclass(frozen=True)
class Located:
    """Where all rows of an array are, one stretch after the other."""

    name: str
    """What their waves are called after: `input`, `latent`, `query`."""
    parts: tuple[Stretch, ...]
    last: int | None = None
    """How many there are, where they are the last ones of these alone."""
    but_last: int | None = None
    """How many there are behind them, where they are all but these."""
    chosen: Value | None = None
    """Which of these they are, where the caller chooses: int64 [batch, n]."""
    own: bool = False
    """Whether their numbers count themselves alone, so that no other array has such places."""

    @property
    def what(self) -> str:
        first = self.parts[0].what
        if self.chosen is not None:
            return f"those chosen of {first}"
        return f"the last {self.last} of {first}" if self.last else first


@dataclass(frozen=True)
class Rows:
    """An array that reads or is read. Shapes: value [batch, n, width], or [n, width] where it is the
    same for the whole batch; mask bool [batch, n], true where there is a row."""

    width: int
    value: Value | None = None
    """None where something is wrong with it."""
    mask: Value | None = None
    width_from: Path = ("latents", "width")
    """The place of the spec that the width stems from."""
    located: Located | None = None
    """Where they are, for rotary positions."""

    @property
    def array(self) -> Value:
        """The value, where nothing is wrong with it."""
        assert self.value is not None
        return self.value


Arrays = Mapping[str, Rows]
"""What can read or be read, by name."""
