"""Describes a compiled model: the manifest's account of inputs, outputs, programs and cost."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Literal, cast

from perceiver_graph.compiler import cost, ir
from perceiver_graph.compiler.blocks.modality import Modality
from perceiver_graph.compiler.dims import Dim, Symbol
from perceiver_graph.compiler.lower import Lowered
from perceiver_graph.compiler.phases import LATENTS, OUTPUT, Programs
from perceiver_graph.spec.manifest import (
    Dimension,
    InputEntry,
    MaskEntry,
    Memory,
    OutputEntry,
    Port,
    ProgramEntry,
    ProgramName,
)
from perceiver_graph.spec.models import (
    Activation,
    BatchNorm,
    Embedding,
    FourierFeatures,
    Input,
    LearnedPosition,
    Linear,
    OneHot,
)


def size(dim: Dim) -> int | str:
    """A size as the manifest writes it: a number, or the symbol's expression."""
    return dim.value if dim.value is not None else str(dim)


def input_entries(lowered: Lowered) -> dict[str, InputEntry]:
    """The inputs of the spec; those that are always masked are listed, and may be left out."""
    entries = {}
    for name, modality in lowered.modalities.items():
        entries[name] = InputEntry(
            dtype=cast(Literal["float32", "int64"], modality.data.dtype),
            axes=["batch", *(axis.name for axis in modality.axes)],
            shape=["batch", *(size(axis.size) for axis in modality.axes)],
            mask=_mask(lowered, modality),
            vocabulary=_vocabulary(lowered.document.spec.inputs[name]),
            attention_mask=_attention_mask(lowered, name),
            media=lowered.document.spec.inputs[name].media,
        )
    return entries


def output_entries(lowered: Lowered) -> dict[str, OutputEntry]:
    """The outputs of the spec."""
    entries = {}
    for name, output in lowered.outputs.items():
        entries[name] = OutputEntry(
            dtype="float32",
            axes=["batch", *(axis.name for axis in output.axes), "channel"],
            shape=["batch", *(size(axis.size) for axis in output.axes), output.channels],
            queries=output.queries.value,
            chunk_queries=output.chunk_queries.value,
            selectable=bool(output.axes),
            media=lowered.document.spec.outputs[name].media,
        )
    return entries


def _mask(lowered: Lowered, modality: Modality) -> Literal["always", "optional", "never"]:
    """`never` where the encoder reads the mask token but queries are made of the data."""
    mask = lowered.derived["inputs", modality.name, "mask"]
    used = modality.data in lowered.graph.ancestors(lowered.graph.outputs.values())
    return "never" if mask == "always" and used else cast(Literal["always", "optional"], mask)


def _attention_mask(lowered: Lowered, name: str) -> MaskEntry | None:
    """What is given along with an input to say which of its tokens are there."""
    for leaf in lowered.graph.inputs:
        if leaf.role == "attention_mask" and leaf.of == name:
            return MaskEntry(
                axes=list(leaf.axes),
                shape=[size(dim) for dim in leaf.value.shape],
                pointwise=_pointwise(lowered.document.spec.inputs[name]),
            )
    return None


_POINTWISE = (Activation, BatchNorm, Embedding, FourierFeatures, Linear, OneHot)


def _pointwise(spec: Input) -> bool:
    """Whether each token depends on its own position alone, and not on how many there are."""
    learned = isinstance(spec.position, LearnedPosition) and not spec.position.learned.trained_on
    return all(isinstance(step, _POINTWISE) for step in spec.steps) and (
        spec.position is None or learned
    )


def _vocabulary(spec: Input) -> int | None:
    """How many ids an input of ids may hold."""
    match spec.steps:
        case [Embedding(embedding=parameters), *_]:
            return parameters.vocabulary
        case [OneHot(one_hot=classes), *_]:
            return classes
    return None


def dimensions(symbols: Mapping[str, Symbol]) -> dict[str, Dimension]:
    """What values each symbolic size may take."""
    return {
        name: Dimension(min=symbol.min, max=symbol.max, multiple_of=symbol.multiple_of)
        for name, symbol in symbols.items()
    }


def program_entries(
    programs: Programs, files: Iterable[str], results: Collection[str]
) -> dict[ProgramName, ProgramEntry]:
    """What goes into and comes out of each program that was written, by the names in its file."""
    graphs: dict[ProgramName, ir.Graph] = {"encode": programs.encode, "decode": programs.decode}
    written = set(files)
    return {
        name: _program(graph, f"{name}.onnx", {LATENTS, *results})
        for name, graph in graphs.items()
        if f"{name}.onnx" in written
    }


def _program(graph: ir.Graph, file: str, results: Collection[str]) -> ProgramEntry:
    return ProgramEntry(
        file=file,
        inputs=[_input_port(leaf) for leaf in graph.inputs],
        outputs=[_output_port(value, name, results) for name, value in graph.outputs.items()],
    )


def _input_port(leaf: ir.Input) -> Port:
    return _port(leaf.value, leaf.value.name, leaf.role, leaf.of)


def _output_port(value: ir.Value, name: str, results: Collection[str]) -> Port:
    of = name.removesuffix(OUTPUT)
    return _port(value, name, "output" if of in results else "state", of)


def _port(value: ir.Value, name: str, role: str, of: str) -> Port:
    return Port.model_validate(
        {
            "name": name,
            "role": role,
            "of": of,
            "dtype": value.dtype,
            "shape": [size(dim) for dim in value.shape],
        }
    )


ARENA = 1.8
"""What onnxruntime holds for each byte that is live: on Kinetics, 21 KB a query and not 12."""


def decode_memory(graph: ir.Graph) -> Memory:
    """Peak bytes of decoding as fixed + per_query * queries, scores written out, batch 1.

    Taken from the cost model at two query counts of each output that can be chosen from, one output
    at a time; the estimate is linear in between and beyond.
    """
    asked = [str(leaf.value.shape[0]) for leaf in graph.inputs if leaf.role == "queries"]
    lines = [_decode_line(graph, asked, count) for count in asked]
    return Memory(
        fixed=max((fixed for fixed, _ in lines), default=0),
        per_query=max((per_query for _, per_query in lines), default=0),
    )


def _decode_line(graph: ir.Graph, asked: Sequence[str], count: str) -> tuple[int, int]:
    """Peak bytes without queries, and for each query of one output; of the others, one is asked."""
    most = graph.symbols[count].max or 1024
    few, many = min(512, most), min(1024, most)
    peaks = []
    for queries in (few, many):
        sizes = dict.fromkeys(asked, 1) | {count: queries}
        weights = cost.estimate(graph, sizes).phases["decode"]
        live = ARENA * weights.peak_bytes_with_scores
        peaks.append(int(live) + weights.parameter_bytes + weights.constant_bytes)
    if few == many:  # with so few queries, all of it counts as fixed
        return peaks[0], 0
    per_query = max(-(-(peaks[1] - peaks[0]) // (many - few)), 0)
    return max(peaks[0] - few * per_query, 0), per_query
