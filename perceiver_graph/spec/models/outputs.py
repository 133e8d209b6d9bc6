"""What the outputs of a model are: the queries that ask for them and the heads that form them."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from perceiver_graph.media.kinds import OutputMedia
from perceiver_graph.spec.models.base import (
    Axis,
    Count,
    Form,
    Model,
    Name,
    Number,
    PositiveNumber,
    Size,
)
from perceiver_graph.spec.models.coordinates import Coordinates
from perceiver_graph.spec.models.layers import NormName
from perceiver_graph.spec.models.positions import FourierPosition, Position
from perceiver_graph.spec.models.steps import ActivationName


class Query(Form):
    """What is asked of the latents."""

    what = "a query"
    takes: ClassVar[str] = ""
    """In words, what becomes the answer where nothing is asked: "the mean over the latents"."""


class GridQuery(Query):
    """One query per point of a grid, made of its position alone."""

    grid: Annotated[dict[Axis, Size], Field(min_length=1)]
    """Axes in order with their sizes; the first varies slowest."""
    position: Position
    """What a query is made of."""


class LearnedQueryParameters(Model):
    """Learned query vectors."""

    count: Count = 1
    """How many; the output of a single query has no query axis."""
    width: Count | None = None
    """Channels of a vector (default: the width of the latents)."""
    init_scale: PositiveNumber = 0.02
    """Standard deviation of the initial values."""


class LearnedQuery(Query):
    """Learned query vectors, one per output element."""

    learned: LearnedQueryParameters
    """Their count and width; `{}` takes the defaults."""


class InputsQuery(Query):
    """The tokens of a modality, positions included, are the queries (dense prediction)."""

    inputs: Name
    """The modality."""


class PointsQuery(Query):
    """A query for each point that the caller gives: any number of them, nothing of which is encoded,
    answered each by itself."""

    points: Coordinates
    """The coordinates of a point, which come in an array `NAME.points`: their names, or how many
    there are."""
    vector: Name | None = None
    """An input of a single token, a session by its id say, that each query is made of. The latents do
    not read it (default: none)."""
    position: FourierPosition | None = None
    """What a query is made of, from the coordinates: beside the vector, or added to it. It may be left
    out where there is a vector and `decode` has `rotary` positions, which turn by the coordinates."""


class OutputQuery(Query):
    """The queries of another output, learned vectors included: two heads on one answer."""

    output: Name
    """The other output."""


class MeanQuery(Query):
    """No query: the mean over the latents goes to the head (the original Perceiver)."""

    takes = "the mean over the latents"

    mean: Literal["latents"]
    """What the mean is taken over."""


class LatentsQuery(Query):
    """No query: the latents themselves go to the head, each by itself (a resampler)."""

    takes = "the latents themselves"

    latents: Literal["all"] = "all"
    """Which of them; `query: latents` says the same."""


class BottleneckQuery(Query):
    """No query: mean and log-variance of the variational bottleneck, of each latent, which a loss holds
    against the standard normal distribution."""

    takes = "what the bottleneck makes of the latents"

    bottleneck: Literal["moments"] = "moments"
    """Which of it: the means, then the log-variances; `query: bottleneck` says the same."""


class Head(Form):
    """How an answer is formed."""

    what = "a head"

    norm: NormName | None = None
    """A norm of the result, before the non-linearity (default: none)."""
    norm_epsilon: PositiveNumber | None = None
    """Added to the variance in that norm, or to the mean square in an RMSNorm (default: 1e-5)."""
    activation: ActivationName | None = None
    """A non-linearity of the result."""
    scale: Number | None = None
    """A constant the result is multiplied by."""

    @property
    def channels(self) -> int | None:
        """The channels that come out, where the head says so itself; None of one that does not."""
        return None


class LinearHead(Head):
    """A linear map to the channels of the output."""

    linear: Count
    """The number of channels."""
    bias: bool = True
    """Whether the map has a bias."""

    @property
    def channels(self) -> int:
        """As `linear` says."""
        return self.linear


class MlpParameters(Model):
    """Two linear maps with a non-linearity between them."""

    hidden: Count
    """Width between the two."""
    channels: Count
    """The number of channels that come out."""
    activation: ActivationName = "tanh"
    """The non-linearity."""
    bias: bool = True
    """Whether the maps have biases."""


class MlpHead(Head):
    """Two linear maps with a non-linearity between them."""

    mlp: MlpParameters
    """Widths and the non-linearity."""

    @property
    def channels(self) -> int:
        """As `mlp` says."""
        return self.mlp.channels


class TiedHead(Head):
    """Logits over a vocabulary: products with the embedding of an input, plus a learned bias."""

    tied_embedding: Name
    """The modality whose embedding is used."""


class Output(Model):
    """Something that is asked of the latents."""

    query: Query
    """What is asked."""
    query_mask: Name | None = None
    """An input with an `attention_mask`: queries at positions that it masks find nothing, as in the
    original (transformers decodes them like the others)."""
    norm: NormName | None = None
    """A norm of the answer, before the head (default: none)."""
    norm_epsilon: PositiveNumber | None = None
    """Added to the variance in that norm, or to the mean square in an RMSNorm (default: 1e-5)."""
    head: Head | None = None
    """How the answer is formed (default: the channels of the decoder, or of the latents, as they are)."""
    media: OutputMedia | None = None
    """How `perceiver-graph run` writes this output to a file."""
