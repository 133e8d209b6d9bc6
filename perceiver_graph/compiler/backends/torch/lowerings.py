"""The table of lowerings: for each primitive, the torch expression that computes it.

A lowering gets its operands as text, each a name, an attribute or a call, and asks how to write the
sizes among the primitive's parameters, which may be arguments of the class it stands in.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from perceiver_graph.compiler import ops
from perceiver_graph.compiler.backends.torch.modules import Layer, symmetric
from perceiver_graph.compiler.backends.torch.text import call, quoted, several
from perceiver_graph.compiler.ir.dims import Dim
from perceiver_graph.compiler.ops import Array, Op, TensorType

LIKE = "_like"
"""An empty buffer that knows the dtype of its module; classes that make numbers of ids have it."""

MAKERS = (ops.FourierAt, ops.OneHot, ops.Positions)
"""Primitives that make numbers of whole numbers, which do not say in which dtype."""


@dataclass(frozen=True)
class Operands:
    """What a lowering works on: operands with their types, and how to write a number, and a size that
    is known only at run time."""

    texts: tuple[str, ...]
    types: tuple[TensorType, ...]
    number: Callable[[int | float], str]
    dim: Callable[[Dim], str]
    early: bool = False
    """Whether this is computed when the module is made."""

    def __iter__(self) -> Iterator[str]:
        return iter(self.texts)

    @property
    def x(self) -> str:
        """The first operand."""
        return self.texts[0]

    def sizes(self, op: Any) -> list[str]:
        """Those that a primitive holds."""
        return [self.size(size) for size in op.sizes]

    def size(self, size: Dim | int | None) -> str:
        """A size that a primitive holds; None is left to division."""
        if isinstance(size, Dim):
            return self.dim(size) if size.value is None else self.number(size.value)
        return "-1" if size is None else self.number(size)

    @property
    def like(self) -> str:
        """What knows the dtype to make numbers in."""
        return "torch.empty(0)" if self.early else f"self.{LIKE}"


def lower(op: Op, operands: Operands) -> str:
    """The expression of a primitive. `KeyError` names one that the table lacks."""
    return TABLE[type(op)](op, operands)


def apply_layer(layer: Layer, access: str, x: str) -> str:
    """A layer applied to its input; convolutions have their channels in front in torch."""
    if not isinstance(layer.op, ops.Conv):
        return call(access, x)
    if not symmetric(layer.op.padding):
        x = _pad(x, layer.op.padding)
    return _channels_first(access, x)


def literal(array: Array) -> str:
    """A tensor written out."""
    dtype = f"torch.{array.dtype.name}"
    if array.size and (array == array.flat[0]).all():
        value = _items(array.flat[0].item())
        return call("torch.full", several(array.shape), value, dtype=dtype)
    return call("torch.tensor", _items(array.tolist()), dtype=dtype)


def _items(found: Any) -> str:
    """A number, or a list of lists of numbers."""
    if isinstance(found, list):
        return f"[{', '.join(map(_items, found))}]"
    finite = isinstance(found, int) or math.isfinite(found)
    return repr(found) if finite else f'float("{found}")'


def _format(pattern: str) -> Callable[[Any, Operands], str]:
    """A lowering to a pattern with a place for each operand, and for parameters by name."""
    return lambda op, o: pattern.format(*o, **op.attributes)


def _function(head: str) -> Callable[[Any, Operands], str]:
    return lambda op, o: call(head, *o)


def _gelu(op: Any, o: Operands) -> str:
    options = {} if op.approximate == "none" else {"approximate": quoted(op.approximate)}
    return call("F.gelu", *o, **options)


def _attention(op: Any, o: Operands) -> str:
    head, options = "attend", {"heads": o.number(op.heads)}
    if len(o.texts) == 4:
        head = "attend_masked"
        if op.masked_rows != "uniform":
            options["masked_rows"] = quoted(op.masked_rows)
    return call(head, *o, **options)


def _coordinate(op: Any, o: Operands) -> str:
    quotient = o.x if op.stride == 1 else f"{o.x} // {o.number(op.stride)}"
    return f"{quotient} % {o.number(op.size)}"


def _switches(op: Any, *more: str) -> dict[str, object]:
    """What of Fourier features is not as usual."""
    options: dict[str, object] = {
        name: False for name in (*more, "include_position") if not getattr(op, name)
    }
    if op.sine_only:
        options["sine_only"] = True
    if op.periodic:
        options["periodic"] = op.periodic
    return options


def _fourier_table(op: Any, o: Operands) -> str:
    place = {"axis": op.axis, "axes": op.axes} if op.axes > 1 else {}
    sizes = {"bands": o.number(op.bands), "max_resolution": o.number(op.max_resolution)}
    options = _switches(op, "endpoint")
    return call("fourier_table", o.number(op.size), **place, **sizes, **options)


def _fourier_features(op: Any, o: Operands) -> str:
    resolution = op.max_resolution
    options = {
        "channels": o.number(op.channels),
        "bands": o.number(op.bands),
        "max_resolution": resolution if isinstance(resolution, tuple) else o.number(resolution),
        **_switches(op),
    }
    if op.ranges:
        options["ranges"] = op.ranges
    return call("fourier_features", *o, **options)


def _fourier_at(op: Any, o: Operands) -> str:
    options = {"of": several(op.of), "bands": o.number(op.bands)}
    options |= {name: several(getattr(op, name)) for name in ("max_resolution", "endpoint")}
    return call("fourier_at", o.x, several(o.sizes(op)), o.like, **options, **_switches(op))


def _positions(op: Any, o: Operands) -> str:
    sizes = [size if " " not in size else f"({size})" for size in o.sizes(op)]
    return call("torch.arange", " * ".join(sizes), device=f"{o.like}.device")


def _conv(op: Any, o: Operands) -> str:
    x, *weights = o
    options = {} if set(op.strides) == {1} else {"stride": several(op.strides)}
    if not symmetric(op.padding):
        x = _pad(x, op.padding)
    elif any(before for before, _ in op.padding):
        options["padding"] = several([before for before, _ in op.padding])
    return _channels_first(f"F.conv{len(op.strides)}d", x, *weights, **options)


def _max_pool(op: Any, o: Operands) -> str:
    x, options = o.x, dict[str, object]()
    if op.strides != op.window:
        options["stride"] = several(op.strides)
    before = [first for first, _ in op.padding]
    fits = all(2 * pad <= window for pad, window in zip(before, op.window, strict=True))
    if not (symmetric(op.padding) and fits):
        x = _pad(x, op.padding, value='float("-inf")')
    elif any(before):
        options["padding"] = several(before)
    return _channels_first(f"F.max_pool{len(op.window)}d", x, several(op.window), **options)


def _flatten(op: Any, o: Operands) -> str:
    last = op.stop == o.types[0].rank - 1
    return call(f"{o.x}.flatten", op.start, *([] if last else [op.stop]))


def _slice(op: Any, o: Operands) -> str:
    stretch = f"{op.start or ''}:{'' if op.stop is None else op.stop}"
    before = "..., " if op.axis == -1 else ":, " * (op.axis % o.types[0].rank)
    return f"{o.x}[{before}{stretch}]"


def _trim(op: Any, o: Operands) -> str:
    size = o.size(op.size)
    space = "" if size.isidentifier() or size.isdecimal() else " "
    return f"{o.x}[:{space}{size}]"


def _channels_first(head: str, x: str, *others: str, **options: object) -> str:
    """A function of torch that has the channels in front."""
    return f"{call(head, f'{x}.movedim(-1, 1)', *others, **options)}.movedim(1, -1)"


def _pad(x: str, padding: Sequence[tuple[int, int]], **options: str) -> str:
    """Pad the axes between batch and channels; torch counts them from the last."""
    sizes = [0, 0, *(size for pair in reversed(padding) for size in pair)]
    return call("F.pad", x, several(sizes), **options)


TABLE: Mapping[type[Op], Callable[[Any, Operands], str]] = {
    ops.Add: _format("{} + {}"),
    ops.Attention: _attention,
    # With the given statistics: only a layer can have its own and follow those of the batch.
    ops.BatchNorm: _format("({0} - {3}) * ({1} / ({4} + {epsilon!r}).sqrt()) + {2}"),
    ops.Broadcast: lambda op, o: call(f"{o.x}.expand", *o.sizes(op), *["-1"] * o.types[0].rank),
    ops.Concat: lambda op, o: f"torch.cat([{', '.join(o)}], dim={op.axis})",
    ops.Conv: _conv,
    ops.Coordinate: _coordinate,
    ops.Flatten: _flatten,
    ops.FourierAt: _fourier_at,
    ops.FourierFeatures: _fourier_features,
    ops.FourierTable: _fourier_table,
    ops.Gather: lambda op, o: f"{o.x}[{':, ' * op.axis}{o.texts[1]}]",
    ops.Gelu: _gelu,
    ops.Interpolate: lambda op, o: call("resize", *o, several(op.sizes), several(op.to)),
    ops.LayerNorm: _format("F.layer_norm({0}, {1}.shape, {1}, {2}, {epsilon!r})"),
    ops.Linear: _function("F.linear"),
    ops.MatMul: lambda op, o: f"{o.x} @ {o.texts[1]}{'.mT' if op.transpose_b else ''}",
    ops.MaxPool: _max_pool,
    ops.Mean: _format("{}.mean({axis})"),
    ops.Mul: _format("{} * {}"),
    ops.OneHot: lambda op, o: call("one_hot", o.x, o.number(op.classes), o.like),
    ops.Permute: lambda op, o: call(f"{o.x}.permute", *op.order),
    ops.Positions: _positions,
    ops.Regrid: lambda op, o: call("regrid", o.x, several(o.sizes(op)), several(op.to)),
    ops.Relu: _function("F.relu"),
    ops.Scale: _format("{} * {factor!r}"),
    ops.Sigmoid: _function("torch.sigmoid"),
    ops.Silu: _function("F.silu"),
    ops.Slice: _slice,
    ops.Tanh: _function("torch.tanh"),
    ops.Trim: _trim,
    ops.Unflatten: lambda op, o: call(f"{o.x}.unflatten", op.axis, several(o.sizes(op))),
    ops.Where: _function("torch.where"),
}
