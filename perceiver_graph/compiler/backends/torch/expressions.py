"""The table of lowerings: for each primitive, the torch expression that computes it.

A lowering gets its operands as text and asks for the sizes among the primitive's parameters, which
may turn out to be arguments of the class that the expression stands in.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import Any

from perceiver_graph.compiler import ops
from perceiver_graph.compiler.backends.torch.grid_expressions import GRIDS, switches
from perceiver_graph.compiler.backends.torch.printer import Expr, Group, Piece, call, comma_tuple
from perceiver_graph.compiler.backends.torch.tree import Layer, Size, symmetric
from perceiver_graph.compiler.dims import Dim
from perceiver_graph.compiler.ops import Array, Op, TensorType

LIKE = "_like"
"""An empty buffer that knows the dtype of its module; classes that make numbers of ids have it."""

MAKERS = (ops.FourierAt, ops.OneHot, ops.Positions)
"""Primitives that make numbers of whole numbers, which do not say in which dtype."""

_SIZES: dict[type[Op], tuple[str, ...]] = {
    ops.Attention: ("heads",),
    ops.Coordinate: ("stride", "size"),
    ops.FourierAt: ("bands",),
    ops.FourierFeatures: ("channels", "bands", "max_resolution"),
    ops.FourierTable: ("size", "bands", "max_resolution"),
    ops.OneHot: ("classes",),
}
"""The parameters of primitives in which two instances of one class may differ, beside their sizes."""

SizeOf = Callable[[str], str]


@dataclass(frozen=True)
class Operands:
    """What a lowering works on: operands with their types, the text of a size by its name, and of one
    that is known only at run time."""

    values: tuple[Expr, ...]
    types: tuple[TensorType, ...]
    size: SizeOf
    dim: Callable[[Dim], str]
    early: bool
    """Whether this is computed when the module is made."""

    def __iter__(self) -> Any:
        return iter(self.values)

    def sizes(self, op: Op, name: str) -> list[str]:
        """Those that a primitive holds under a name; -1 for what is left to division."""

        def text(key: str, size: Any) -> str:
            if size in (None, 1):
                return "-1" if size is None else "1"
            return self.dim(size) if _number(size) is None else self.size(key)

        return [text(*part) for part in _parts(op, name)]

    @property
    def like(self) -> str:
        """What knows the dtype to make numbers in."""
        return "torch.empty(0)" if self.early else f"self.{LIKE}"


def sizes_of(op: Op) -> dict[str, Size]:
    """The numbers among a primitive's sizes by name: `heads`, `sizes.0`."""
    found: dict[str, Size] = {}
    for name in _size_names(op):
        for key, size in _parts(op, name):
            number = _number(size)
            if number is not None and (key == name or number != 1):
                found[key] = Size(number, "size" if key != name else name)
    return found


def _parts(op: Op, name: str) -> list[tuple[str, Any]]:
    """A parameter that is a size by its name, several by their names in order."""
    held = getattr(op, name)
    if not isinstance(held, tuple):
        return [(name, held)]
    return [(f"{name}.{i}", size) for i, size in enumerate(held)]


def _number(size: Any) -> Any:
    """A size that is known, else None."""
    return size.value if isinstance(size, Dim) else size


def _size_names(op: Op) -> tuple[str, ...]:
    """The parameters in which instances may differ: not where they are several numbers that a
    lowering writes out."""
    names = (*_SIZES.get(type(op), ()), *op.sized)
    written_out = isinstance(op, ops.FourierFeatures) and isinstance(op.max_resolution, tuple)
    return tuple(n for n in names if n != "max_resolution") if written_out else names


def op_key(op: Op, dim: Callable[[Dim], Hashable] = str) -> Hashable:
    """What two nodes must share to be lowered to the same text, sizes that are numbers left out;
    `dim` tells what those must share that are known only at run time."""

    def kind(size: Any) -> Hashable:
        if size in (None, 1):
            return None if size is None else 1
        return "n" if _number(size) is not None else dim(size)

    sizes = _size_names(op)
    fixed = tuple((key, value) for key, value in op.attributes.items() if key not in sizes)
    held = tuple(kind(size) for name in op.sized for _, size in _parts(op, name))
    return op.name, fixed, held


def apply_layer(layer: Layer, access: str, x: Expr) -> Expr:
    """A layer applied to its input; convolutions have their channels in front in torch."""
    if not isinstance(layer.op, ops.Conv):
        return Expr(call(access, x.piece))
    if not symmetric(layer.op.padding):
        x = _pad(x, layer.op.padding)
    return Expr(Group(access, (_channels_first(x),), tail=".movedim(1, -1)"))


