"""Which symbols the inputs say at run time, and which are given with the call."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence

from perceiver_graph.compiler.blocks.context import Axis, Context, Path
from perceiver_graph.compiler.ir.dims import Dim, Symbol


def said(sizes: Iterable[Dim]) -> set[Symbol]:
    """The symbols that can be told from these sizes: an equation for each that has one unknown."""
    found: set[Symbol] = set()
    open_ = {size.symbols for size in sizes}
    while single := [symbols - found for symbols in open_ if len(symbols - found) == 1]:
        found = found.union(*single)
    return found


def free(inputs: Iterable[Sequence[Axis]], outputs: Iterable[Sequence[Axis]]) -> set[str]:
    """The symbols of outputs that no input has: given with the call, or else the largest."""
    return _names(outputs) - _names(inputs)


def check_symbols(
    ctx: Context,
    inputs: Mapping[str, Sequence[Axis]],
    outputs: Mapping[str, Sequence[Axis]],
    latents: Sequence[Axis],
) -> None:
    """Report (PG217) symbols that nothing says, by the axes of inputs, of outputs and of the latents."""
    for name in sorted(_names([latents]) - _names(inputs.values())):
        ctx.error(
            "PG217",
            f"no input says how large `{name}` is, and with it how many latents there are",
            ("latents", "count"),
            also=_declared(ctx, [name]),
            help=f"let an input have an axis of the size `{name}`, or write a number",
        )
    known = {s.name for s in said(axis.size for axes in inputs.values() for axis in axes)}
    unsaid = _names(inputs.values()) - known
    places = {name: ("inputs", name, "shape") for name in inputs}
    for name in sorted(unsaid):
        path, axis = _place(name, inputs, places)
        ctx.error(
            "PG217",
            f"`{axis.size}` does not say how large `{name}` is",
            path,
            also=_declared(ctx, [name]),
            help=f"let an input have an axis of the size `{name}`, or write a number for it",
        )
    used = _names([*outputs.values(), latents])
    for name in sorted((used & _names(inputs.values())) - unsaid):
        if not any(_tells(axis, name) for axes in inputs.values() for axis in axes):
            path, axis = _place(name, inputs, places)
            ctx.error(
                "PG217",
                f"`{axis.size}` does not say plainly how large `{name}` is, which an output has to know",
                path,
                also=_declared(ctx, [name]),
                help=f"let an input have an axis of the size `{name}`",
            )
    grids = {name: ("outputs", name, "query", "grid") for name in outputs}
    for name in sorted(free(inputs.values(), outputs.values())):
        if ctx.symbols[name].highest is None:
            path, _ = _place(name, outputs, grids)
            ctx.error(
                "PG217",
                f"no input says how large `{name}` is, and it has no `max` that it could be",
                path,
                also=_declared(ctx, [name]),
                help=f"declare it: `{ctx.symbols[name].declaration(most=100)}`; less can be asked for "
                "with each call",
            )


def add_count(ctx: Context, symbol: Symbol, output: str, what: str) -> None:
    """Add the symbol of a count that each call says by an array of an output.

    `what` says of what. Raises (PG207) where the spec declares a symbol of that name.
    """
    if symbol.name in ctx.spec.dims:
        raise ctx.error(
            "PG207",
            f"`{symbol.name}` is how many {what}, and cannot be declared",
            ("dims", symbol.name),
            also=[(("outputs", output), "this output")],
            help="choose another name for the symbol",
            at_key=True,
        )
    ctx.builder.symbols[symbol.name] = symbol


def _tells(axis: Axis, name: str) -> bool:
    """Whether the size of an axis is a multiple of a symbol, plus a number."""
    size = axis.size
    if {symbol.name for symbol in size.symbols} != {name}:
        return False
    (symbol,) = size.symbols
    low, step = symbol.lowest, symbol.multiple_of
    free = Symbol(name, low, None, step)
    at = [Dim.parse(str(size), {name: free}).evaluate({name: low + i * step}) for i in range(3)]
    return at[1] - at[0] == at[2] - at[1] > 0


def _names(shapes: Iterable[Sequence[Axis]]) -> set[str]:
    return {symbol.name for axes in shapes for axis in axes for symbol in axis.size.symbols}


def _place(
    name: str, shapes: Mapping[str, Sequence[Axis]], paths: Mapping[str, Path]
) -> tuple[Path, Axis]:
    """The first axis that has a symbol, and where it stands in the spec."""
    found = (
        ((*paths[part], axis.name), axis)
        for part, axes in shapes.items()
        for axis in axes
        if name in {symbol.name for symbol in axis.size.symbols}
    )
    return next(found)


def _declared(ctx: Context, names: Collection[str]) -> list[tuple[Path, str]]:
    return [(("dims", name), "declared here") for name in names if name in ctx.spec.dims]
