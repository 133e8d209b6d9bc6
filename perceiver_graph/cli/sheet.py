"""What `inspect` prints for people: a screen that follows the data from inputs to outputs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

from perceiver_graph.cli import screen
from perceiver_graph.cli.costs import print_costs
from perceiver_graph.cli.inspection import Inspection
from perceiver_graph.cli.machine import Rates
from perceiver_graph.cli.screen import count, size
from perceiver_graph.cli.tables import NO_BREAK, Column, Table
from perceiver_graph.compiler.blocks.context import Coordinates
from perceiver_graph.compiler.blocks.modality import Modality
from perceiver_graph.compiler.blocks.points import vectors
from perceiver_graph.compiler.blocks.stages import INPUTS, LATENTS, Stage, stages_of
from perceiver_graph.compiler.ops import Concat
from perceiver_graph.diagnostics import escape
from perceiver_graph.diagnostics.words import joined
from perceiver_graph.spec.loader import STANDARD_INPUT
from perceiver_graph.spec.models import (
    AttentionLayers,
    Bias,
    Decode,
    Encode,
    LikeInput,
    Process,
    Rotary,
)

if TYPE_CHECKING:
    from perceiver_graph.compiler.blocks.context import Axis
    from perceiver_graph.spec.models import Input


def print_sheet(inspection: Inspection, given: str, rates: Rates | None) -> None:
    """Print everything about a spec; `given` is what the user called it, `rates` are for floors, if any."""
    spec = inspection.lowered.document.spec
    screen.heading(spec.name)
    screen.paragraph(spec.summary)
    for section in (_inputs, _stages, _outputs, _parameters):
        screen.say()
        section(inspection)
    screen.say()
    print_costs(inspection, rates)
    if given != STANDARD_INPUT:  # which has been read
        path, folder = escape.shell_path(given), escape.shell(f"build/{spec.name}")
        screen.next_step(
            f"perceiver-graph graph {path}", f"perceiver-graph compile {path} -o {folder}"
        )


def _inputs(inspection: Inspection) -> None:
    lowered = inspection.lowered
    tokens, width = lowered.input_array
    asked = vectors(lowered.document.spec.outputs)
    rows = [
        [
            name,
            _axes(modality.axes),
            _steps(inspection, name),
            count(modality.count.plain),
            _channels(inspection, modality),
            f"asks {', '.join(asked[name])}" if name in asked else _position(lowered.inputs[name]),
            f"+ {width - modality.channels}"
            if width > modality.channels and name not in asked
            else "",
            _mask(lowered.derived["inputs", name, "mask"], modality),
        ]
        for name, modality in lowered.modalities.items()
    ]
    rows += [
        [name, _axes(found.axes), "", "", "", _of(found), "", ""]
        for name, found in lowered.coordinates.items()
        if not found.points_of
    ]
    rows.append(["joined", "", "", count(tokens.plain), str(width), "", "", ""])
    columns = [
        Column("input", 14),
        Column("array", 22),
        Column("steps", 18),
        Column("tokens", right=True),
        Column("channels"),
        Column("position", 10),
        Column("padding"),
        Column("mask", 8),
    ]
    Table(columns, rows).print()


def _of(found: Coordinates) -> str:
    """What an array is that comes along with inputs."""
    names = ", ".join(found.beside)
    return f"of {names}" if found.among is None else f"chosen of {names}"


def _stages(inspection: Inspection) -> None:
    lowered, spec = inspection.lowered, inspection.lowered.document.spec
    tokens, width = lowered.input_array
    latents = " x ".join(map(str, lowered.latents))
    queries, query_width = lowered.query_array
    chunks = f"{lowered.chunks} chunks of " if lowered.chunks > 1 else ""
    asked = f"{chunks}{queries.plain} x {query_width} queries"
    groups: dict[str, list[Stage]] = {}
    stages = stages_of(spec)
    for stage in (stage for stage in stages if stage.rows != INPUTS):
        groups.setdefault(stage.key, []).append(stage)
    rows = []
    for key, group in groups.items():
        stage = group[0]
        who = f"{latents} latents" if stage.rows == LATENTS else asked
        what = f"{tokens.plain} x {width}"
        if stage.read == LATENTS:
            what = (
                latents
                if key in ("encode", "within")
                else " x ".join(map(str, lowered.latents_read))
            )
        reads = what if stage.rows == stage.read else f"{who} read {what}"
        inner = key in ("encode", "within")
        reads += at_each(lowered.places if inner else lowered.asked_at)
        project = f", project to {stage.project}" if stage.project else ""
        style = ", ".join(_style(spec.attention(stage.key), lowered.turned.get(stage.key, ())))
        if key == "process" and spec.bottleneck:
            rows.append(
                ["bottleneck", f"{latents}: {spec.bottleneck.variational} numbers for each"]
            )
        back = sum(stage.rows == INPUTS for stage in stages) if key == "encode" else 0
        again = f", {back} of them read back by the inputs" if back else ""
        rows.append([key, f"{reads}: {_layers(group)}{again}, {style}{project}"])
    if not query_width:
        rows.append(["decode", f"no queries: {lowered.taken}"])
    Table([Column("stage"), Column("what it does", 88)], rows).print()


def at_each(places: Sequence[Axis]) -> str:
    """` at each of latitude 180 x longitude 360`, where there are places."""
    return (
        f" at each of {' x '.join(f'{axis.name} {axis.size}' for axis in places)}" if places else ""
    )


def _layers(stages: Sequence[Stage]) -> str:
    """`8 self-attend layers x 6 blocks, each with the same weights`, `2 cross-attends`."""
    first, count = stages[0], len(stages)
    if first.attend == "cross":
        again = sum(stage.read != first.read for stage in stages)
        once = _times(count - again, "cross-attend") if first.rows == LATENTS else "cross-attend"
        return f"{once}, then {again} more by which they read each other" if again else once
    layers = _times(first.layers, "self-attend layer")
    if count == 1:
        return layers
    shared = "the same weights" if stages[1].module == first.module else "weights of its own"
    return f"{layers} x {count} blocks, each with {shared}"


def _style(layers: AttentionLayers, turned: Sequence[tuple[str, str]]) -> Iterator[str]:
    """Heads, and what is not as in the paper: `8 heads, 2 of keys`, `RMSNorm`, `gated MLP`."""
    heads = _times(layers.heads, "head")
    yield f"{heads}, {layers.key_heads} of keys" if layers.key_heads else heads
    yield from _reading(layers)
    norms = {"layer_norm": "LayerNorm", "rms_norm": "RMSNorm", "none": "no norm"}
    if layers.norm != "layer_norm" or layers.norm_at == "after":
        yield norms[layers.norm] + (" after" if layers.norm_at == "after" else "")
    yield from (words for key, words in _SWITCHES.items() if getattr(layers, key))
    if layers.qk_norm != "none":
        yield f"{norms[layers.qk_norm]} of queries and keys"
    usual = {"query_norm": layers.norm, "mlp_norm": layers.norm, "hidden_norm": "none"}
    for key, what in _NORMS.items():
        kind = getattr(layers, key, None)
        if kind not in (None, usual.get(key)):
            yield f"{norms[kind]} {what}"
    if layers.rotary:
        by = " or ".join(
            rows if rows == read else f"{rows} against {read}" for rows, read in turned
        )
        yield f"rotary by {by}" if by else "rotary"
        if _turns_values(layers):
            yield "values too"
    if layers.scale is not None:
        yield f"scores x {layers.scale:g}"
    if not layers.mlp or layers.gated:
        yield "gated MLP" if layers.mlp else "no MLP"
    flags = layers.bias.model_dump() if isinstance(layers.bias, Bias) else {}
    if lacking := [name for name, there in flags.items() if not there]:
        yield f"no biases of {joined(lacking)}"
    elif layers.bias is False:
        yield "no biases"
    if layers.dropout:
        yield f"dropout {layers.dropout:g}"


def _reading(layers: AttentionLayers) -> Iterator[str]:
    """What layers of one part alone may say: whom they read, and what becomes of what they find."""
    if isinstance(layers, Encode | Process) and layers.causal:
        yield "causal"
    if isinstance(layers, Encode) and not layers.query_residual:
        yield "not added to the latents"
    if isinstance(layers, Decode) and layers.query_residual:
        yield "added to the queries"


_SWITCHES = {"shared_norm": "one norm of both", "mapped_twice": "mapped twice"}
_NORMS = {
    "query_norm": "of what reads",
    "value_norm": "for values",
    "mlp_norm": "before the MLP",
    "hidden_norm": "within the MLP",
}
"""Norms of single places, and where they stand."""


def _turns_values(layers: AttentionLayers) -> bool:
    return isinstance(layers.rotary, Rotary) and layers.rotary.values


def _outputs(inspection: Inspection) -> None:
    rows = [
        [
            name,
            _axes(output.axes, f"channel {output.channels}"),
            count(output.queries.plain),
            count(output.chunk_queries.plain),
            str(output.channels),
        ]
        for name, output in inspection.lowered.outputs.items()
    ]
    queries, _ = inspection.lowered.query_array
    rows.append(
        ["all", "", count(inspection.lowered.total_queries.plain), count(queries.plain), ""]
    )
    columns = [
        Column("output", 14),
        Column("array", 46),
        Column("queries", right=True),
        Column("in a chunk", right=True),
        Column("channels", right=True),
    ]
    Table(columns, rows).print()


def _parameters(inspection: Inspection) -> None:
    total = inspection.lowered.graph.parameter_count
    rows = [
        [part, count(number), f"{100 * number / total:.1f} %", size(4 * number)]
        for part, number in inspection.parameters.items()
    ]
    rows.append(["all", count(total), "", size(4 * total)])
    columns = [
        Column("parameters in"),
        Column("count", right=True),
        Column("share", right=True),
        Column("float32", right=True),
    ]
    Table(columns, rows).print()


def _axes(axes: Iterable[Axis], last: str = "") -> str:
    parts = [*(f"{axis.name} {axis.size}" for axis in axes), *([last] if last else [])]
    return ", ".join(part.replace(" ", NO_BREAK) for part in parts)


def _steps(inspection: Inspection, name: str) -> str:
    declared = inspection.lowered.document.spec.inputs[name]
    if isinstance(declared, LikeInput):
        return f"like {declared.like}"
    spec = inspection.lowered.inputs[name]
    return "\n".join(_step(step.model_dump(exclude_defaults=True)) for step in spec.steps)


def _step(step: dict[str, object]) -> str:
    """`patch time 16`, `conv channels 64, kernel (height 7, width 7)`, `linear 64`."""
    ((kind, settings),) = step.items()
    if not isinstance(settings, dict):
        return f"{kind} {settings}"
    parts = ", ".join(f"{key}{NO_BREAK}{_value(value)}" for key, value in settings.items())
    return f"{kind} {parts}".strip()


def _value(value: object) -> str:
    if isinstance(value, dict):
        inside = ", ".join(f"{key}{NO_BREAK}{_value(inner)}" for key, inner in value.items())
        return f"({inside})"
    return str(value)


def _channels(inspection: Inspection, modality: Modality) -> str:
    """Channels of the data, and those of positions that stand beside them: `48 + 195 = 243`."""
    producer = inspection.lowered.graph.producers.get(modality.tokens)
    if producer is None or not isinstance(producer.op, Concat):
        return str(modality.channels)
    parts = " + ".join(str(value.shape[-1]) for value in producer.inputs)
    return f"{parts} = {modality.channels}".replace(" ", NO_BREAK)


def _position(spec: Input) -> str:
    if spec.position is None:
        return ""
    added = ", added" if spec.position.combine == "add" else ""
    return f"{spec.position.key}{added}"


def _mask(mask: str, modality: Modality) -> str:
    """Whether a mask token stands for the modality, and whether single tokens can be masked."""
    token = "" if mask == "never" else mask
    return ", ".join(filter(None, (token, "attention" if modality.mask is not None else "")))


def _times(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"