def lower(op: Op, operands: Operands) -> Expr:
    """The expression of a primitive. `KeyError` names one that the table lacks."""
    return TABLE[type(op)](op, operands)


def literal(array: Array) -> Group:
    """A tensor written out."""
    dtype = f"torch.{array.dtype.name}"
    if array.size and (array == array.flat[0]).all():
        return call(
            "torch.full", comma_tuple(array.shape), _items(array.flat[0].item()), dtype=dtype
        )
    return call("torch.tensor", _items(array.tolist()), dtype=dtype)


def _items(found: Any) -> Piece:
    """A number, or a list of lists of numbers."""
    if isinstance(found, list):
        return Group("", tuple(map(_items, found)), "[")
    finite = isinstance(found, int) or math.isfinite(found)
    return repr(found) if finite else f'float("{found}")'


def _add(op: Op, o: Operands) -> Expr:
    left, right = o
    # a + (b + c) keeps its brackets: rounding depends on them
    return Expr(f"{left.text} + {right.operand}", atom=False)


def _mul(op: Op, o: Operands) -> Expr:
    left, right = o
    return Expr(f"{left.operand} * {right.operand}", atom=False)


def _scale(op: Any, o: Operands) -> Expr:
    (x,) = o
    return Expr(f"{x.operand} * {op.factor!r}", atom=False)


def _where(op: Op, o: Operands) -> Expr:
    return Expr(call("torch.where", *(x.piece for x in o)))


def _gelu(op: Any, o: Operands) -> Expr:
    (x,) = o
    options = {} if op.approximate == "none" else {"approximate": f'"{op.approximate}"'}
    return Expr(call("F.gelu", x.piece, **options))


def _function(head: str) -> Callable[[Op, Operands], Expr]:
    return lambda op, o: Expr(call(head, *(x.piece for x in o)))


def _attention(op: Any, o: Operands) -> Expr:
    head, options = "attend", {"heads": o.size("heads")}
    if len(o.values) == 4:
        head = "attend_masked"
        if op.masked_rows != "uniform":
            options["masked_rows"] = f'"{op.masked_rows}"'
    return Expr(call(head, *(x.piece for x in o), **options))


def _coordinate(op: Any, o: Operands) -> Expr:
    (positions,) = o
    quotient = positions.operand if op.stride == 1 else f"{positions.operand} // {o.size('stride')}"
    return Expr(f"{quotient} % {o.size('size')}", atom=False)


def _gather(op: Any, o: Operands) -> Expr:
    table, indices = o
    return Expr(f"{table.operand}[{':, ' * op.axis}{indices.text}]")


def _one_hot(op: Any, o: Operands) -> Expr:
    (ids,) = o
    return Expr(call("one_hot", ids.piece, o.size("classes"), o.like))


def _fourier_table(op: Any, o: Operands) -> Expr:
    options: dict[str, str] = {}
    if op.axes > 1:
        options |= {"axis": str(op.axis), "axes": str(op.axes)}
    options |= {"bands": o.size("bands"), "max_resolution": o.size("max_resolution")}
    options |= switches(op, "endpoint")
    return Expr(call("fourier_table", o.size("size"), **options))


def _fourier_features(op: Any, o: Operands) -> Expr:
    (x,) = o
    options = {name: o.size(name) for name in _size_names(op)}
    if "max_resolution" not in options:
        options["max_resolution"] = str(op.max_resolution)
    options |= switches(op)
    if op.ranges:
        options["ranges"] = str(op.ranges)
    return Expr(call("fourier_features", x.piece, **options))


def _interpolate(op: Any, o: Operands) -> Expr:
    (table,) = o
    return Expr(call("resize", table.piece, comma_tuple(op.sizes), comma_tuple(op.to)))


def _trim(op: Any, o: Operands) -> Expr:
    (table,), (size,) = o, o.sizes(op, "size")
    space = "" if size.isidentifier() or size.isdecimal() else " "
    return Expr(f"{table.operand}[:{space}{size}]")


def _mean(op: Any, o: Operands) -> Expr:
    (x,) = o
    return Expr(f"{x.operand}.mean({op.axis})")


def _linear(op: Op, o: Operands) -> Expr:
    return Expr(call("F.linear", *(x.piece for x in o)))


def _matmul(op: Any, o: Operands) -> Expr:
    left, right = o
    return Expr(f"{left.operand} @ {right.operand}{'.mT' if op.transpose_b else ''}", atom=False)


def _conv(op: Any, o: Operands) -> Expr:
    x, *weights = o
    options = [] if set(op.strides) == {1} else [f"stride={comma_tuple(op.strides)}"]
    if symmetric(op.padding):
        options.append(f"padding={comma_tuple([before for before, _ in op.padding])}")
    else:
        x = _pad(x, op.padding)
    inner = (_channels_first(x), *(w.piece for w in weights), *options)
    return Expr(Group(f"F.conv{len(op.strides)}d", inner, tail=".movedim(1, -1)"))


