"""What the outputs of a model are: the queries that ask for them and the heads that form them."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, Tag

from perceiver_graph.spec.models.base import (
    Axis,
    Count,
    Model,
    Name,
    Number,
    PositiveNumber,
    Size,
    keyed,
)
from perceiver_graph.spec.models.inputs import ActivationName, AudioMedia, Position, VideoMedia


class GridQuery(Model):
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


class LearnedQuery(Model):
    """Learned query vectors, one per output element."""

    learned: LearnedQueryParameters
    """Their count and width; `{}` takes the defaults."""


class InputsQuery(Model):
    """The tokens of a modality, positions included, are the queries (dense prediction)."""

    inputs: Name
    """The modality."""


Query = Annotated[
    Annotated[GridQuery, Tag("<grid>")]
    | Annotated[LearnedQuery, Tag("<learned>")]
    | Annotated[InputsQuery, Tag("<inputs>")],
    keyed("a query", ("grid", "learned", "inputs")),
]


class _Head(Model):
    scale: Number | None = None
    """A constant the result is multiplied by."""


class LinearHead(_Head):
    """A linear map to the channels of the output."""

    linear: Count
    """The number of channels."""


class MlpParameters(Model):
    """Two linear maps with a non-linearity between them."""

    hidden: Count
    """Width between the two."""
    channels: Count
    """The number of channels that come out."""
    activation: ActivationName = "tanh"
    """The non-linearity."""


class MlpHead(_Head):
    """Two linear maps with a non-linearity between them."""

    mlp: MlpParameters
    """Widths and the non-linearity."""


class TiedHead(_Head):
    """Logits over a vocabulary: products with the embedding of an input, plus a learned bias."""

    tied_embedding: Name
    """The modality whose embedding is used."""


Head = Annotated[
    Annotated[LinearHead, Tag("<linear>")]
    | Annotated[MlpHead, Tag("<mlp>")]
    | Annotated[TiedHead, Tag("<tied_embedding>")],
    keyed("a head", ("linear", "mlp", "tied_embedding")),
]


class ClassesParameters(Model):
    """Scores over classes."""

    top: Count = 5
    """How many of the best are written."""
    names: list[str] | None = None
    """What the classes are called, in order."""


class ClassesMedia(Model):
    """Class scores; the best are written as JSON."""

    classes: ClassesParameters
    """How many, and their names; `{}` takes the defaults."""


OutputMedia = Annotated[
    Annotated[VideoMedia, Tag("<video>")]
    | Annotated[AudioMedia, Tag("<audio>")]
    | Annotated[ClassesMedia, Tag("<classes>")],
    keyed("a kind of media", ("video", "audio", "classes")),
]


class Output(Model):
    """Something that is asked of the latents."""

    query: Query
    """What is asked."""
    head: Head | None = None
    """How the answer is formed (default: the decoder's channels as they are)."""
    media: OutputMedia | None = None
    """How `perceiver-graph run` writes this output to a file."""
