"""Describes a compiled model: the manifest's account of inputs, outputs, programs and cost."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Literal, cast

from perceiver_graph.compiler.blocks.chosen import CHOSEN
from perceiver_graph.compiler.blocks.context import Axis, Coordinates
from perceiver_graph.compiler.blocks.coordinates import GIVEN
from perceiver_graph.compiler.blocks.longest import longest
from perceiver_graph.compiler.blocks.stages import LATENTS
from perceiver_graph.compiler.ir import graph as ir
from perceiver_graph.compiler.lowering.lowered import Lowered
from perceiver_graph.compiler.lowering.media import (
    mask_of,
    mask_of_coordinates,
    vocabularies,
    vocabulary,
)
from perceiver_graph.compiler.programs.attention import CrossAttend, Rows
from perceiver_graph.compiler.programs.generation import Writing
from perceiver_graph.compiler.programs.needs import Plan
from perceiver_graph.compiler.programs.phases import OUTPUT
from perceiver_graph.compiler.programs.plan import row_memory
from perceiver_graph.extensions import extensions_of
from perceiver_graph.spec.manifest import (
    Dimension,
    ExtensionEntry,
    Generation,
    InputEntry,
    MaskEntry,
    OutputEntry,
    Places,
    Port,
    ProgramEntry,
    RunMemory,
)
from perceiver_graph.spec.manifest_attention import AttentionEntry, Stretch
from perceiver_graph.spec.models import (
    FourierFeatures,
    Input,
    Latents,
    Spec,
    Squeeze,
)
from perceiver_graph.spec.models.base import Form, Model
from perceiver_graph.version import __version__


def input_entries(lowered: Lowered) -> dict[str, InputEntry]:
    """The inputs of the spec, and the arrays of coordinates that come with them.

    Those that are always masked are listed, and may be left out. Points that outputs are asked at
    stand last.
    """
    entries = _coordinates(lowered)
    last_of = lowered.document.spec.last_of
    for name, modality in lowered.modalities.items():
        entries[name] = InputEntry(
            dtype=cast(Literal["float32", "int64"], modality.data.dtype),
            axes=["batch", *(axis.name for axis in modality.axes)],
            shape=["batch", *(axis.size.plain for axis in modality.axes)],
            mask=mask_of(lowered, modality),
            vocabulary=vocabulary(lowered.inputs[name]),
            vocabularies=list(vocabularies(lowered.inputs[name]).values()) or None,
            attention_mask=_attention_mask(lowered, name),
            fourier=_fourier(lowered.inputs[name], modality.axes),
            padding="front" if name == last_of else None,
            media=lowered.inputs[name].media,
        )
    order = [n for name in lowered.inputs for n in (name, name + GIVEN, name + CHOSEN)]
    return {n: entries[n] for n in dict.fromkeys([*order, *entries]) if n in entries}


def _coordinates(lowered: Lowered) -> dict[str, InputEntry]:
    """The arrays of coordinates, and of numbers of tokens."""
    inputs = lowered.inputs
    return {
        name: InputEntry(
            dtype=cast(Literal["float32", "int64"], found.data.dtype),
            axes=["batch", *(axis.name for axis in found.axes)],
            shape=["batch", *(axis.size.plain for axis in found.axes)],
            mask=mask_of_coordinates(lowered, found),
            beside=list(found.beside),
            points_of=_asked_there(lowered, found),
            ranges=_bounds(found.ranges),
            periods=_bounds(found.periods) if any(found.periods) else None,
            coordinates=list(found.names),
            shortest=found.shortest,
            among=None if found.among is None else found.among.plain,
            media=inputs[name].media if name in inputs else None,
        )
        for name, found in lowered.coordinates.items()
        if not found.points_of or not lowered.outputs[found.points_of].source
    }


def _fourier(spec: Input, axes: Sequence[Axis]) -> int | None:
    """How many channels of an input become Fourier features as they are given."""
    first = next((step for step in spec.steps if not isinstance(step, Squeeze)), None)
    if not isinstance(first, FourierFeatures) or not first.fourier.in_unit:
        return None
    return first.fourier.channels or int(axes[-1].size)


def _bounds(found: Sequence[tuple[float, float] | None]) -> list[list[float] | None] | None:
    return [None if bounds is None else list(bounds) for bounds in found] or None


def _asked_there(lowered: Lowered, found: Coordinates) -> list[str]:
    """The output that the points are for, and those that take its queries."""
    own = [found.points_of] if found.points_of else []
    return own + [name for name, output in lowered.outputs.items() if output.source in own]


def output_entries(lowered: Lowered) -> dict[str, OutputEntry]:
    """The outputs of the spec."""
    entries = {}
    for name, output in lowered.outputs.items():
        entries[name] = OutputEntry(
            dtype="float32",
            axes=["batch", *(axis.name for axis in output.axes), "channel"],
            shape=["batch", *(axis.size.plain for axis in output.axes), output.channels],
            queries=output.queries.value,
            chunk_queries=output.chunk_queries.value,
            selectable=bool(output.asked) and output.queries != 0,
            places=output.places or None,
            media=lowered.document.spec.outputs[name].media,
        )
    return entries


def _attention_mask(lowered: Lowered, name: str) -> MaskEntry | None:
    """What is given along with an input to say which of its tokens are there."""
    for leaf in lowered.graph.inputs:
        if leaf.role == "attention_mask" and leaf.of == name:
            return MaskEntry(
                axes=list(leaf.axes),
                shape=[dim.plain for dim in leaf.value.shape],
                pointwise=_pointwise(lowered.document.spec, lowered.inputs[name]),
            )
    return None


def _pointwise(model: Spec, spec: Input) -> bool:
    """Whether each token depends on its own position alone, and not on how many there are."""
    if not isinstance(model.latents, Latents):  # they are among the tokens, counted from an end
        return False
    counted = spec.position is None or spec.position.pointwise
    return counted and all(step.pointwise for step in spec.steps)


def dimensions(lowered: Lowered) -> dict[str, Dimension]:
    """What values each symbolic size may take, and which is taken where nothing says."""
    free = lowered.free_symbols
    return {
        name: Dimension(
            min=symbol.min,
            max=symbol.max,
            multiple_of=symbol.multiple_of,
            default=symbol.highest if name in free else None,
        )
        for name, symbol in lowered.graph.symbols.items()
    }


def run_memory(plan: Plan, limit: int) -> RunMemory:
    """What was chosen for a limit, in bytes."""
    return RunMemory(
        limit=limit,
        peak=plan.peak,
        chunk_queries=plan.chunk_queries,
        score_limit=plan.score_limit,
    )


def generation(lowered: Lowered, writing: Writing | None) -> Generation | None:
    """How the model writes, if it is one that does."""
    if writing is None:
        return None
    axes = lowered.modalities[writing.text].axes
    return Generation(
        text=writing.text,
        output=writing.output or None,
        latents=int(lowered.latents[0]),
        longest=longest(axes[0]) if axes else 1,
        refused=writing.refused or None,
    )


def attention(found: Mapping[str, CrossAttend]) -> dict[str, AttentionEntry] | None:
    """What programs show of cross-attends."""
    entries = {
        name: AttentionEntry.model_validate(
            {
                "program": one.program,
                **{part: f"{name}.{part}" for part in one.values()},
                **one.settings.model_dump(),
                "rows": _stretch(one.rows),
                "read": [_stretch(rows) for rows in one.read],
            }
        )
        for name, one in found.items()
    }
    return entries or None


def _stretch(rows: Rows) -> Stretch:
    name, axes = rows
    return Stretch(
        name=name, axes=[axis.name for axis in axes], shape=[axis.size.plain for axis in axes]
    )


def places(lowered: Lowered, graph: ir.Graph, int8: Collection[str] = ()) -> Places | None:
    """The first axis of places, of a size that is known only at run time, along which nothing but
    places is told apart: every step treats each token by itself, and no other axis depends on its size."""
    if not all(step.pointwise for spec in lowered.inputs.values() for step in spec.steps):
        return None
    shapes = [m.axes for m in lowered.modalities.values()]
    shapes += [c.axes for c in lowered.coordinates.values()]
    answers = [output.axes for output in lowered.outputs.values()]
    for axis in lowered.asked_at:
        symbol = axis.size.symbol
        if symbol is None or symbol.lowest > 1 or symbol.multiple_of > 1 or symbol.highest == 1:
            continue
        sized = [one for axes in (*shapes, *answers) for one in axes if symbol in one.size.symbols]
        if all(one == axis for one in sized) and all(axis in axes for axes in answers):
            memory = row_memory(graph, symbol.name, int8)
            return Places(axis=axis.name, size=symbol.name, memory=memory)
    return None


def extensions(lowered: Lowered, others: Iterable[type]) -> dict[str, ExtensionEntry] | None:
    """The extensions that define what a spec and its graph are made of, or one of these other classes."""
    spec = lowered.document.spec
    media: set[type] = {type(one.media) for one in lowered.inputs.values()}
    media.update(type(one.media) for one in spec.outputs.values())
    forms = {type(form) for form in _forms(spec)}
    primitives = {type(node.op) for node in lowered.graph.nodes}
    needed = set(extensions_of(media))
    found = {
        one.name: ExtensionEntry(package=one.package, needed=one in needed)
        for one in extensions_of([*forms, *media, *primitives, *others])
    }
    return found or None


def _forms(value: object) -> Iterator[Form]:
    """The forms of steps, positions and others that are anywhere in a value."""
    inside: Iterable[object] = ()
    if isinstance(value, Model):
        inside = (getattr(value, name) for name in type(value).model_fields)
        if isinstance(value, Form):
            yield value
    elif isinstance(value, list | dict):
        inside = value.values() if isinstance(value, dict) else value
    for one in inside:
        yield from _forms(one)


def program_entries(
    programs: Mapping[str, ir.Graph], files: Iterable[str], results: Collection[str]
) -> dict[str, ProgramEntry]:
    """What goes into and comes out of each program that was written, by the names in its file."""
    written = set(files)
    return {
        name: _program(graph, f"{name}.onnx", {LATENTS, *results})
        for name, graph in programs.items()
        if f"{name}.onnx" in written
    }


def _program(graph: ir.Graph, file: str, results: Collection[str]) -> ProgramEntry:
    return ProgramEntry(
        file=file,
        inputs=[_port(x.value, x.value.name, x.role, x.of) for x in graph.inputs],
        outputs=[_output_port(value, name, results) for name, value in graph.outputs.items()],
    )


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
            "shape": [dim.plain for dim in value.shape],
        }
    )


def tool() -> str:
    """The tool and its version, as artifacts name it."""
    return f"perceiver-graph {__version__}"
