"""The root of the spec language: inputs, join, latents, encode, process, decode, outputs."""

from __future__ import annotations

from math import prod
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Discriminator, Field, Tag
from pydantic_core import PydanticCustomError

from perceiver_graph.spec.glance import Glance, Glanced
from perceiver_graph.spec.models.base import (
    Axis,
    Count,
    Model,
    ModelName,
    Name,
    PositiveNumber,
    Size,
)
from perceiver_graph.spec.models.coordinates import Range
from perceiver_graph.spec.models.inputs import AnyInput, Input, written_out
from perceiver_graph.spec.models.layers import (
    AttentionLayers,
    Decode,
    Encode,
    Key,
    Layers,
    NormName,
    Process,
    WidthPadding,
    styled,
    where,
)
from perceiver_graph.spec.models.outputs import Output

FORMAT_VERSION = 1


def _integer(value: Any) -> Any:
    """`true` and `1.0` equal 1, which is all that a literal asks for."""
    if type(value) is not int:
        raise PydanticCustomError("literal_error", "expected {expected}", {"expected": "1"})
    return value


Version = Annotated[Literal[1], BeforeValidator(_integer)]


class SymbolDeclaration(Model):
    """A size that is known only at run time."""

    min: Count = 1
    """The smallest value."""
    max: Count | None = None
    """The largest value (default: no limit)."""
    multiple_of: Count = 1
    """A number that divides every value."""


class Join(Model):
    """How the tokens of several modalities become one array."""

    padding: WidthPadding | None = None
    """Learned channels up to a common width; needed where the modalities' widths differ."""


class Latents(Model):
    """The learned latent array."""

    count: Size
    """How many latents there are: a number, or a size of the inputs, of which the first so many of the
    table are taken, which has a row for each that there may be."""
    per: Annotated[dict[Axis, Count], Field(min_length=1)] | None = None
    """Axes in order with their sizes: the latents stand at each place of them, as many times as there
    are places, and start from the same vectors (default: they stand once)."""
    width: Count
    """Channels of a latent."""
    range: Range | None = None
    """Where they lie, for `rotary` positions: evenly from the least to the greatest value, each in the
    middle of its share. With `per`, it is the places that lie so, with all their latents, along each axis
    in the same range or in its own: `{height: [0, 224], width: [0, 224]}`."""
    init_scale: PositiveNumber = 0.02
    """Standard deviation of the initial values."""

    @property
    def total(self) -> int:
        """How many latents there are at all places together, where that is known."""
        assert isinstance(self.count, int)
        return self.count * prod((self.per or {}).values())


class Bottleneck(Model):
    """Few numbers for each latent, between what it has read and what is made of it: a variational
    autoencoder (3DShape2VecSet, arXiv 2301.11445)."""

    variational: Count
    """How many: the channels of a normal distribution, mapped to from the latents and back. A sample of
    it goes on in training, in the PyTorch module; else its mean."""
    norm: NormName | None = None
    """A norm of the latents before (default: none)."""
    norm_epsilon: PositiveNumber | None = None
    """Added to the variance in that norm, or to the mean square in an RMSNorm (default: 1e-5)."""


class TokenLatents(Model):
    """Latents that are made of the inputs: the last tokens of one (Perceiver AR)."""

    of: Name
    """The input, which is the last one where there are several."""
    last: Count
    """How many of its tokens, which there are at least."""

    @property
    def count(self) -> int:
        """How many latents there are."""
        return self.last

    @property
    def total(self) -> int:
        """The same: each stands at its own place."""
        return self.last


class ChosenLatents(Model):
    """Latents that are made of those tokens of an input that the caller chooses: points far from each
    other, say, of a cloud (3DShape2VecSet, arXiv 2301.11445)."""

    of: Name
    """The input, which is the first one where there are several."""
    chosen: Count
    """How many of its tokens. Their numbers, counted from 0, come in an array `NAME.chosen`: the places
    of `over`, if there are any, then `latent`."""

    @property
    def count(self) -> int:
        """How many latents there are."""
        return self.chosen

    @property
    def total(self) -> int:
        """The same: none stands at several places."""
        return self.chosen


def _latents(value: Any) -> str:
    if isinstance(value, ChosenLatents) or (isinstance(value, dict) and "chosen" in value):
        return "<chosen>"
    made = isinstance(value, TokenLatents) or (
        isinstance(value, dict) and bool({"of", "last"} & value.keys())
    )
    return "<of>" if made else "<count>"


AnyLatents = Annotated[
    Annotated[Latents, Tag("<count>")]
    | Annotated[TokenLatents, Tag("<of>")]
    | Annotated[ChosenLatents, Tag("<chosen>")],
    Discriminator(_latents),
]


class Spec(Glanced, Model):
    """A Perceiver: what goes in, how it is encoded in latents, what is asked of them."""

    perceiver: Version
    """Version of the spec language."""
    name: ModelName
    """What the model is called; names its artifact."""
    summary: str = ""
    """One line on what it does and where it comes from."""
    dialect: Literal["huggingface", "deepmind"] = "huggingface"
    """Which reference implementation the numerics follow where the two differ."""
    dims: dict[Name, SymbolDeclaration] = {}
    """Symbols that sizes may use, with their ranges. `batch` is always there."""
    inputs: Annotated[dict[Name, AnyInput], Field(min_length=1)]
    """The modalities, in the order in which their tokens are joined."""
    join: Join | None = None
    """How their tokens become one array."""
    latents: AnyLatents
    """The latent array: learned, or made of tokens of an input, the last ones or those that are chosen."""
    layers: Layers | None = None
    """How all layers are built, where `encode`, `process` and `decode` say nothing else."""
    encode: Encode = Encode()
    """How the latents read the inputs."""
    bottleneck: Bottleneck | None = None
    """Few numbers for each latent between `encode` and `process`."""
    process: Process
    """How the latents think."""
    decode: Decode = Decode()
    """How the queries read the latents."""
    outputs: Annotated[dict[Name, Output], Field(min_length=1)]
    """What is asked."""

    @property
    def modalities(self) -> dict[str, Input]:
        """The inputs, those that are like others written out; without those that are like nothing."""
        return written_out(self.inputs)

    @property
    def last_of(self) -> str | None:
        """The input whose last tokens the latents are, as in Perceiver AR; None where they are others."""
        return self.latents.of if isinstance(self.latents, TokenLatents) else None

    def own(self, key: Key) -> AttentionLayers:
        """The layers of a part as it says them itself."""
        found: Any = self
        for word in where(key):
            found = getattr(found, word)
        assert isinstance(found, AttentionLayers)
        return found

    def attention(self, key: Key) -> AttentionLayers:
        """The layers of a part, with what is said of all layers."""
        return styled(self.own(key), self.layers)

    def _glance(self) -> Glance:
        inputs = [
            (f"input {name}", ", ".join(f"{axis} {size}" for axis, size in entry.shape.items()))
            for name, entry in self.modalities.items()
        ]
        layers = f"{self.process.blocks} x {self.process.layers} layers"
        outputs = [(f"output {name}", _asked(entry)) for name, entry in self.outputs.items()]
        made = self.latents
        width = made.width if isinstance(made, Latents) else f"tokens of {made.of}"
        latents = ("latents", f"{made.count} x {width}")
        about = f": {self.summary}" if self.summary else ""
        return Glance(f"Spec {self.name}{about}", (*inputs, latents, ("process", layers), *outputs))


def _asked(output: Output) -> str:
    return f"{type(output.query).__name__.removesuffix('Query').lower()} query"
