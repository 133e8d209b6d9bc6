"""Position encodings. Each says its key and its settings; what it computes is in
`compiler/blocks/position.py`."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import model_serializer

from perceiver_graph.spec.models.base import Axis, Count, Form, Model, Name, PositiveNumber
from perceiver_graph.spec.models.coordinates import Coordinates, Longest, Range, Resolution
from perceiver_graph.spec.models.waves import Waves


class Position(Form):
    """A position encoding."""

    what = "a position encoding"

    combine: Literal["concat", "add"] = "concat"
    """Whether positions stand beside the channels or are added to them."""
    project: Count | None = None
    """Channels of a linear map applied to the positions first."""

    attached: ClassVar[bool] = True
    """Whether it becomes channels of the tokens, or is added to them."""
    shared: ClassVar[tuple[str, ...]] = ()
    """What an input that is like another takes from there, whatever its own size, of the settings
    under its key that are left open."""

    @property
    def pointwise(self) -> bool:
        """Whether a place has the same position however many there are."""
        return False


class FourierParameters(Waves):
    """Sines and cosines of positions, which lie in [-1, 1] unless `wavelengths` or `base` is given."""

    max_resolution: Resolution | None = None
    """Twice the highest frequency of linear spacing: a number for all axes, or one for each (default:
    the size of the axis, or the largest that it may have; coordinates that are given need it)."""
    of: Longest | None = None
    """How many places there are at most, along the axis or each by name: coordinates are then counted,
    the i-th of so many, and are the same whatever the size. Without it they are stretched, from -1 to
    1 over the size at hand. The two differ only where the size of an axis is a symbol."""
    periodic: list[Axis] = []
    """Axes, or coordinates, along which the last point is next to the first, as degrees of longitude
    are. Their frequencies are whole numbers of periods, and they do not stand in front of the sines
    themselves, for they jump where the circle closes."""
    include_position: bool | None = None
    """Whether the coordinates themselves stand in front of the sines (default: true, and false with
    `wavelengths` or `base`)."""
    sine_only: bool = False
    """Leave the cosines out."""
    endpoint: bool | None = None
    """Whether the last position is +1 (as for inputs, the default) or one step before it
    (-1 + 2 i / n, as the reference decodes chosen queries; the default for query grids, and what
    periodic axes have in any case)."""


class FourierPosition(Position):
    """Fourier features of the grid, or of coordinates that the caller gives."""

    shared = ("max_resolution",)

    fourier: FourierParameters
    """Bands and resolutions."""
    given: Coordinates | None = None
    """Coordinates that the caller gives for each token, in an array `NAME.position`: the axes of the
    tokens, then `channel`. Their names, or how many there are."""
    inputs: Name | None = None
    """An input that holds the coordinates of each token in its channels. It is read as they are, not
    as tokens, and may serve several inputs. `given` is the short way to write one of its own."""
    coordinates: list[Name] | None = None
    """What the channels of that input are called, where `max_resolution`, `range` or `periodic` say
    something of one of them."""
    range: Range | None = None
    """Where coordinates that are given lie: the least and the greatest value, of all or of each
    (default: -1 and 1). They are mapped to [-1, 1], but not for `wavelengths` or `base`; others are
    refused, but for periodic ones."""

    @property
    def pointwise(self) -> bool:
        return self.fourier.of is not None or self.fourier.has_lengths


class LearnedPositionParameters(Model):
    """A learned vector per position."""

    width: Count | None = None
    """Channels of a vector (default, when added: those of the data)."""
    of: Longest | None = None
    """How many places there are at most, along the axis or each by name: the table has a row for each
    (default: the size of the axis, or the largest that it may have)."""
    trained_on: dict[Axis, Count] | None = None
    """The grid the table belongs to, where that is another one: it is resized (bicubic) to the grid
    at hand, so that weights trained at one size serve at others."""
    init_scale: PositiveNumber = 0.02
    """Standard deviation of the initial values."""


class LearnedPosition(Position):
    """A learned table of positions."""

    learned: LearnedPositionParameters
    """Its width and initial scale; `{}` takes the defaults."""

    @property
    def pointwise(self) -> bool:
        return not self.learned.trained_on


class RotaryCoordinates(Model):
    """Where the coordinates come from."""

    given: Coordinates | None = None
    """Coordinates that the caller gives for each token, in an array `NAME.position`: the axes of the
    tokens, then `channel`. Their names, or how many there are."""
    inputs: Name | None = None
    """An input that holds the coordinates of each token in its channels."""
    coordinates: list[Name] | None = None
    """What the channels of that input are called."""


class RotaryPosition(Position):
    """Coordinates that are attached to nothing: attention turns by them, where `rotary` of its layers
    asks it to."""

    attached = False

    rotary: RotaryCoordinates
    """Coordinates that are given, or those of an input."""

    @property
    def pointwise(self) -> bool:
        return True


class NoPosition(Position):
    """None: the tokens are a set, in any order the same to the model, or their channels say where each
    is. The same as to leave `position` out, of which `check` warns where nothing tells tokens apart."""

    attached = False

    none: Literal["set"] = "set"
    """That it is meant; `position: none` says the same."""
    combine: Literal["concat"] = "concat"
    """There is nothing to add."""
    project: None = None
    """There is nothing to map."""

    @property
    def pointwise(self) -> bool:
        return True

    @model_serializer
    def _word(self) -> str:
        return "none"
