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
    (positions,) = o
    sizes = comma_tuple(o.sizes(op, "sizes"))
    options = {"of": comma_tuple(op.of), "bands": o.size("bands")}
    options |= {name: comma_tuple(getattr(op, name)) for name in ("max_resolution", "endpoint")}
    options |= switches(op)
    return Expr(call("fourier_at", positions.piece, sizes, o.like, **options))


def _regrid(op: Any, o: Operands) -> Expr:
    (positions,) = o
    sizes = comma_tuple(o.sizes(op, "sizes"))
    return Expr(call("regrid", positions.piece, sizes, comma_tuple(op.to)))


def _positions(op: Any, o: Operands) -> Expr:
    sizes = [size if " " not in size else f"({size})" for size in o.sizes(op, "sizes")]
    return Expr(call("torch.arange", " * ".join(sizes), device=f"{o.like}.device"))


GRIDS: dict[type[Op], Callable[[Any, Operands], Expr]] = {
    ops.FourierAt: _fourier_at,
    ops.Positions: _positions,
    ops.Regrid: _regrid,
}
