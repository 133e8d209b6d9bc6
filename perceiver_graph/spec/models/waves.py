"""Which waves make Fourier features: of positions, and of coordinates that a step replaces."""

from __future__ import annotations

from typing import Literal

from perceiver_graph.spec.models.base import Count, Model, PositiveNumber
from perceiver_graph.spec.models.coordinates import Wavelengths


class Waves(Model):
    """Which waves Fourier features are made of, and how their channels are ordered."""

    bands: Count
    """Frequencies per axis; the width is axes x (2 x bands + 1)."""
    spacing: Literal["linear", "octaves"] | None = None
    """How frequencies are spaced: `linear` (the default), from 1 to max_resolution / 2 in equal steps,
    or `octaves`: 1, 2, 4 .. 2^(bands - 1), each twice the one before, with no `max_resolution`."""
    pi: bool | None = None
    """Whether octaves are multiplied by pi (the default): sin(pi 2^k x), of which the first is one
    period from -1 to 1; `false` makes them sin(2^k x)."""
    wavelengths: Wavelengths | None = None
    """In place of frequencies, the shortest and the longest wave: sin(2 pi x / w), where w goes from
    one to the other in equal ratios. They are in the unit of the coordinates, which are taken as they
    are, and on a grid are the numbers of the places: 0, 1, 2 .."""
    base: PositiveNumber | None = None
    """In place of frequencies, sin(x / base^(k / bands)) for k = 0 .. bands - 1, of coordinates as with
    `wavelengths`: with 10000, the sinusoids of the Transformer."""
    order: Literal["waves", "axes"] | None = None
    """How channels are ordered: `waves` (the default), the coordinates, the sines of all axes, their
    cosines; or `axes`, of one axis after the other its sines, its cosines, its coordinate."""

    @property
    def has_lengths(self) -> bool:
        """Whether waves are given by their lengths, in the unit of the coordinates."""
        return self.wavelengths is not None or self.base is not None

    @property
    def in_unit(self) -> bool:
        """Whether coordinates are taken to lie in [-1, 1]."""
        return not self.has_lengths and self.pi is not False
