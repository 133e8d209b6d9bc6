"""What the inputs of a model are: modalities, the steps that turn them into tokens, positions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Discriminator, Field, Tag
from pydantic.json_schema import WithJsonSchema
from pydantic_core import PydanticCustomError

from perceiver_graph.media.base import kind_of
from perceiver_graph.media.kinds import CLIP, InputMedia
from perceiver_graph.spec.models.base import (
    LARGEST,
    NAME_PATTERN,
    Axis,
    Count,
    Form,
    Model,
    Name,
    NonNegative,
    PositiveNumber,
    Size,
)
from perceiver_graph.spec.models.coordinates import Coordinates, Longest, Range, Resolution

ActivationName = Literal["gelu", "gelu_tanh", "relu", "silu", "sigmoid", "tanh"]


def _padding(value: Any) -> Any:
    valid = isinstance(value, str) and value in ("same", "valid")
    if valid or (
        isinstance(value, dict)
        and all(isinstance(k, str) for k in value)
        and all(type(v) is int and 0 <= v <= LARGEST for v in value.values())
    ):
        return value
    raise PydanticCustomError("padding", "expected `same`, `valid` or a size for each axis")


Padding = Annotated[
    str | dict[Axis, NonNegative],
    BeforeValidator(_padding),
    WithJsonSchema(
        {
            "anyOf": [
                {"enum": ["same", "valid"]},
                {
                    "type": "object",
                    "propertyNames": {"pattern": NAME_PATTERN, "maxLength": 64},
                    "additionalProperties": {"type": "integer", "minimum": 0, "maximum": LARGEST},
                },
            ]
        }
    ),
]
"""Zeros around each axis: `same` (output = ceil(input / stride)), `valid` (none), or a number."""


class Step(Form):
    """What happens to an array on the way to tokens."""

    what = "a step"


class Patch(Step):
    """Space to depth: fold neighbouring positions into channels (first axis slowest)."""

    patch: Annotated[dict[Axis, Count], Field(min_length=1)]
    """How many neighbours along each axis become one token; each must divide the axis."""


class Linear(Step):
    """A linear map of the channels."""

    linear: Count
    """The number of channels that come out."""


class ConvParameters(Model):
    """A convolution over the named axes; the other axes are treated as batch."""

    channels: Count
    """The number of channels that come out."""
    kernel: Annotated[dict[Axis, Count], Field(min_length=1, max_length=3)]
    """The window along each axis."""
    stride: dict[Axis, Count] = {}
    """The step along each axis (default 1)."""
    padding: Padding | None = None
    """Zeros around each axis. Default: half the kernel, and `same` in the deepmind dialect."""
    bias: bool = True
    """Whether a bias is added."""


class Conv(Step):
    """A convolution."""

    conv: ConvParameters
    """Channels, kernel, stride and padding."""


class MaxPoolParameters(Model):
    """The maximum over windows."""

    window: Annotated[dict[Axis, Count], Field(min_length=1, max_length=3)]
    """The window along each axis."""
    stride: dict[Axis, Count] = {}
    """The step along each axis (default: the window)."""
    padding: Padding | None = None
    """Positions around each axis that never win. Default: none, and `same` in the deepmind
    dialect."""


class MaxPool(Step):
    """Max pooling."""

    max_pool: MaxPoolParameters
    """Window, stride and padding."""


class BatchNormParameters(Model):
    """Batch normalisation over all but the channels."""

    epsilon: PositiveNumber = 1e-5
    """Added to the variance."""


class BatchNorm(Step):
    """Batch normalisation with running statistics (inference) or batch statistics (training)."""

    batch_norm: BatchNormParameters
    """Its constants; `{}` takes the defaults."""


class Activation(Step):
    """A non-linearity."""

    activation: ActivationName
    """Which one; `gelu` is exact (erf), `gelu_tanh` its usual approximation."""


class EmbeddingParameters(Model):
    """A learned vector per id."""

    vocabulary: Count
    """How many ids there are."""
    width: Count
    """The number of channels of a vector."""


class Embedding(Step):
    """Look up a learned vector for each id; the input holds int64 ids and has no channel axis."""

    embedding: EmbeddingParameters
    """Vocabulary and width."""


class OneHot(Step):
    """Turn class ids into vectors of zeros and a one; the input holds int64 ids, no channels."""

    one_hot: Count
    """How many classes there are."""


class Squeeze(Step):
    """Drop an axis of size 1."""

    squeeze: Axis
    """Which axis."""


class FourierFeaturesParameters(Model):
    """Sines and cosines of coordinates that the caller gives."""

    bands: Count
    """Frequencies per coordinate."""
    max_resolution: PositiveNumber
    """Twice the highest frequency."""
    channels: Count | None = None
    """How many of the channels, counted from the first, are coordinates; the others follow the
    features unchanged (default: all)."""


class FourierFeatures(Step):
    """Replace coordinates in [-1, 1] by themselves, their sines and their cosines."""

    fourier: FourierFeaturesParameters
    """Bands and resolution; c coordinates become c x (2 x bands + 1) channels."""


class FourierParameters(Model):
    """Sines and cosines of positions in [-1, 1], frequencies from 1 to max_resolution / 2."""

    bands: Count
    """Frequencies per axis; the width is axes x (2 x bands + 1)."""
    max_resolution: Resolution | None = None
    """Twice the highest frequency: a number for all axes, or one for each (default: the size of the
    axis, or the largest that it may have; coordinates that are given need it)."""
    of: Longest | None = None
    """How many places there are at most, along the axis or each by name: coordinates are then counted,
    the i-th of so many, and are the same whatever the size. Without it they are stretched, from -1 to
    1 over the size at hand. The two differ only where the size of an axis is a symbol."""
    periodic: list[Axis] = []
    """Axes, or coordinates, along which the last point is next to the first, as degrees of longitude
    are. Their frequencies are whole numbers of periods, and they do not stand in front of the sines
    themselves, for they jump where the circle closes."""
    include_position: bool = True
    """Whether the coordinates themselves stand in front of the sines."""
    sine_only: bool = False
    """Leave the cosines out."""
    endpoint: bool | None = None
    """Whether the last position is +1 (as for inputs, the default) or one step before it
    (-1 + 2 i / n, as the reference decodes chosen queries; the default for query grids, and what
    periodic axes have in any case)."""


class Position(Form):
    """A position encoding."""

    what = "a position encoding"

    combine: Literal["concat", "add"] = "concat"
    """Whether positions stand beside the channels or are added to them."""
    project: Count | None = None
    """Channels of a linear map applied to the positions first."""


class FourierPosition(Position):
    """Fourier features of the grid, or of coordinates that the caller gives."""

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
    (default: -1 and 1). They are mapped to [-1, 1]; others are refused, but for periodic ones."""


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


