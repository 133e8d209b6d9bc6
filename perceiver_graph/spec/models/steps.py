"""The steps that turn an array into tokens. Each says its key and its settings; what it does is in
`compiler/blocks/steps.py`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal

from pydantic import BeforeValidator, Field
from pydantic.json_schema import WithJsonSchema
from pydantic_core import PydanticCustomError

from perceiver_graph.spec.models.base import (
    LARGEST,
    NAME_PATTERN,
    Axis,
    Count,
    Form,
    Model,
    NonNegative,
    PositiveNumber,
)
from perceiver_graph.spec.models.coordinates import Lengths, Vocabulary
from perceiver_graph.spec.models.waves import Waves

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
    ids: ClassVar[tuple[str, ...]] = ()
    """Where in it the number of ids stands that it looks up; empty for a step that takes numbers."""
    pointwise: ClassVar[bool] = False
    """Whether what becomes of a token depends on its own place alone, not on how many there are."""
    places: ClassVar[bool] = False
    """Whether the channels that come out say where a token is, so that it needs no position."""

    @property
    def vocabulary(self) -> int | Mapping[str, int] | None:
        """How many ids it looks up, if it takes ids: where a token has several, that of each."""
        found: Any = self
        for key in self.ids:
            found = getattr(found, key)
        return found if self.ids else None


class Patch(Step):
    """Space to depth: fold neighbouring positions into channels (first axis slowest)."""

    patch: Annotated[dict[Axis, Count], Field(min_length=1)]
    """How many neighbours along each axis become one token; each must divide the axis."""


class Linear(Step):
    """A linear map of the channels."""

    pointwise = True

    linear: Count
    """The number of channels that come out."""
    bias: bool = True
    """Whether it has a bias."""


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

    pointwise = True

    batch_norm: BatchNormParameters
    """Its constants; `{}` takes the defaults."""


class Activation(Step):
    """A non-linearity."""

    pointwise = True

    activation: ActivationName
    """Which one; `gelu` is exact (erf), `gelu_tanh` its usual approximation."""


class EmbeddingParameters(Model):
    """A learned vector per id."""

    vocabulary: Vocabulary
    """How many ids there are. Where a token has several, of a unit and of a kind say, that of each by
    name: the input has a `channel` for each, in this order, and their vectors are added up."""
    width: Count
    """The number of channels of a vector."""


class Embedding(Step):
    """Look up a learned vector for each id, or the sum of those of several; the input holds int64 ids,
    with a channel axis only where a token has several."""

    ids = ("embedding", "vocabulary")
    pointwise = True

    embedding: EmbeddingParameters
    """Vocabulary and width."""


class OneHot(Step):
    """Turn class ids into vectors of zeros and a one; the input holds int64 ids, no channels."""

    ids = ("one_hot",)
    pointwise = True

    one_hot: Count
    """How many classes there are."""


class Squeeze(Step):
    """Drop an axis of size 1."""

    squeeze: Axis
    """Which axis."""


class FourierFeaturesParameters(Waves):
    """Sines and cosines of coordinates that the caller gives."""

    wavelengths: Lengths | None = None
    """In place of frequencies, the shortest and the longest wave, in the unit of the coordinates."""
    max_resolution: PositiveNumber | None = None
    """Twice the highest frequency, which linear spacing needs."""
    channels: Count | None = None
    """How many of the channels, counted from the first, are coordinates; the others follow the
    features unchanged (default: all)."""


class FourierFeatures(Step):
    """Replace coordinates in [-1, 1] by themselves, their sines and their cosines; with `wavelengths`
    or `base`, coordinates of any size by their sines and cosines."""

    pointwise = True
    places = True

    fourier: FourierFeaturesParameters
    """Bands and resolution; c coordinates become c x (2 x bands + 1) channels."""
