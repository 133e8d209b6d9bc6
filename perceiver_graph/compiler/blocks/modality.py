"""A modality: from the caller's array to tokens of the common width."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

from perceiver_graph.compiler import ops
from perceiver_graph.compiler.blocks.builder import SharedShapeError
from perceiver_graph.compiler.blocks.context import CHANNEL, Axis, Context, Field, PartError, Path
from perceiver_graph.compiler.blocks.coordinates import given_positions, is_given
from perceiver_graph.compiler.blocks.located import Stretch
from perceiver_graph.compiler.blocks.locating import tokens_at
from perceiver_graph.compiler.blocks.places import along, at_each, fold
from perceiver_graph.compiler.blocks.position import Grid, grid_positions
from perceiver_graph.compiler.blocks.requirements import fixed_size, require_channel
from perceiver_graph.compiler.blocks.steps import apply_step
from perceiver_graph.compiler.ir.dims import Dim, format_shape, shape_of
from perceiver_graph.compiler.ir.graph import Value
from perceiver_graph.compiler.ops.lazy import np
from perceiver_graph.spec.models import Input, WidthPadding


@dataclass(frozen=True)
class Modality:
    """A prepared modality. Shapes: data [batch, *axes], tokens [batch, count, channels], mask bool
    [batch, count], true where there is a token; in both the batch includes the places."""

    name: str
    data: Value
    axes: tuple[Axis, ...]
    index: tuple[Axis, ...]
    """The axes that count tokens, after the steps."""
    tokens: Value
    mask: Value | None = None
    places: tuple[Axis, ...] = ()
    """The axes each place of which is read by itself, after the steps."""
    at: Stretch | None = None
    """Where the tokens are, for rotary positions."""

    @property
    def count(self) -> Dim:
        return self.tokens.shape[1]

    @property
    def channels(self) -> int:
        return int(self.tokens.shape[2])


def prepare(ctx: Context, name: str, spec: Input) -> Modality:
    """Apply the steps and attach positions (paper: the preprocessor of a modality)."""
    path: Path = ("inputs", name)
    axes = tuple(
        Axis(axis, ctx.size(size, *path, "shape", axis)) for axis, size in spec.shape.items()
    )
    _check_axes(ctx, axes, path)
    ids = bool(spec.steps) and bool(spec.steps[0].ids)
    with ctx.builder.at(ctx.key_span(*path, "shape")):
        data = ctx.builder.input(
            name,
            "data",
            name,
            ("batch", *(axis.name for axis in axes)),
            shape_of(ctx.symbols["batch"], *(axis.size for axis in axes)),
            "int64" if ids else "float32",
        )
    origin = ctx.origin(name)
    try:
        with ctx.builder.block(
            name, "Modality", f"the tokens of {name}", module=f"inputs.{origin}"
        ):
            whole = _steps(ctx, spec, Field(data, axes), path)
            x, places = fold(ctx, whole, "folded")
            tokens = _flatten(ctx, x)
            if spec.position is not None and spec.position.attached:
                spec = _with_shared(ctx, name, spec)
                tokens = _attach(ctx, name, spec, whole, tokens, (*path, "position"))
            at = tokens_at(ctx, name, spec, whole.index, tokens.shape[1])
            mask = _attention_mask(ctx, name, whole) if spec.attention_mask else None
    except SharedShapeError as error:
        raise _cannot_share(ctx, name, error) from error
    return Modality(name, data, axes, x.index, tokens, mask, places, at)


def _with_shared(ctx: Context, name: str, spec: Input) -> Input:
    """The same settings, such as frequencies, as the input that this one is like, whatever its size."""
    position = spec.position
    if position is None or ctx.origin(name) == name:
        return spec
    place = ("inputs", ctx.origin(name), "position", position.key)
    found = {key: at for key in position.shared if (at := ctx.derived.get((*place, key)))}
    settings = getattr(position, position.key)
    if found:
        settings = settings.model_copy(update=found)
    return spec.model_copy(
        update={"position": position.model_copy(update={position.key: settings})}
    )


def _cannot_share(ctx: Context, name: str, error: SharedShapeError) -> PartError:
    """Weights of one input that do not fit another (PG222)."""
    origin = ctx.origin(name)
    table = error.name.endswith("position.table")
    return ctx.error(
        "PG222",
        f"`{name}` cannot have the weights of `{origin}`: `{error.name}` is "
        f"{format_shape(error.known)} there, and would be {format_shape(error.wanted)} here",
        ("inputs", name, "shape"),
        also=[(("inputs", origin, "shape"), f"the shape of `{origin}`")],
        help=f"leave `shape` out, or resize the table: `trained_on` under `{origin}`"
        if table
        else f"use the channels of `{origin}`, or write the steps of `{name}` out, without `like`",
        at_key=True,
    )


def _attention_mask(ctx: Context, name: str, x: Field) -> Value:
    """Which tokens are there, as the caller says. Shape: bool [batch, tokens]."""
    if ctx.inputs[name].mask == "always":
        raise ctx.error(
            "PG205",
            f"`{name}` is always masked, so none of its tokens comes from the caller",
            ("inputs", name, "attention_mask"),
            also=[(("inputs", name, "mask"), "masked here")],
            help="leave `attention_mask` out",
            at_key=True,
        )
    b, index = ctx.builder, x.index
    mask = b.input(
        f"{name}.attention_mask",
        "attention_mask",
        name,
        ("batch", *(axis.name for axis in index)),
        shape_of(ctx.symbols["batch"], *(axis.size for axis in index)),
        "bool",
    )
    field, _ = fold(ctx, Field(mask, index), "folded_mask")
    if not field.index:
        return b(ops.Unflatten(0, (None, 1)), field.value, name="attention_mask")
    if len(field.index) == 1:
        return field.value
    return b(ops.Flatten(1, len(field.index)), field.value, name="attention_mask")


def _check_axes(ctx: Context, axes: tuple[Axis, ...], path: Path) -> None:
    for position, axis in enumerate(axes):
        if axis.name == CHANNEL and position != len(axes) - 1:
            raise ctx.error(
                "PG206",
                "`channel` must be the last axis",
                (*path, "shape", CHANNEL),
                help="order the axes as they lie in memory, features last",
                at_key=True,
            )
        if axis.name == CHANNEL and axis.size.value is None:
            raise ctx.error(
                "PG208",
                "`channel` needs a fixed size",
                (*path, "shape", CHANNEL),
                help="write a number",
            )
        if axis.name == "batch":
            raise ctx.error(
                "PG206",
                "`batch` is added in front of every shape",
                (*path, "shape", "batch"),
                help="leave it out",
                at_key=True,
            )


def _steps(ctx: Context, spec: Input, x: Field, path: Path) -> Field:
    used: dict[str, int] = {}
    for i, step in enumerate(spec.steps):
        used[step.key] = used.get(step.key, 0) + 1
        name = step.key if used[step.key] == 1 else f"{step.key}_{used[step.key]}"
        place = (*path, "steps", i)
        with ctx.builder.at(ctx.key_span(*place)):
            x = apply_step(step, ctx, x, name, place)
    require_channel(ctx, x, "a modality", (*path, "shape") if not spec.steps else (*path, "steps"))
    return x


def _flatten(ctx: Context, x: Field) -> Value:
    """[batch, *index, channel] -> [batch, tokens, channel]; without index axes, one token."""
    if not x.index:
        return ctx.builder(ops.Unflatten(1, (1, None)), x.value, name="tokens")
    several = len(x.index) > 1
    return ctx.builder(ops.Flatten(1, len(x.index)), x.value, name="tokens") if several else x.value


def _attach(ctx: Context, name: str, spec: Input, x: Field, tokens: Value, path: Path) -> Value:
    """Concatenate positions to the channels, or add them."""
    position = spec.position
    assert position is not None
    channels = int(tokens.shape[-1])
    with ctx.builder.at(ctx.key_span(*path)):
        if is_given(position):
            encoding = given_positions(ctx, name, position, x.index, path)
        else:
            grid = Grid(along(ctx, x.index), channels=channels)
            encoding = grid_positions(ctx, position, grid, path)
        if position.combine == "concat":
            if encoding.type.rank == 2:
                batch = ops.Broadcast(tokens.shape[:1])
                encoding = ctx.builder(batch, encoding, name="position.batch")
            return ctx.builder(ops.Concat(-1), tokens, encoding, name="with_position")
        if encoding.shape[-1] != channels:
            raise ctx.error(
                "PG205",
                f"positions of width {encoding.shape[-1]} cannot be added to {channels} channels",
                (*path, "combine"),
                help=f"write `project: {channels}` to map them, or `combine: concat`",
            )
        return ctx.builder(ops.Add(), tokens, encoding, name="with_position")


def join(ctx: Context, modalities: list[Modality]) -> tuple[Value, Value | None]:
    """The input array M x C: every modality's tokens at one width, one after the other, and which
    of them are there, if any modality says so.

    Shapes: [batch, count_i, channels_i] -> [batch, sum of counts, width], bool [batch, sum].
    """
    spec, b = ctx.spec, ctx.builder
    if not modalities:
        if ctx.report.has_errors:
            raise PartError()
        raise ctx.error(
            "PG220",
            "every input holds the coordinates of another, or is what queries are made of, so there are "
            "no tokens",
            ("inputs",),
            help="declare an input whose tokens the latents read",
            at_key=True,
        )
    padding = spec.join.padding if spec.join else None
    width = max(m.channels for m in modalities) + (padding.min if padding else 0)
    if padding is None:
        _require_one_width(ctx, modalities)
    if all(ctx.inputs[m.name].mask == "always" for m in modalities):
        raise ctx.error(
            "PG205",
            "every modality is masked, so nothing would be read",
            ("inputs", modalities[0].name, "mask"),
            help="let at least one input be `optional` or `never` masked",
        )
    tokens = []
    for m in modalities:
        with ctx.part("inputs", m.name), b.inside("inputs", m.name):
            tokens.append(_pad_and_mask(ctx, m, width))
    if len(tokens) != len(modalities):
        raise PartError()
    if len(tokens) == 1:
        return tokens[0], modalities[0].mask
    with b.at(ctx.document.key_span("join")), b.inside("inputs"):
        joined = b(ops.Concat(1), *tokens, name="joined")
        if all(m.mask is None for m in modalities):
            return joined, None
        masks = [_mask_or_all(ctx, m, x) for m, x in zip(modalities, tokens, strict=True)]
        return joined, b(ops.Concat(1), *masks, name="attention_mask")


def _mask_or_all(ctx: Context, m: Modality, tokens: Value) -> Value:
    """The mask of a modality; all true where it has none. Shape: bool [batch, tokens]."""
    if m.mask is not None:
        return m.mask
    there = ctx.builder.constant(f"{m.name}.there", np.ones((), np.bool_))
    return ctx.builder(ops.Broadcast(tokens.shape[:2]), there, name=f"{m.name}.attention_mask")


def _require_one_width(ctx: Context, modalities: list[Modality]) -> None:
    first = modalities[0]
    for other in modalities[1:]:
        if other.channels != first.channels:
            raise ctx.error(
                "PG209",
                f"`{first.name}` has {first.channels} channels and `{other.name}` has {other.channels}",
                ("inputs", other.name),
                f"{other.channels} channels after steps and position",
                also=[(("inputs", first.name), f"{first.channels} channels")],
                help="add `join: {padding: {min: 0}}`, or bring both to one width with a `linear` step",
                at_key=True,
            )


def modality_code(ctx: Context, padding: WidthPadding | None, channels: int, number: int) -> Value:
    """What a modality's tokens are padded with: learned, or a one-hot code. Shape: [channels]."""
    if padding is None or padding.learned:
        return ctx.builder.parameter("padding", (channels,))
    code = np.zeros(channels, np.float32)
    if number < channels:
        code[channels - 1 - number] = 1
    return ctx.builder.constant("padding", code)