class Input(Model):
    """A modality: an array with named axes and how it becomes tokens."""

    shape: dict[Axis, Size]
    """Axes in order with their sizes, without batch. The features, if any, are `channel`, last."""
    steps: list[Step] = []
    """What happens to the array before positions are attached, in order."""
    position: Position | None = None
    """The position encoding of the axes that remain after the steps."""
    mask: Literal["always", "optional", "never"] | None = None
    """Whether a learned mask token stands for the modality: `always`, `optional` (when the input is
    left out) or `never`. Default: `optional` where a `join` is declared, else `never`."""
    attention_mask: bool = False
    """Whether the caller may say which tokens are there, one boolean each (true: attend to it), in
    an array called `NAME.attention_mask`. Without it, all are."""
    media: InputMedia | None = None
    """Which part of a media file `perceiver-graph run` fills this input from."""


class LikeInput(Model):
    """A modality that is made into tokens as another one is, with the same weights."""

    like: Name
    """The other input. Its steps and its position are those of this one, parameters included; what
    they leave open, such as `max_resolution`, is what it is there. A vector or a mask token that
    tells modalities apart is not shared."""
    shape: dict[Axis, Size] | None = None
    """Axes and sizes, where they are not the same: weights that depend on them are refused."""
    mask: Literal["always", "optional", "never"] | None = None
    """As of any input; left out, that of the other."""
    attention_mask: bool | None = None
    """As of any input; left out, that of the other."""
    media: InputMedia | None = None
    """As of any input; left out, that of the other, unless that is a clip, which has one picture
    and one sound."""


def _kind(value: Any) -> str:
    return "<like>" if isinstance(value, LikeInput | dict) and "like" in dict(value) else "<shape>"


AnyInput = Annotated[
    Annotated[Input, Tag("<shape>")] | Annotated[LikeInput, Tag("<like>")], Discriminator(_kind)
]


def written_out(inputs: Mapping[str, Input | LikeInput]) -> dict[str, Input]:
    """The inputs as if those that are like others were written out. Those that are like nothing that
    exists, or like themselves, are left out."""
    found: dict[str, Input] = {}
    for name in inputs:
        chain = like_chain(inputs, name)
        base = inputs.get(chain[-1])
        if not isinstance(base, Input):
            continue
        for other in reversed(chain[:-1]):
            own = inputs[other]
            assert isinstance(own, LikeInput)
            given = {key: value for key in _OWN if (value := getattr(own, key)) is not None}
            if base.media is not None and kind_of(base.media) in CLIP:
                given = {"media": None} | given
            base = base.model_copy(update=given)
        found[name] = base
    return found


_OWN = ("shape", "mask", "attention_mask", "media")


def like_chain(inputs: Mapping[str, Input | LikeInput], name: str) -> list[str]:
    """An input, the one that it is like, the one that this is like ... up to one that is written out,
    one that is not there, or one that stands in the list already."""
    chain = [name]
    while isinstance(one := inputs.get(chain[-1]), LikeInput):
        chain.append(one.like)
        if one.like in chain[:-1]:
            break
    return chain
