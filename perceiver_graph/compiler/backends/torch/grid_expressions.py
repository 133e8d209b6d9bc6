"""The lowerings of grids whose sizes are known only at run time."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from perceiver_graph.compiler import ops
from perceiver_graph.compiler.backends.torch.printer import Expr, call, comma_tuple
from perceiver_graph.compiler.ops import Op

if TYPE_CHECKING:
    from perceiver_graph.compiler.backends.torch.expressions import Operands


def switches(op: Any, *more: str) -> dict[str, str]:
    """What of Fourier features is not as usual."""
    names = [*more, "include_position"]
    options = {name: "False" for name in names if not getattr(op, name)}
    if op.sine_only:
        options["sine_only"] = "True"
    if op.periodic:
        options["periodic"] = str(op.periodic)
    return options


def _fourier_at(op: Any, o: Operands) -> Expr:
    positions, sizes = o
    options = {"of": comma_tuple(op.of), "bands": o.size("bands")}
    options |= {name: comma_tuple(getattr(op, name)) for name in ("max_resolution", "endpoint")}
    options |= switches(op)
    return Expr(call("fourier_at", positions.piece, sizes.piece, o.like, **options))


def _regrid(op: Any, o: Operands) -> Expr:
    return Expr(call("regrid", *(x.piece for x in o), comma_tuple(op.to)))


def _of_axes(name: str) -> Callable[[Any, Operands], Expr]:
    return lambda op, o: Expr(call(name, *(x.piece for x in o), str(op.start), str(op.axes)))


GRIDS: dict[type[Op], Callable[[Any, Operands], Expr]] = {
    ops.FourierAt: _fourier_at,
    ops.PositionsLike: _of_axes("positions_like"),
    ops.Regrid: _regrid,
    ops.SizesLike: _of_axes("sizes_like"),
}
