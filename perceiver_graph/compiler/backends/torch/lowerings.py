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
from perceiver_graph.compiler.backends.decompose import table
from perceiver_graph.compiler.backends.torch import text as py
from perceiver_graph.compiler.backends.torch.layers import along, window_options
from perceiver_graph.compiler.backends.torch.waves import (
    fourier_at,
    fourier_features,
    fourier_table,
)
from perceiver_graph.compiler.backends.unread import lowered
from perceiver_graph.compiler.ir.dims import Dim
from perceiver_graph.compiler.ir.graph import Node
from perceiver_graph.compiler.ops import Array, Op

LIKE = "_like"
"""An empty buffer that knows the dtype of its module; classes that make numbers of ids have it."""

MAKERS = (ops.FourierAt, ops.OneHot, ops.Positions)
"""Primitives that make numbers of whole numbers, which do not say in which dtype."""


@dataclass(frozen=True)
class Operands:
    """What a lowering works on: the node, its operands as text, and how to write a number, and a size
    that is known only at run time."""

    node: Node
    texts: Sequence[str]
    number: Callable[[int | float], str]
    dim: Callable[[Dim], str]
    early: bool = False
    """Whether this is computed when the module is made."""

    def __iter__(self) -> Iterator[str]:
        return iter(self.texts)

    def __getitem__(self, operand: str) -> str:
        return self.node.op.operand(operand, self.texts)

    def rank(self, operand: str) -> int:
        return self.node[operand].type.rank

    def sizes(self, sizes: Sequence[Dim | int | None]) -> list[str]:
        """Sizes that a primitive holds; None is left to division."""
        return ["-1" if size is None else self.size(size) for size in sizes]

    def size(self, size: Dim | int) -> str:
        """A size that a primitive holds."""
        if isinstance(size, Dim):
            return self.dim(size) if size.value is None else self.number(size.value)
        return self.number(size)

    @property
    def like(self) -> str:
        """What knows the dtype to make numbers in."""
        return "torch.empty(0)" if self.early else f"self.{LIKE}"


def lower(o: Operands) -> str:
    """The expression of a node, whose primitive `known` has. `NotImplementedError` for an attribute
    that its lowering does not know."""
    return lowered(known()[type(o.node.op)], o.node.op, o)


def known() -> Mapping[type[Op], Callable[[Any, Operands], str]]:
    """Every primitive with its lowering."""
    return table("torch", TABLE)


def literal(array: Array) -> str:
    """A tensor written out."""
    dtype = f"torch.{array.dtype.name}"
    if array.size and (array == array.flat[0]).all():
        value = _items(array.flat[0].item())
        return py.call("torch.full", py.several(array.shape), value, dtype=dtype)
    return py.call("torch.tensor", _items(array.tolist()), dtype=dtype)


def _items(found: Any) -> str:
    """A number, or a list of lists of numbers."""
    if isinstance(found, list):
        return f"[{', '.join(map(_items, found))}]"
    finite = isinstance(found, int) or math.isfinite(found)
    return repr(found) if finite else f'float("{found}")'


def _format(pattern: str) -> Callable[[Any, Operands], str]:
    """A lowering to a pattern with places for operands and, as `op.axis`, for attributes."""
    return lambda op, o: pattern.format(op=op, **dict(zip(op.operands, o, strict=True)))


def _function(head: str) -> Callable[[Any, Operands], str]:
    return lambda op, o: py.call(head, *o)


def _gelu(op: Any, o: Operands) -> str:
    options = {} if op.approximate == "none" else {"approximate": py.quoted(op.approximate)}
    return py.call("F.gelu", *o, **options)


def _attention(op: Any, o: Operands) -> str:
    options: dict[str, object] = {"heads": o.number(op.heads)}
    if op.key_heads is not None or op.scale is not None or op.causal:
        head = "attend_as"
        options |= {} if op.key_heads is None else {"key_heads": o.number(op.key_heads)}
        options |= {} if op.scale is None else {"scale": op.scale}
        options |= {"causal": True} if op.causal else {}
    else:
        head = "attend_masked" if "mask" in o.node else "attend"
    if op.masked_rows != "uniform" and "mask" in o.node:
        options["masked_rows"] = py.quoted(op.masked_rows)
    return py.call(head, *o, **options)


def _rotary(op: Any, o: Operands) -> str:
    options: dict[str, object] = {"heads": o.number(op.heads)}
    if op.pairs != "interleaved":
        options["pairs"] = py.quoted(op.pairs)
    if op.inverse:
        options["inverse"] = True
    return py.call("rotate", *o, **options)


def _coordinate(op: Any, o: Operands) -> str:
    positions = o["positions"]
    quotient = positions if op.stride == 1 else f"{positions} // {o.number(op.stride)}"
    return f"{quotient} % {o.number(op.size)}"


