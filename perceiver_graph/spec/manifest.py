"""What an artifact says of itself: manifest.json, written by the compiler and read by the runtime.

It lies beside the spec language because it is the other declarative format, and the only thing that
compiler and runtime share.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated, ClassVar, Literal

from pydantic import AfterValidator, Field

from perceiver_graph import limits
from perceiver_graph.choices import MaskUse, Precision
from perceiver_graph.diagnostics.calls import Answering
from perceiver_graph.media.kinds import InputMedia, OutputMedia
from perceiver_graph.spec import foreign
from perceiver_graph.spec.by_name import ByName
from perceiver_graph.spec.glance import Glance, Glanced, Row
from perceiver_graph.spec.manifest_attention import AttentionEntry
from perceiver_graph.spec.manifest_types import Axes, Dotted, Shape, Size, WholeNumber, Words
from perceiver_graph.spec.models.base import (
    Axis,
    Count,
    Model,
    ModelName,
    Name,
    NonNegative,
    PositiveNumber,
)
from perceiver_graph.spec.models.coordinates import MOST, Bounds
from perceiver_graph.spec.programs import Role
from perceiver_graph.spec.symbols import SizeRange

MANIFEST_VERSION = 1
MANIFEST_NAME = "manifest.json"
SPEC_NAME = "spec.yaml"
READING_MEMORY = 96 * 2**20
"""Bytes that a run may always take to read and write files: a codec, and the frames that it keeps."""
USUAL_MEMORY = 2**30
"""Bytes that decoding takes at most where nobody says otherwise: the 182,528 queries of an optical
flow would take several times as much at once."""
CACHED_MEMORY = 2**25
"""Bytes that the queries decoded together take at most on a CPU, so that most of the scores stay in
its caches. Kinetics: 37 us of a core for a query in chunks of 1,568, 42 us in chunks of 6,272;
optical flow: 31 us in chunks of 1,000, 35 us in chunks of 4,000. Fewer queries gain nothing more."""
FEWEST_QUERIES = 1024
"""Queries that are decoded together all the same."""


class FileEntry(Model):
    """A file of the artifact."""

    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    bytes: WholeNumber


class Dimension(SizeRange, Model):
    """What values a symbolic size may take."""

    min: Count = 1
    max: Count | None = None
    multiple_of: Count = 1
    default: Count | None = None
    """What it is where the call does not say, for a size that no input has: the largest."""


class MaskEntry(Model):
    """The attention mask that an input may come with: bool, false where there is no token."""

    axes: Axes
    """`batch` and the axes that count tokens after the steps."""
    shape: Shape
    pointwise: bool = False
    """Whether a token is made of what stands at its own position, whatever the length: masked ones
    at the end may then be left out."""


class InputEntry(Answering, Model):
    """An input array. `mask`: `always` ignores it, `optional` lets it be left out."""

    _instead: ClassVar[Mapping[str, str]] = foreign.OF_INPUTS

    dtype: Literal["float32", "int64"]
    axes: Axes
    """Named axes in order, `batch` first."""
    shape: Shape
    """A number or a symbol for each axis."""
    mask: MaskUse
    vocabulary: Count | None = None
    """For ids: how many there are, counted from 0."""
    vocabularies: Annotated[list[Count], Field(max_length=MOST)] | None = None
    """For ids of which a token has several: how many there are in each channel."""
    attention_mask: MaskEntry | None = None
    """Given as `NAME.attention_mask`; left out, every token is there."""
    beside: list[str] = []
    """Of coordinates, the inputs whose tokens lie there, and of numbers, those whose tokens are chosen:
    given with them and left out with them."""
    among: Size | None = None
    """Of numbers that choose tokens, counted from 0: how many there are."""
    points_of: list[str] = []
    """Of points, the outputs that are asked there: as many as one likes, which decode is given."""
    ranges: list[Bounds | None] | None = None
    """Of coordinates, the least and the greatest value of each channel, if that is said."""
    periods: list[Bounds | None] | None = None
    """Of coordinates, where each channel begins anew, and where it began, if it is periodic."""
    coordinates: Annotated[list[Axis], Field(max_length=MOST)] = []
    """Of coordinates, what each channel is called, if they have names."""
    fourier: Count | None = None
    """How many channels, from the first, are coordinates that a step takes to lie in -1 to 1."""
    shortest: PositiveNumber | None = None
    """Of coordinates that may lie anywhere, the shortest wave that features are made of."""
    padding: Literal["front"] | None = None
    """Where a file that has too few tokens is filled up: in front of them where the last ones are the
    latents, behind them by default."""
    media: InputMedia | None = None
    """How the input is read from files."""


class OutputEntry(Answering, Model):
    """An output array. When only some queries are decoded, the index axes become one."""

    _instead: ClassVar[Mapping[str, str]] = foreign.OF_OUTPUTS

    dtype: Literal["float32"]
    axes: Axes
    shape: Shape
    queries: NonNegative | None = None
    """Queries in all; None where that is known only at run time."""
    chunk_queries: NonNegative | None = None
    selectable: bool
    """Whether chosen queries can be decoded (a single learned query is always decoded)."""
    places: Count | None = None
    """How many of the index axes, the first ones, are places at each of which all queries are asked."""
    media: OutputMedia | None = None
    """How the output is written to files."""

    @property
    def at_places(self) -> Shape:
        """The sizes of the axes that are places."""
        return self.shape[1 : 1 + (self.places or 0)]

    @property
    def asked(self) -> Shape:
        """The sizes of the axes that count queries."""
        return self.shape[1 + (self.places or 0) : -1]


class Port(Model):
    """A tensor that goes into or comes out of a program, by its name there.

    State is known by what it is `of`: a program reads what another, or itself, gave last.
    """

    name: Words
    role: Role | Literal["output"]
    of: Words
    """The input, the output, the symbol or the state value it stands for."""
    dtype: Literal["float32", "int64", "bool"]
    shape: Shape


class ProgramEntry(Model):
    """A file that a backend runs."""

    file: Words
    inputs: list[Port]
    outputs: list[Port]


class Memory(Model):
    """Estimated peak bytes of decoding: fixed + per_query * queries, one batch element."""

    fixed: WholeNumber
    per_query: WholeNumber

    def usual_queries(self, batch: int = 1, *, cached: bool = True) -> int:
        """How many queries are decoded together where nobody says otherwise.

        As many as `USUAL_MEMORY` holds and, `cached`, as many as are quickest on a CPU.
        """
        room = USUAL_MEMORY // batch - self.fixed
        if cached:
            room = min(room, CACHED_MEMORY // batch)
        return max(room // max(self.per_query, 1), FEWEST_QUERIES)


class Places(Model):
    """An axis of places that know nothing of each other, so that a run may take a part of them."""

    axis: Axis
    """The axis, which inputs and all outputs have."""
    size: Dotted
    """The symbol for its size."""
    memory: Memory
    """Estimated peak bytes of a run: fixed + per_query for each of them, one batch element."""


class RunMemory(Model):
    """What was chosen so that a run of one batch element stays below a limit, sizes in bytes."""

    limit: WholeNumber
    """What was asked for with `--memory`."""
    peak: WholeNumber
    """What a run takes at most, as predicted: the process, weights, activations and scores."""
    chunk_queries: WholeNumber
    """Queries that are decoded together."""
    score_limit: WholeNumber
    """Attention scores that exist at once."""


class Deviation(Model):
    """How far an output is off, as shares: 0.01 is 1 %. None where it is not finite."""

    largest: float | None = None
    """The largest difference, of the largest number of the output."""
    rms: float | None = None
    """The root mean square of the differences, of that of the output."""


class Quantization(Model):
    """What an int8 artifact computes in 8 bits, and what that costs in accuracy."""

    products: WholeNumber
    """Products with a known matrix, as Linear layers are."""
    int8: WholeNumber
    """How many of them are computed in 8 bits."""
    kept: dict[str, str]
    """The others by their names in the programs, and why they are computed in float32."""
    input: str
    """What was measured on: `random input`, or the name of a file."""
    error: dict[str, Deviation]
    """Of each output, against the same model in float32."""
    scales: Literal["array", "token"] = "array"
    """What shares a scale of activations: a whole array, as in older artifacts, or each token has its own."""


class Generation(Model):
    """How a causal model writes: the programs `prefill` and `step` go on with a text, token by token."""

    text: Dotted
    """The input that is the text."""
    output: Words | None = None
    """The output that has scores for the token that comes next."""
    latents: Count
    """How many latents there are at most: as many tokens, from the last, change with each."""
    longest: Count | None = None
    """How many tokens a text may have; None: any number."""
    refused: Words | None = None
    """Why there are no such programs."""


class ExtensionEntry(Model):
    """What was defined outside the package and used."""

    package: Words | None = None
    """The installed package, with its version; left out for a file that was named."""
    needed: bool
    """Whether it reads or writes media, so that `run` needs it."""


class Manifest(Answering, Glanced, Model):
    """The description of an artifact."""

    _instead: ClassVar[Mapping[str, str]] = foreign.OF_MANIFESTS

    format: WholeNumber
    name: ModelName
    summary: Words = ""
    tool: Words
    """Tool and version that wrote it."""
    backends: list[Name]
    extensions: dict[Words, ExtensionEntry] | None = None
    """By name; left out where there are none."""
    spec_sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    weights: Words
    """Where the weights come from: `seed 0`, or the name of a file."""
    level: WholeNumber
    """Optimisation level (-O)."""
    precision: Precision
    quantization: Quantization | None = None
    files: dict[Words, FileEntry]
    inputs: Annotated[dict[Dotted, InputEntry], AfterValidator(ByName)]
    outputs: Annotated[dict[Name, OutputEntry], AfterValidator(ByName)]
    dims: dict[Dotted, Dimension]
    chunks: Annotated[int, Field(le=limits.SIZE)]
    """In how many parts the queries are decoded."""
    decode_memory: Memory
    places: Places | None = None
    """What a run can be cut along; left out where there is nothing."""
    memory: RunMemory | None = None
    """Where a limit was given; the number of chunks is chosen for it too."""
    generation: Generation | None = None
    """Of a causal model."""
    attention: dict[Dotted, AttentionEntry] | None = None
    """By cross-attend, `encode`, `encode.1` or `decode.OUTPUT`: where programs were written that show
    what they read."""
    programs: dict[Name, ProgramEntry]
    """What the onnx backend runs; empty without it."""
    parameters: Annotated[int, Field(ge=0, le=10**30)]
    flops: Annotated[int, Field(ge=0, le=10**30)]
    """Multiplications plus additions of one encode and the decode of every query, batch 1: of the
    programs, or of the PyTorch module where there are none."""

    def _glance(self) -> Glance:
        heading = f"Manifest {self.name}: {self.parameters:,} parameters, {self.precision}"
        return Glance(heading, tuple(ports(self.inputs, self.outputs)))


def axes_of(entry: InputEntry | OutputEntry | MaskEntry) -> str:
    """The axes of an array, with the names of coordinates: `[batch, time 16, channel 2: x, y]`."""
    pairs = zip(entry.axes, entry.shape, strict=False)
    axes = ", ".join(axis if axis == size else f"{axis} {size}" for axis, size in pairs)
    names = entry.coordinates if isinstance(entry, InputEntry) else []
    return f"[{axes}{': ' if names else ''}{', '.join(names)}]"


def described(entry: InputEntry | OutputEntry) -> str:
    """What an array is, in a line: dtype, axes with their sizes, media, and whether it is not read."""
    media = f", {entry.media.key}" if entry.media else ""
    masked = isinstance(entry, InputEntry) and entry.mask == "always"
    return f"{entry.dtype} {axes_of(entry)}{media}{', always masked' * masked}"


def arrays(entries: Mapping[str, InputEntry] | Mapping[str, OutputEntry]) -> Iterator[Row]:
    """A row for each array that is given or made, by its name; attention masks are given too."""
    for name, entry in entries.items():
        yield name, described(entry)
        if isinstance(entry, InputEntry) and entry.attention_mask is not None:
            yield f"{name}.attention_mask", f"bool {axes_of(entry.attention_mask)}, may be left out"


def ports(inputs: Mapping[str, InputEntry], outputs: Mapping[str, OutputEntry]) -> Iterator[Row]:
    """A row for each input and output of a model."""
    for label, rows in (("input", arrays(inputs)), ("output", arrays(outputs))):
        for name, text in rows:
            yield f"{label} {name}", text
