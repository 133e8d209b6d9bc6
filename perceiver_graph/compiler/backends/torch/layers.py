"""Layers: the modules that torch has, and for which nodes of a graph they stand."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import repeat
from typing import Any

from perceiver_graph.compiler import ops
from perceiver_graph.compiler.backends.torch import text as py
from perceiver_graph.compiler.backends.unread import lowered
from perceiver_graph.compiler.ir.graph import Node, Parameter, Value


@dataclass(frozen=True)
class Layer:
    """A module that torch (or the library) has: `head(*items, **options)`."""

    op: ops.Op
    parameters: Mapping[str, Value]
    head: str
    items: tuple[int | str, ...]
    """Numbers, which the class around it may take as arguments, and other texts."""
    options: Mapping[str, object]

    def applies(self, node: Node) -> bool:
        """Whether a node is this layer applied to something."""
        return node.op == self.op and _parameters(node) == self.parameters

    def applied(self, access: str, x: str) -> str:
        """The layer applied to its input."""
        return along(self.op, access, x) if isinstance(self.op, ops.Conv) else py.call(access, x)


def find_layer(
    parameters: Mapping[str, Parameter], readers: Mapping[Value, Sequence[Node]]
) -> Layer | None:
    """The layer that owns just these parameters, if every node that could be it is."""
    values = {name: leaf.value for name, leaf in parameters.items()}
    nodes = [node for value in values.values() for node in readers.get(value, ())]
    found = next((n for n in nodes if type(n.op) in _LAYERS and _parameters(n) == values), None)
    usual = all(x.trainable != name.startswith("running_") for name, x in parameters.items())
    if found is None or not usual:
        return None
    layer = Layer(found.op, values, *lowered(_LAYERS[type(found.op)], found.op, found))
    alike = (node for node in nodes if type(node.op) is type(found.op))
    return layer if layer.head and all(map(layer.applies, alike)) else None


def argument(node: Node) -> Value:
    """What a layer takes when it is called."""
    return node["indices" if isinstance(node.op, ops.Gather) else "x"]


_NAMES = {"mean": "running_mean", "variance": "running_var", "table": "weight"}
"""How torch calls parameters that have another name in the primitive."""


def _parameters(node: Node) -> dict[str, Value]:
    """What a node reads beside the argument, as the parameters of a layer are called."""
    names = (name.rstrip("?") for name in node.op.operands if name not in ("x", "indices"))
    return {_NAMES.get(name, name): node[name] for name in names if name in node}


_Described = tuple[str, tuple[int | str, ...], dict[str, object]]
"""The layer that a node may be: its class, or nothing, and what that takes."""


def _linear(op: Any, node: Node) -> _Described:
    width, inputs = map(int, node["weight"].shape)
    return "nn.Linear", (inputs, width), _without_bias(node)


def _norm(head: str) -> Callable[[Any, Node], _Described]:
    def described(op: Any, node: Node) -> _Described:
        options = {} if op.epsilon == 1e-5 else {"eps": op.epsilon}
        return head, (int(node.output.shape[-1]),), options

    return described


def _rms_norm(op: Any, node: Node) -> _Described:
    return "nn.RMSNorm", (int(node.output.shape[-1]),), {"eps": op.epsilon}


def _conv(op: Any, node: Node) -> _Described:
    out, inputs, *kernel = map(int, node["weight"].shape)
    options = window_options(op) | _without_bias(node)
    return f"nn.Conv{len(kernel)}d", (inputs, out, py.several(kernel)), options


def _embedding(op: Any, node: Node) -> _Described:
    table = node["table"].shape
    head = "nn.Embedding" if len(table) == 2 and op.axis == 0 else ""
    return head, tuple(map(int, table)), {}


def _without_bias(node: Node) -> dict[str, object]:
    return {} if "bias" in node else {"bias": False}


_LAYERS: Mapping[type[ops.Op], Callable[[Any, Node], _Described]] = {
    ops.Linear: _linear,
    ops.LayerNorm: _norm("nn.LayerNorm"),
    ops.RMSNorm: _rms_norm,
    ops.BatchNorm: _norm("BatchNorm"),
    ops.Conv: _conv,
    ops.Gather: _embedding,
}


def along(op: ops.Conv | ops.MaxPool, head: str, x: str, /, *more: str, **options: object) -> str:
    """A convolution or a pooling, whose channels are in front in torch."""
    if not _evenly_padded(op):
        sizes = [0, 0, *(size for pair in reversed(op.padding) for size in pair)]
        least = {"value": 'float("-inf")'} if isinstance(op, ops.MaxPool) else {}
        x = py.call("F.pad", x, py.several(sizes), **least)
    return f"{py.call(head, f'{x}.movedim(-1, 1)', *more, **options)}.movedim(1, -1)"


def window_options(op: ops.Conv | ops.MaxPool) -> dict[str, object]:
    """What of strides and padding is not as usual, and torch can do."""
    usual = op.window if isinstance(op, ops.MaxPool) else (1,) * len(op.strides)
    options: dict[str, object] = {} if op.strides == usual else {"stride": py.several(op.strides)}
    if _evenly_padded(op) and any(before for before, _ in op.padding):
        options["padding"] = py.several([before for before, _ in op.padding])
    return options


def _evenly_padded(op: ops.Conv | ops.MaxPool) -> bool:
    """Whether each axis is padded alike at both ends, and windows of a pooling by half at most:
    torch does no other padding."""
    most = [size // 2 for size in op.window] if isinstance(op, ops.MaxPool) else repeat(math.inf)
    return all(a == b and a <= limit for (a, b), limit in zip(op.padding, most, strict=False))