def _positions(op: Any, o: Operands) -> str:
    sizes = [size if " " not in size else f"({size})" for size in o.sizes(op.sizes)]
    return py.call("torch.arange", " * ".join(sizes), device=f"{o.like}.device")


def _conv(op: Any, o: Operands) -> str:
    return along(op, f"F.conv{len(op.strides)}d", *o, **window_options(op))


def _max_pool(op: Any, o: Operands) -> str:
    head, window = f"F.max_pool{len(op.window)}d", py.several(op.window)
    return along(op, head, *o, window, **window_options(op))


def _flatten(op: Any, o: Operands) -> str:
    last = op.stop == o.rank("x") - 1
    return py.call(f"{o['x']}.flatten", op.start, *([] if last else [op.stop]))


def _slice(op: Any, o: Operands) -> str:
    stretch = f"{op.start or ''}:{'' if op.stop is None else op.stop}"
    before = "..., " if op.axis == -1 else ":, " * (op.axis % o.rank("x"))
    return f"{o['x']}[{before}{stretch}]"


def _trim(op: Any, o: Operands) -> str:
    size = o.size(op.size)
    space = "" if size.isidentifier() or size.isdecimal() else " "
    return f"{o['table']}[:{space}{size}]"


def _broadcast(op: Any, o: Operands) -> str:
    return py.call(f"{o['x']}.expand", *o.sizes(op.sizes), *["-1"] * o.rank("x"))


def _choose(op: Any, o: Operands) -> str:
    chosen = f"{o['chosen']}[{', '.join([':, :', *['None'] * (o.rank('x') - 2)])}]"
    if o.rank("x") == 2:
        chosen = o["chosen"]
    return py.call("torch.take_along_dim", o["x"], chosen, 1)


TABLE: Mapping[type[Op], Callable[[Any, Operands], str]] = {
    ops.Add: _format("{a} + {b}"),
    ops.Attention: _attention,
    # With the given statistics: only a layer can have its own and follow those of the batch.
    ops.BatchNorm: _format(
        "({x} - {mean}) * ({weight} / ({variance} + {op.epsilon!r}).sqrt()) + {bias}"
    ),
    ops.Broadcast: _broadcast,
    ops.Choose: _choose,
    ops.Concat: lambda op, o: f"torch.cat([{', '.join(o)}], dim={op.axis})",
    ops.Conv: _conv,
    ops.Coordinate: _coordinate,
    ops.Dropout: _format("F.dropout({x}, {op.rate!r}, self.training)"),
    ops.Flatten: _flatten,
    ops.FourierAt: fourier_at,
    ops.FourierFeatures: fourier_features,
    ops.FourierTable: fourier_table,
    ops.Gather: lambda op, o: f"{o['table']}[{':, ' * op.axis}{o['indices']}]",
    ops.GaussianSample: _format("gaussian_sample({moments}, self.training)"),
    ops.Gelu: _gelu,
    ops.Interpolate: lambda op, o: py.call("resize", *o, py.several(op.sizes), py.several(op.to)),
    ops.LayerNorm: _format("F.layer_norm({x}, {weight}.shape, {weight}, {bias}, {op.epsilon!r})"),
    ops.Linear: _function("F.linear"),
    ops.MatMul: lambda op, o: f"{o['a']} @ {o['b']}{'.mT' if op.transpose_b else ''}",
    ops.MaxPool: _max_pool,
    ops.Mean: _format("{x}.mean({op.axis})"),
    ops.Mul: _format("{a} * {b}"),
    ops.OneHot: lambda op, o: py.call("one_hot", *o, o.number(op.classes), o.like),
    ops.Permute: lambda op, o: py.call(f"{o['x']}.permute", *op.order),
    ops.Positions: _positions,
    ops.RMSNorm: _format("F.rms_norm({x}, {weight}.shape, {weight}, {op.epsilon!r})"),
    ops.Regrid: lambda op, o: py.call(
        "regrid", *o, py.several(o.sizes(op.sizes)), py.several(op.to)
    ),
    ops.Relu: _function("F.relu"),
    ops.Rotary: _rotary,
    ops.Scale: _format("{x} * {op.factor!r}"),
    ops.Sigmoid: _function("torch.sigmoid"),
    ops.Silu: _function("F.silu"),
    ops.Slice: _slice,
    ops.Tanh: _function("torch.tanh"),
    ops.Trim: _trim,
    ops.Unflatten: lambda op, o: py.call(
        f"{o['x']}.unflatten", op.axis, py.several(o.sizes(op.sizes))
    ),
    ops.Where: _function("torch.where"),
}
