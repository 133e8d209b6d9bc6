"""The text of tests/cases/shapes: the shapes of a spec from inputs to outputs, and its parameters."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from fnmatch import fnmatchcase

from perceiver_graph.compiler.blocks.builder import GraphBuilder
from perceiver_graph.compiler.blocks.context import Axis, Context
from perceiver_graph.compiler.blocks.modality import Modality, prepare
from perceiver_graph.compiler.ir.dims import Dim, product
from perceiver_graph.compiler.ir.graph import Parameter
from perceiver_graph.compiler.lowering.lowered import Lowered
from perceiver_graph.diagnostics import Report


def shape_table(model: Lowered) -> str:
    """One line a shape, in the order in which data flows; parameters by the first part of their name."""
    lines: list[str] = []
    for name, modality in model.modalities.items():
        lines += _modality(model, name, modality)
    for name, found in model.coordinates.items():
        whose = f"points of {found.points_of}" if found.points_of else "positions of "
        whose = "tokens chosen of " if found.among is not None else whose
        lines.append(f"{name}: {_axes(found.axes)}, {whose}{', '.join(found.beside)}")
    lines.append(f"input array: {_array(*model.input_array)}")
    lines.append(f"latents: {_array(*model.latents)}")
    lines.append(f"query array: {_array(*model.query_array)}{_chunks(model)}")
    for name, output in model.outputs.items():
        asked = "1 query" if output.queries == 1 else f"{output.queries} queries"
        lines.append(f"{name}: {asked} -> {_axes(output.axes, output.channels)}")
    return "\n".join([*lines, _parameters(model)]) + "\n"


def parameter_list(model: Lowered, pattern: str) -> str:
    """Names and shapes of the parameters whose names match a pattern such as `encoder.*.weight`."""
    found = [p for p in model.graph.parameters if fnmatchcase(p.value.name, pattern)]
    return "".join(f"{_described(p)}\n" for p in found)


def _modality(model: Lowered, name: str, modality: Modality) -> Iterator[str]:
    spec = model.inputs[name]
    given = _axes(modality.axes) or "a single id"
    yield f"{name}: {given}{' of int64' if modality.data.dtype == 'int64' else ''}"
    before = 0
    for count, step in enumerate(spec.steps, start=1):
        after = _after(model, name, count)
        yield f"  {next(iter(type(step).model_fields))} -> {_axes(after.index, after.channels)}"
        before = after.channels
    before = before or next((int(a.size) for a in modality.axes if a.name == "channel"), 0)
    position = spec.position
    how = f", positions {'added' if position.combine == 'add' else 'beside'}" if position else ""
    if position and position.key == "rotary":
        how = ", positions rotary"
    width = f"{before} + {modality.channels - before} = " if modality.channels > before else ""
    mask = model.derived["inputs", name, "mask"]
    masked = f", mask {mask}" if mask != "never" else ""
    masked += ", attention mask" if modality.mask is not None else ""
    yield f"  tokens: {_array(modality.count, width)}{modality.channels}{how}{masked}"


def _after(model: Lowered, name: str, steps: int) -> Modality:
    """The modality as if its spec ended after so many steps."""
    symbols = dict(model.graph.symbols)
    ctx = Context(model.document, GraphBuilder("", symbols), Report(), symbols)
    spec = model.inputs[name]
    cut = spec.model_copy(update={"steps": spec.steps[:steps], "position": None})
    return prepare(ctx, name, cut)


def _chunks(model: Lowered) -> str:
    if model.chunks == 1:
        return ""
    return f" in each of {model.chunks} chunks, {model.total_queries} queries in all"


def _parameters(model: Lowered) -> str:
    parts: dict[str, int] = {}
    for parameter in model.graph.parameters:
        if parameter.trainable:
            part = parameter.value.name.partition(".")[0]
            parts[part] = parts.get(part, 0) + int(product(parameter.value.shape))
    listed = ", ".join(f"{part} {count}" for part, count in parts.items())
    return f"parameters: {model.graph.parameter_count} ({listed})"


def _described(parameter: Parameter) -> str:
    frozen = "" if parameter.trainable else " not trained"
    return f"{parameter.value.name} [{', '.join(map(str, parameter.value.shape))}]{frozen}"


def _axes(axes: Iterable[Axis], channels: int | None = None) -> str:
    last = [f"channel={channels}"] if channels is not None else []
    return " ".join([*map(str, axes), *last])


def _array(rows: Dim | int, width: int | str) -> str:
    return f"({rows}) x {width}" if " " in str(rows) else f"{rows} x {width}"