def _pad_and_mask(ctx: Context, m: Modality, width: int) -> Value:
    """Append learned channels up to the width, then let the mask token stand for what is missing.

    The mask token replaces whole tokens, positions and padding included, as the reference does.
    """
    b = ctx.builder
    spec = ctx.inputs[m.name]
    mask = spec.mask or ("optional" if ctx.spec.join else "never")
    ctx.derive(mask, "inputs", m.name, "mask")
    padding = None
    if width > m.channels:
        number = list(ctx.spec.inputs).index(m.name)
        assert ctx.spec.join is not None
        padding = modality_code(ctx, ctx.spec.join.padding, width - m.channels, number)
    if mask == "always":
        token = b.parameter("mask", (width,))
        what = "a modality that is always masked"
        count = prod(fixed_size(ctx, axis, what, ("inputs", m.name, "mask")) for axis in m.index)
        token = b(ops.Broadcast(shape_of(count)), token, name="mask_tokens")
        return b(ops.Broadcast(m.tokens.shape[:1]), token, name="masked")
    tokens = m.tokens
    if padding is not None:
        padding = b(ops.Broadcast(tokens.shape[:2]), padding, name="padding.tokens")
        tokens = b(ops.Concat(-1), tokens, padding, name="padded")
    if mask == "optional":
        present = b.input(
            f"{m.name}.present",
            "present",
            m.name,
            ("batch",),
            shape_of(ctx.symbols["batch"]),
            "bool",
        )
        token = b.parameter("mask", (width,))
        present = at_each(ctx, present, m.places, "present_places")
        condition = b(ops.Unflatten(0, (None, 1, 1)), present, name="present")
        tokens = b(ops.Where(), condition, tokens, token, name="masked")
    return tokens
