"""Refuses media that do not fit the inputs and outputs they are declared for, once shapes are known.

A program runs on arrays all the same, so that nothing but `run` would notice.
"""

from __future__ import annotations

from collections.abc import Iterable

from perceiver_graph.choices import MaskUse
from perceiver_graph.compiler.blocks.context import Axis, Context, Coordinates, Path
from perceiver_graph.compiler.blocks.modality import Modality
from perceiver_graph.compiler.lowering.lowered import Lowered
from perceiver_graph.media.base import Mismatch, Part, Signature, mismatch, refused, warned
from perceiver_graph.media.fit import fitting_kinds, same_stream
from perceiver_graph.media.points.model import PointsMedia
from perceiver_graph.spec.models import Input, LinearHead, MlpHead, TiedHead


def check_media(ctx: Context, lowered: Lowered) -> None:
    """Report (PG215) every input that its media cannot fill and every output they cannot show."""
    inputs = [part for part in _inputs(lowered) if part.media]
    for part in inputs:
        if found := mismatch(part):
            _report(ctx, part, found, fitting_kinds(part))
        elif found := warned(part):
            _warn(ctx, part, found)
    for one, *others in same_stream(inputs):
        for name in others:
            _report_same_stream(ctx, one, name)
    if ctx.report.has_errors:  # outputs are held against the inputs
        return
    _warn_of_frames(ctx, lowered)
    outputs = _outputs(lowered)
    signature = Signature.of(inputs, outputs)
    for part in outputs:
        if found := mismatch(part, signature) or refused(part, signature):
            _report(ctx, part, found)
        elif found := warned(part, signature):
            _warn(ctx, part, found)


def _warn_of_frames(ctx: Context, lowered: Lowered) -> None:
    """Warn (PG215) of clouds that are centred as they are read, where points are asked at that are not.

    Not where the spec says itself that they are to be centred.
    """
    asked = [c.points_of for c in lowered.coordinates.values() if c.points_of]
    for name, spec in lowered.inputs.items():
        if asked and isinstance(spec.media, PointsMedia) and not spec.media.points.model_fields_set:
            ctx.report.warning(
                "PG215",
                f"the points of `{name}` are centred and scaled when a file is read, and those that "
                f"`{asked[0]}` is asked at are not",
                lowered.document.spans.value(("inputs", name, "media")),
                help="write `media: {points: {centre: false}}` where both are given in one frame, "
                "and `centre: true` where they are not; either says it, and ends this warning",
            )
            break  # those that are read alike need it no less, and one says it


def _inputs(lowered: Lowered) -> list[Part]:
    """The inputs that are read at all."""
    inputs = lowered.inputs
    read = {
        name: (modality.axes, modality.data.dtype)
        for name, modality in lowered.modalities.items()
        if inputs[name].media and mask_of(lowered, modality) != "always"
    }
    read |= {
        name: (found.axes, found.data.dtype)
        for name, found in lowered.coordinates.items()
        if name in inputs and inputs[name].media
    }
    return [
        Part(name, "inputs", inputs[name].media, _sizes(axes), dtype, vocabulary(inputs[name]))
        for name, (axes, dtype) in read.items()
    ]


def _outputs(lowered: Lowered) -> list[Part]:
    spec = lowered.document.spec
    sizes = {
        name: _sizes(output.axes) | {"channel": output.channels}
        for name, output in lowered.outputs.items()
    }
    return [Part(name, "outputs", spec.outputs[name].media, sizes[name]) for name in sizes]


def _sizes(axes: Iterable[Axis]) -> dict[str, int | str]:
    return {axis.name: axis.size.plain for axis in axes}


def _report(ctx: Context, part: Part, found: Mismatch, kinds: Iterable[str] = ()) -> None:
    path: Path = (part.side, part.name)
    use = "read" if part.side == "inputs" else "written"
    others = [f"`{kind}`" for kind in kinds] if found.place == part.place() else []
    other = f"use a kind that fits: {' or '.join(others)}" if others else "leave `media` out"
    place: Path = (*path, *_below(ctx, part, found.place))
    also = [((*path, *one), text) for one, text in found.also]
    ctx.error(
        "PG215",
        found.fault,
        place,
        also=also if "media" in place else [((*path, "media"), f"{use} as `{part.kind}`")],
        help=found.remedy if found.whole and not others else f"{found.remedy}, or {other}",
        at_key=found.place == part.place(),
    )


def _warn(ctx: Context, part: Part, found: Mismatch) -> None:
    span = ctx.document.spans.value((part.side, part.name, *found.place))
    ctx.report.warning("PG215", found.fault, span, help=found.remedy)


def _below(ctx: Context, part: Part, place: Path) -> Path:
    """The number itself in a step or a head, which the checks do not know from inside."""
    if part.side == "inputs":
        first = next(iter(ctx.inputs[part.name].steps), None)
        return ("steps", 0, *first.ids) if first and place == ("steps",) else place
    match ctx.spec.outputs[part.name].head:
        case LinearHead() if place == ("head",):
            return ("head", "linear")
        case MlpHead() if place == ("head",):
            return ("head", "mlp", "channels")
        case TiedHead() if place == ("head",):
            return ("head", "tied_embedding")
    return place


def _report_same_stream(ctx: Context, one: str, name: str) -> None:
    media: Path = ("inputs", name, "media")
    ctx.error(
        "PG215",
        f"`{one}` and `{name}` are read from the same stream of a clip, and a file has one",
        media,
        also=[(("inputs", one, "media"), "the first")],
        help="leave `media` out of one of them: it is then given as an array, or not at all",
        at_key=True,
    )


def mask_of(lowered: Lowered, modality: Modality) -> MaskUse:
    """`never` where the encoder reads the mask token but queries are made of the data."""
    mask: MaskUse = lowered.derived["inputs", modality.name, "mask"]
    if mask != "always":
        return mask
    used = modality.data in lowered.graph.ancestors(lowered.graph.outputs.values())
    return "never" if used else mask


def mask_of_coordinates(lowered: Lowered, found: Coordinates) -> MaskUse:
    """What is true of the inputs that lie there. Points are never needed to encode."""
    if found.points_of:
        return "optional"
    if found.data not in lowered.graph.ancestors(lowered.graph.outputs.values()):
        return "always"
    masks = {mask_of(lowered, lowered.modalities[name]) for name in found.beside}
    return "never" if "never" in masks else "optional"


def vocabulary(spec: Input) -> int | None:
    """How many ids an input of ids may hold, if a token has one of them."""
    found = spec.steps[0].vocabulary if spec.steps else None
    return found if isinstance(found, int) else None


def vocabularies(spec: Input) -> dict[str, int]:
    """How many ids there are in each channel, if a token has several of them."""
    found = spec.steps[0].vocabulary if spec.steps else None
    return {} if found is None or isinstance(found, int) else dict(found)
