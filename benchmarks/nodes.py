"""What the profilers of engines have seen of each node of a program, in one form.

FLOPs are those of products, of a batch of one: engines tell the shapes of what a node is given at run
time, and not always those of its weights.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from math import prod
from pathlib import Path
from typing import Any

import numpy as np

_PRODUCTS = (
    *("MatMul", "FusedMatMul", "Gemm"),
    *("MatMulInteger", "MatMulIntegerToFloat", "DynamicQuantizeMatMul", "MatMulNBits"),
)
_CONVOLUTIONS = ("Conv", "FusedConv", "Convolution")
_ATTENTION = ("MultiHeadAttention",)
_TIMED = "_kernel_time"

Sizes = Sequence[int]


@dataclass
class Node:
    """One node, and each time that it ran."""

    name: str
    kind: str
    shapes: str = ""
    flops: int = 0
    """Of one time."""
    times: list[float] = field(default_factory=list)
    """Seconds."""

    def seconds(self, runs: int) -> float:
        """Of a run: the median of all but the first. What decodes in chunks runs several times in each."""
        each = np.array(self.times).reshape(runs, -1).sum(axis=1)
        return float(np.median(each[1:]))

    def flops_of_run(self, runs: int) -> int:
        """The FLOPs of all its times in a run."""
        return self.flops * (len(self.times) // runs)


def flops_of(kind: str, inputs: Sequence[Sizes], output: Sizes) -> int:
    """What a product takes; 0 for what is none."""
    if kind in _PRODUCTS:  # each number on the left is multiplied with one of each column
        return 2 * prod(inputs[0]) * output[-1]
    if kind in _CONVOLUTIONS:
        return 2 * prod(output) * prod(inputs[1][1:])
    if kind in _ATTENTION:  # scores of queries and keys, and sums of values by them
        return 2 * (prod(inputs[0]) + prod(output)) * inputs[1][1]
    return 0


def shapes_of(inputs: Sequence[Sizes], output: Sizes) -> str:
    """Such as `512x1024, 1024x1024 -> 512x1024`; numbers by themselves are left out."""
    given = ", ".join(_sizes(shape) for shape in inputs if len(shape) > 1)
    return f"{given} -> {_sizes(output)}"


def _sizes(shape: Sizes) -> str:
    return "x".join(map(str, shape)) or "1"


def of_onnxruntime(files: Iterable[Path]) -> list[Node]:
    """The nodes in the files that sessions with `enable_profiling` have written."""
    found: dict[tuple[Path, str], Node] = {}
    for file in files:
        for event in json.loads(file.read_text("utf-8")):
            if event.get("cat") != "Node" or not event["name"].endswith(_TIMED):
                continue
            told = event["args"]
            key = (file, told["node_index"])
            if key not in found:
                name = event["name"].removesuffix(_TIMED)
                given, (made, *_) = (
                    _told(told[f"{end}_type_shape"]) for end in ("input", "output")
                )
                flops = flops_of(told["op_name"], given, made)
                found[key] = Node(name, told["op_name"], shapes_of(given, made), flops)
            found[key].times.append(event["dur"] / 1e6)
    return list(found.values())


def _told(shapes: Sequence[Mapping[str, Sizes]]) -> list[Sizes]:
    """Sizes without the types that stand before them."""
    return [sizes for shape in shapes for sizes in shape.values()]


class OfOpenVino:
    """The nodes of a program that is compiled with PERF_COUNT.

    `original` is the model that it was compiled from, with the sizes of the run: its operators say what
    the shapes are, and those that were fused into a node what its FLOPs are.
    """

    def __init__(self, program: Any, original: Any) -> None:
        operators = {op.friendly_name: op for op in original.get_ops()}
        self._made_of = {
            node.friendly_name: [
                operators[name]
                for name in str(node.rt_info["originalLayersNames"].astype(str)).split(",")
                if name in operators
            ]
            for node in program.get_runtime_model().get_ops()
            if "originalLayersNames" in node.rt_info
        }
        self._nodes: dict[str, Node] = {}

    @property
    def nodes(self) -> list[Node]:
        """Those that ran."""
        return [node for node in self._nodes.values() if any(node.times)]

    def add(self, request: Any) -> None:
        """Take on what a request says of its last run: of each node the average of all its runs."""
        for info in request.get_profiling_info():
            if info.node_name not in self._nodes:
                self._nodes[info.node_name] = self._node(info)
            times = self._nodes[info.node_name].times
            total = (len(times) + 1) * info.real_time.total_seconds()
            times.append(max(0.0, total - sum(times)))

    def _node(self, info: Any) -> Node:
        kind = f"{info.node_type} ({info.exec_type})"
        made_of = _with_product(self._made_of.get(info.node_name, []), info.node_type)
        parts = [(op.get_type_name(), *_known(op)) for op in made_of]
        counted = [flops_of(*part) if part[2] else 0 for part in parts]
        if not parts:
            return Node(info.node_name, kind)
        _, given, made = parts[int(np.argmax(counted))]
        return Node(info.node_name, kind, shapes_of(given, made), sum(counted))


def _with_product(operators: list[Any], node_type: str) -> list[Any]:
    """The operators that a node was made of. A product that its bias was fused into has the name of that."""
    if node_type != "FullyConnected" or any(op.get_type_name() == "MatMul" for op in operators):
        return operators
    read = [value.get_node() for op in operators for value in op.input_values()]
    return [*operators, *(op for op in read if op.get_type_name() == "MatMul")]


def _known(op: Any) -> tuple[list[Sizes], Sizes]:
    """The shapes of what an operator is given and of what it makes; none where they are not known."""
    ports = [*(one.get_partial_shape() for one in op.inputs()), op.output(0).get_partial_shape()]
    if any(shape.is_dynamic for shape in ports):
        return [], []
    *given, made = ([*shape.to_shape()] for shape in ports)
    return given, made