def _layer_norm(op: Any, o: Operands) -> Expr:
    x, weight, bias = o
    shape = f"{weight.operand}.shape"
    return Expr(call("F.layer_norm", x.piece, shape, weight.piece, bias.piece, repr(op.epsilon)))


def _batch_norm(op: Any, o: Operands) -> Expr:
    """With the given statistics; only a layer can have its own and follow those of the batch."""
    x, weight, bias, mean, variance = (value.operand for value in o)
    deviation = f"({variance} + {op.epsilon!r}).sqrt()"
    return Expr(f"({x} - {mean}) * ({weight} / {deviation}) + {bias}", atom=False)


def _max_pool(op: Any, o: Operands) -> Expr:
    (x,) = o
    options = [comma_tuple(op.window)]
    if op.strides != op.window:
        options.append(f"stride={comma_tuple(op.strides)}")
    before = [first for first, _ in op.padding]
    fits = all(2 * pad <= window for pad, window in zip(before, op.window, strict=True))
    if not (symmetric(op.padding) and fits):
        x = _pad(x, op.padding, 'value=float("-inf")')
    elif any(before):
        options.append(f"padding={comma_tuple(before)}")
    inner = (_channels_first(x), *options)
    return Expr(Group(f"F.max_pool{len(op.window)}d", inner, tail=".movedim(1, -1)"))


def _flatten(op: Any, o: Operands) -> Expr:
    (x,) = o
    stop = "" if op.stop == o.types[0].rank - 1 else f", {op.stop}"
    return Expr(f"{x.operand}.flatten({op.start}{stop})")


def _unflatten(op: Any, o: Operands) -> Expr:
    (x,) = o
    return Expr(f"{x.operand}.unflatten({op.axis}, {comma_tuple(o.sizes(op, 'sizes'))})")


def _permute(op: Any, o: Operands) -> Expr:
    (x,) = o
    return Expr(f"{x.operand}.permute({', '.join(map(str, op.order))})")


def _concat(op: Any, o: Operands) -> Expr:
    return Expr(call("torch.cat", Group("", tuple(x.piece for x in o), "["), dim=str(op.axis)))


def _slice(op: Any, o: Operands) -> Expr:
    (x,) = o
    stretch = f"{op.start or ''}:{'' if op.stop is None else op.stop}"
    before = "..., " if op.axis == -1 else ":, " * (op.axis % o.types[0].rank)
    return Expr(f"{x.operand}[{before}{stretch}]")


def _broadcast(op: Any, o: Operands) -> Expr:
    (x,) = o
    sizes = [*o.sizes(op, "sizes"), *["-1"] * o.types[0].rank]
    return Expr(f"{x.operand}.expand({', '.join(sizes)})")


def _channels_first(x: Expr) -> str:
    return f"{x.operand}.movedim(-1, 1)"


def _pad(x: Expr, padding: Sequence[tuple[int, int]], *options: str) -> Expr:
    """Pad the axes between batch and channels; torch counts them from the last."""
    sizes = [0, 0, *(size for pair in reversed(padding) for size in pair)]
    return Expr(call("F.pad", x.piece, comma_tuple(sizes), *options))


TABLE: dict[type[Op], Callable[[Any, Operands], Expr]] = {
    ops.Add: _add,
    ops.Attention: _attention,
    ops.BatchNorm: _batch_norm,
    ops.Broadcast: _broadcast,
    ops.Concat: _concat,
    ops.Conv: _conv,
    ops.Coordinate: _coordinate,
    ops.Flatten: _flatten,
    ops.FourierFeatures: _fourier_features,
    ops.FourierTable: _fourier_table,
    ops.Gather: _gather,
    ops.Gelu: _gelu,
    ops.Interpolate: _interpolate,
    ops.LayerNorm: _layer_norm,
    ops.Linear: _linear,
    ops.MatMul: _matmul,
    ops.MaxPool: _max_pool,
    ops.Mean: _mean,
    ops.Mul: _mul,
    ops.OneHot: _one_hot,
    ops.Permute: _permute,
    ops.Relu: _function("F.relu"),
    ops.Scale: _scale,
    ops.Sigmoid: _function("torch.sigmoid"),
    ops.Silu: _function("F.silu"),
    ops.Slice: _slice,
    ops.Tanh: _function("torch.tanh"),
    ops.Trim: _trim,
    ops.Unflatten: _unflatten,
    ops.Where: _where,
    **GRIDS,
}
