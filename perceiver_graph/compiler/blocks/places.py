"""Reading along one axis of the inputs: the others are places, each a problem of its own.

Places are folded into the batch, so that whatever reads needs to know nothing of them.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from perceiver_graph.compiler import ops
from perceiver_graph.compiler.blocks.context import CHANNEL, Axis, Context, Field, PartError
from perceiver_graph.compiler.blocks.located import Rows
from perceiver_graph.compiler.ir.dims import product
from perceiver_graph.compiler.ir.graph import Value
from perceiver_graph.diagnostics.words import did_you_mean
from perceiver_graph.diagnostics.words import joined as joined_words

Axes = tuple[Axis, ...]


def along(ctx: Context, index: Axes) -> Axes:
    """Of the axes that count the tokens of an input, those that are read along."""
    over = ctx.spec.encode.over
    return index if over is None else tuple(axis for axis in index if axis.name == over)


def fold(ctx: Context, x: Field, name: str) -> tuple[Field, Axes]:
    """An array with its places in the batch, and which axes these were.

    Shapes: [batch, *index, ...] -> [batch * places, what is read along, ...].
    """
    read = along(ctx, x.index)
    places = tuple(axis for axis in x.index if axis not in read)
    if not places:
        return x, ()
    b, value = ctx.builder, x.value
    wanted = (*places, *(axis for axis in x.axes if axis not in places))
    if wanted != x.axes:
        order = (0, *(1 + x.axes.index(axis) for axis in wanted))
        value = b(ops.Permute(order), value, name=f"{name}_order")
    value = b(ops.Flatten(0, len(places)), value, name=name)
    return Field(value, wanted[len(places) :]), places


def unfold(ctx: Context, x: Value, places: Sequence[Axis], name: str) -> Value:
    """Shapes: [batch * places, ...] -> [batch, *places, ...]."""
    if not places:
        return x
    sizes = (None, *(axis.size for axis in places))
    return ctx.builder(ops.Unflatten(0, sizes), x, name=name)


def at_each(ctx: Context, x: Value, places: Sequence[Axis], name: str) -> Value:
    """What is the same at every place. Shapes: [batch, ...] -> [batch * places, ...]."""
    if not places:
        return x
    b = ctx.builder
    x = b(ops.Broadcast((product(axis.size for axis in places),)), x, name=f"{name}_repeated")
    x = b(ops.Permute((1, 0, *range(2, x.type.rank))), x, name=f"{name}_order")
    return b(ops.Flatten(0, 1), x, name=name)


def _over(ctx: Context) -> Axis:
    """The axis of places that `process` is over. Raises PartError where it is not there, as reported."""
    for axis in ctx.places:
        if axis.name == ctx.spec.process.over:
            return axis
    raise PartError


def together(ctx: Context, x: Value, name: str, *, joined: bool = False) -> Value:
    """What stands at all places along the axis that `process` is over, as one list; joined, as channels.

    Shapes: [batch * places, n, ...] -> [batch * other places, places along it * n, ...], or joined
    [batch * other places, places along it, n * channels].
    """
    b, over = ctx.builder, _over(ctx)
    others = len(ctx.places) - 1
    if over == ctx.places[-1]:
        x = b(ops.Unflatten(0, (None, over.size)), x, name=f"{name}_{over.name}")
    else:
        x = unfold(ctx, x, ctx.places, f"{name}_places")
        at = 1 + ctx.places.index(over)
        order = (
            *(i for i in range(1 + others + 1) if i != at),
            at,
            *range(2 + others, x.type.rank),
        )
        x = b(ops.Permute(order), x, name=f"{name}_order")
        x = b(ops.Flatten(0, others), x, name=f"{name}_{over.name}")
    return b(ops.Flatten(2, 3) if joined else ops.Flatten(1, 2), x, name=name)


def apart(ctx: Context, x: Value, name: str, joined: int | None = None) -> Value:
    """The inverse of `together`, of as many as were `joined`.

    Shapes: [batch * other places, places along it * n, ...] -> [batch * places, n, ...].
    """
    b, over = ctx.builder, _over(ctx)
    split = (
        ops.Unflatten(1, (over.size, None)) if joined is None else ops.Unflatten(2, (joined, None))
    )
    x = b(split, x, name=f"{name}_{over.name}")
    if over == ctx.places[-1]:
        return b(ops.Flatten(0, 1), x, name=name)
    others = [axis for axis in ctx.places if axis != over]
    x = unfold(ctx, x, others, f"{name}_places")
    order = [*range(x.type.rank)]
    order.insert(1 + ctx.places.index(over), order.pop(1 + len(others)))
    x = b(ops.Permute(tuple(order)), x, name=f"{name}_order")
    return b(ops.Flatten(0, len(ctx.places)), x, name=name)


def with_over(ctx: Context, index: Axes) -> Axes:
    """The axes that count what `together` makes one list of."""
    return index if ctx.spec.process.over is None else (_over(ctx), *index)


def leave_places(ctx: Context) -> None:
    """What queries find once the latents have read each other: at which places, and which of them."""
    process = ctx.spec.process
    ctx.asked_at = tuple(axis for axis in ctx.places if axis.name != process.over)
    if process.over is None or ctx.asked_at == ctx.places:  # it is not there, as reported
        return
    ctx.latent_axes = with_over(ctx, () if process.joined else ctx.latent_axes)
    if process.joined and ctx.latent_width is not None:
        ctx.latent_width *= ctx.spec.latents.total


def check_together(ctx: Context, latents: Rows | None) -> None:
    """Refuse (PG202, PG205) what `process` says of an axis of places that is not there."""
    over, joined = ctx.spec.process.over, ctx.spec.process.joined
    if over is None and joined:
        raise ctx.error(
            "PG205",
            "latents are joined where places are read along an axis, and none is named",
            ("process", "joined"),
            help="write `over: AXIS` beside it, or leave `joined` out",
        )
    if over is None and ctx.spec.process.within is not None:
        raise ctx.error(
            "PG205",
            "latents of a place read each other before those of all places do, and no axis of these is "
            "named",
            ("process", "within"),
            help="write `over: AXIS` beside it, or leave `within` out: `layers` are such layers",
            at_key=True,
        )
    if over is None:
        return
    if ctx.spec.encode.over is None:
        raise ctx.error(
            "PG205",
            f"there is one set of latents, and not one for each place of `{over}`",
            ("process", "over"),
            help="name the axis that each set reads along, `encode: {over: AXIS}`, or leave this out: "
            "all latents read each other",
        )
    if latents is None or (not ctx.places and ctx.report.has_errors):
        raise PartError  # the inputs or the latents have an error of their own, already reported
    names = [axis.name for axis in ctx.places]
    if over not in names:
        read = ctx.spec.encode.over
        raise ctx.error(
            "PG202",
            f"there are no latents for each place of `{over}`"
            + (", which they read along" if over == read else ""),
            ("process", "over"),
            f"there is a set at each place of {joined_words(names, 'and')}"
            if names
            else "there is one set: the inputs have no other axis",
            also=[(("encode", "over"), "read along here")],
            help=did_you_mean(over, names) or (f"write `over: {names[-1]}`" if names else None),
        )
    if not ctx.spec.process.layers:
        raise ctx.error(
            "PG205",
            f"there are no layers that could read over `{over}`",
            ("process", "over"),
            also=[(("process", "layers"), "none here")],
            help="leave `over` out, or have layers",
        )
    if joined and latents.mask is not None:
        raise ctx.error(
            "PG205",
            "latents of which some may be masked cannot be joined to one",
            ("process", "joined"),
            also=[(("latents",), "tokens of an input with an attention mask")],
            help="leave `joined` out, or `attention_mask` of the input",
        )


def check_places(ctx: Context, found: Iterable[tuple[str, Axes, Axes]]) -> Axes:
    """The places that all inputs have, each given with its name, the axes that count its tokens and
    its places.

    Raises (reports) PG202 where none has the axis that is read along, PG205 where places differ.
    """
    over, inputs = ctx.spec.encode.over, list(found)
    if over is None or not inputs:
        return ()
    reading = [(name, places) for name, index, places in inputs if index]
    if not reading:
        names = dict.fromkeys(axis.name for _, _, places in inputs for axis in places)
        raise ctx.error(
            "PG202",
            f"no input has an axis `{over}` that could be read along"
            if over != CHANNEL
            else f"`{CHANNEL}` holds what a token consists of, and counts none",
            ("encode", "over"),
            f"the axes of tokens are {', '.join(names) or 'none'}",
            help=did_you_mean(over, names) or "name one of them, or leave `over` out",
        )
    first, wanted = reading[0]
    for name, _, places in inputs:
        if places != wanted:
            raise ctx.error(
                "PG205",
                f"`{name}` does not lie at the places of `{first}`: read along `{over}`, it has "
                f"{_sizes(places)}, and `{first}` has {_sizes(wanted)}",
                ("inputs", name, "shape"),
                also=[(("encode", "over"), "each place of the other axes is read by itself")],
                help=f"give `{name}` the axes {_sizes(wanted)} after its steps, in this order",
            )
    return wanted


def check_names(ctx: Context, name: str, axes: Sequence[Axis]) -> None:
    """Refuse (PG206) an output two of whose axes are called the same: a place and a query."""
    names = [axis.name for axis in axes]
    for axis in dict.fromkeys(names):
        if names.count(axis) > 1:
            raise ctx.error(
                "PG206",
                f"`{name}` would have two axes `{axis}`: that of its places, and that of what is "
                "asked at each",
                ("outputs", name, "query"),
                also=[
                    (("encode", "over"), "each place of the other axes has an answer of its own")
                ],
                help="give one of them another name",
            )


def _sizes(axes: Axes) -> str:
    return ", ".join(map(str, axes)) or "no axes"
