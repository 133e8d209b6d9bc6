"""Rotary positions: queries and keys are turned by angles that grow with where they are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from perceiver_graph.compiler.ir.dims import format_shape
from perceiver_graph.compiler.ir.op import Array, Op, TensorType, require
from perceiver_graph.compiler.ops.lazy import np

Pairs = Literal["interleaved", "halves"]


@dataclass(frozen=True)
class Rotary(Op):
    """Pairs of channels turned by angles: (a, b) -> (a cos - b sin, b cos + a sin), in each head.

    Shapes: x [.., n, heads * d], waves [n, w] or [.., n, w] -> [.., n, heads * d]. The waves are the
    sines, then the cosines, of w / 2 angles, as Fourier features without coordinates are; the first w
    channels of a head are turned, the others stay. Pairs are channels 2 i and 2 i + 1, `interleaved`,
    or i and w / 2 + i, `halves`. `inverse` turns back, by the angles with the other sign.

    RoFormer, Su et al., 2021: of queries and keys so turned, the products depend on the differences of
    their angles alone.
    """

    name = "rotary"
    operands = ("x", "waves")
    quiet = ("pairs", "inverse")
    mixes = "channels"
    heads: int = 1
    pairs: Pairs = "interleaved"
    inverse: bool = False

    def infer(self, *inputs: TensorType) -> TensorType:
        x, waves = inputs
        require(
            2 <= waves.rank <= x.rank and waves.shape[:-1] == x.shape[x.rank - waves.rank : -1],
            f"rotary needs waves for each of {format_shape(x.shape[:-1])} rows, got {waves}",
        )
        width, turned = int(x.shape[-1]), int(waves.shape[-1])
        require(
            width % self.heads == 0, f"rotary needs heads that divide {width}, got {self.heads}"
        )
        require(
            turned % 2 == 0 and 0 < turned <= width // self.heads,
            f"rotary needs pairs within heads of {width // self.heads} channels, got {turned}",
        )
        return x

    def evaluate(self, *inputs: Array) -> Array:
        x, waves = inputs
        sine, cosine = np.split(waves[..., None, :].astype(x.dtype), 2, axis=-1)
        sine = -sine if self.inverse else sine
        found = x.reshape(*x.shape[:-1], self.heads, -1).copy()
        turned = waves.shape[-1]
        first, second = self.places(turned)
        a, b = found[..., first], found[..., second]
        found[..., first], found[..., second] = a * cosine - b * sine, b * cosine + a * sine
        return found.reshape(x.shape)

    def places(self, turned: int) -> tuple[slice, slice]:
        """Where the first and the second channels of the pairs are in a head."""
        if self.pairs == "interleaved":
            return slice(0, turned, 2), slice(1, turned, 2)
        return slice(0, turned // 2), slice(turned // 2, turned)
