"""What an artifact says of itself: manifest.json, written by the compiler and read by the runtime.

It lies beside the spec language because it is the other declarative format, and the only thing that
compiler and runtime share.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from perceiver_graph.spec.models.base import Model
from perceiver_graph.spec.models.media import InputMedia, OutputMedia

MANIFEST_VERSION = 1
MANIFEST_NAME = "manifest.json"
SPEC_NAME = "spec.yaml"


class FileEntry(Model):
    """A file of the artifact."""

    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    bytes: int


class Dimension(Model):
    """What values a symbolic size may take."""

    min: int = 1
    max: int | None = None
    multiple_of: int = 1


class MaskEntry(Model):
    """The attention mask that an input may come with: bool, false where there is no token."""

    axes: list[str]
    """`batch` and the axes that count tokens after the steps."""
    shape: list[int | str]
    pointwise: bool = False
    """Whether a token is made of what stands at its own position, whatever the length: masked ones
    at the end may then be left out."""


class InputEntry(Model):
    """An input array. `mask`: `always` ignores it, `optional` lets it be left out."""

    dtype: Literal["float32", "int64"]
    axes: list[str]
    """Named axes in order, `batch` first."""
    shape: list[int | str]
    """A number or a symbol for each axis."""
    mask: Literal["always", "optional", "never"]
    vocabulary: int | None = None
    """For ids: how many there are, counted from 0."""
    attention_mask: MaskEntry | None = None
    """Given as `NAME.attention_mask`; left out, every token is there."""
    media: InputMedia | None = None
    """How the input is read from files."""


class OutputEntry(Model):
    """An output array. When only some queries are decoded, the index axes become one."""

    dtype: Literal["float32"]
    axes: list[str]
    shape: list[int | str]
    queries: int | None = None
    """Queries in all; None where that is known only at run time."""
    chunk_queries: int | None = None
    selectable: bool
    """Whether chosen queries can be decoded (a single learned query is always decoded)."""
    media: OutputMedia | None = None
    """How the output is written to files."""


class Port(Model):
    """A tensor that goes into or comes out of a program, by its name there."""

    name: str
    role: Literal["data", "present", "attention_mask", "queries", "state", "output"]
    of: str
    """The input, the output or the state value it stands for."""
    dtype: Literal["float32", "int64", "bool"]
    shape: list[int | str]


class ProgramEntry(Model):
    """A file that a backend runs."""

    file: str
    inputs: list[Port]
    outputs: list[Port]


ProgramName = Literal["encode", "decode"]


class Memory(Model):
    """Estimated peak bytes of decoding: fixed + per_query * queries, one batch element."""

    fixed: int
    per_query: int


class Manifest(Model):
    """The description of an artifact."""

    format: int
    name: str
    summary: str = ""
    tool: str
    """Tool and version that wrote it."""
    backends: list[Literal["onnx", "torch"]]
    spec_sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    weights: str
    """Where the weights come from: `seed 0`, or the name of a file."""
    level: int
    """Optimisation level (-O)."""
    precision: Literal["fp32", "fp16", "bf16", "int8"]
    files: dict[str, FileEntry]
    inputs: dict[str, InputEntry]
    outputs: dict[str, OutputEntry]
    dims: dict[str, Dimension]
    chunks: int
    """In how many parts the queries are decoded."""
    decode_memory: Memory
    programs: dict[ProgramName, ProgramEntry]
    """What the onnx backend runs; empty without it."""
    parameters: int
    flops: int
    """Multiplications plus additions of one encode and the decode of every query, batch 1."""
