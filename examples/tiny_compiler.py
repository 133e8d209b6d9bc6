"""A small compiler: the spec of a Perceiver becomes PyTorch source, checked against numpy.

docs/tour.md walks through it, and says where each of its parts is in the package.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Spec:
    """Latents of a width read tokens of so many channels, and give so many outputs each."""

    tokens: int
    channels: int
    latents: int
    width: int
    outputs: int


def parse(text: str) -> Spec:
    """Lines `name: size`. `ValueError` names the line that is wrong."""
    sizes = {}
    for number, line in enumerate(text.splitlines(), start=1):
        name, _, size = line.partition(": ")
        if name not in Spec.__annotations__ or not size.isdecimal():
            known = ", ".join(Spec.__annotations__)
            raise ValueError(f"line {number}: `{line}` gives no size to one of {known}")
        sizes[name] = int(size)
    return Spec(**sizes)


Array = np.ndarray[Any, np.dtype[Any]]
Shape = tuple[int | str, ...]
"""A name is a size that only the call knows: ("batch", 50, 6)."""


def bind(shape: Shape, batch: int) -> tuple[int, ...]:
    """The sizes for a batch."""
    return tuple(size if isinstance(size, int) else batch for size in shape)


def elements(shape: Shape) -> int:
    """How many numbers there are in a sample."""
    return math.prod(bind(shape, batch=1))


@dataclass(frozen=True)
class MatMul:
    """a b, or a b^T. Shapes: a [..., n, k], b [k, m], [m, k] where transposed -> [..., n, m]."""

    transposed: bool = False

    def infer(self, a: Shape, b: Shape) -> Shape:
        k, m = b[::-1] if self.transposed else b
        if a[-1] != k:
            raise ValueError(f"{self} of {a} and {b}: {a[-1]} is not {k}")
        return (*a[:-1], m)

    def evaluate(self, a: Array, b: Array) -> Array:
        return a @ (b.T if self.transposed else b)

    def flops(self, a: Shape, b: Shape) -> int:
        return 2 * elements(a[:-1]) * elements(b)

    def torch(self, a: str, b: str) -> str:
        return f"{a} @ {b}.T" if self.transposed else f"{a} @ {b}"


@dataclass(frozen=True)
class Attention:
    """softmax(scale q k^T) v. Shapes: q [n, d], k [batch, m, d], v [batch, m, e] -> [batch, n, e]."""

    scale: float

    def infer(self, q: Shape, k: Shape, v: Shape) -> Shape:
        if q[-1] != k[-1] or k[:-1] != v[:-1]:
            raise ValueError(f"{self} of q {q}, k {k}, v {v}")
        return (*k[:-2], q[-2], v[-1])

    def evaluate(self, q: Array, k: Array, v: Array) -> Array:
        scores = self.scale * q @ np.swapaxes(k, -1, -2)
        weights = np.exp(scores - scores.max(axis=-1, keepdims=True))
        found: Array = weights / weights.sum(axis=-1, keepdims=True) @ v
        return found

    def flops(self, q: Shape, k: Shape, v: Shape) -> int:
        return 2 * elements(q[:-1]) * (elements(k) + elements(v))

    def torch(self, q: str, k: str, v: str) -> str:
        return f"torch.softmax({self.scale} * {q} @ {k}.mT, dim=-1) @ {v}"


Op = MatMul | Attention


@dataclass(frozen=True)
class Value:
    """A tensor by its name."""

    name: str
    shape: Shape


@dataclass(frozen=True)
class Node:
    """An op applied to values."""

    op: Op
    inputs: tuple[Value, ...]
    output: Value


@dataclass(frozen=True)
class Graph:
    """A program of one input, with its nodes in an order in which they can be computed."""

    input: Value
    parameters: tuple[Value, ...]
    nodes: tuple[Node, ...]

    @property
    def output(self) -> Value:
        return self.nodes[-1].output


def apply(op: Op, *inputs: Value, name: str) -> Node:
    """A node whose shape follows from its inputs."""
    return Node(op, inputs, Value(name, op.infer(*(value.shape for value in inputs))))


def lower(spec: Spec) -> Graph:
    """What the spec computes, the way a paper would say it."""
    x = Value("x", ("batch", spec.tokens, spec.channels))
    latents = Value("latents", (spec.latents, spec.width))
    query = Value("query", (spec.width, spec.width))
    key, value = (Value(name, (spec.channels, spec.width)) for name in ("key", "value"))
    head = Value("head", (spec.width, spec.outputs))
    q = apply(MatMul(), latents, query, name="q")
    k = apply(MatMul(), x, key, name="k")
    v = apply(MatMul(), x, value, name="v")
    attention = Attention(scale=1 / math.sqrt(spec.width))
    found = apply(attention, q.output, k.output, v.output, name="found")
    y = apply(MatMul(), found.output, head, name="y")
    return Graph(x, (latents, query, key, value, head), (q, k, v, found, y))


def evaluate(graph: Graph, arrays: Mapping[str, Array]) -> Array:
    """The output, from the input and the parameters by name: what everything is judged by."""
    values = dict(arrays)
    for node in graph.nodes:
        values[node.output.name] = node.op.evaluate(*(values[v.name] for v in node.inputs))
    return values[graph.output.name]


def move_keys(node: Node, x: Value, w: Value) -> tuple[Node, Node]:
    """q (x W)^T = (q W^T) x^T."""
    q, _, v = node.inputs
    queries = apply(MatMul(transposed=True), q, w, name=f"{q.name}_{w.name}")
    return queries, replace(node, inputs=(queries.output, x, v))


def move_values(node: Node, x: Value, w: Value) -> tuple[Node, Node]:
    """A (x W) = (A x) W."""
    q, k, _ = node.inputs
    found = apply(node.op, q, k, x, name=f"{node.output.name}_{x.name}")
    return found, Node(MatMul(), (found.output, w), node.output)


def compose(node: Node, x: Value, v: Value) -> tuple[Node, Node]:
    """(x V) W = x (V W)."""
    w = node.inputs[1]
    product = apply(node.op, v, w, name=f"{v.name}_{w.name}")
    return product, Node(MatMul(), (x, product.output), node.output)


RULES = ((Attention, 1, move_keys), (Attention, 2, move_values), (MatMul, 0, compose))
"""For which op each is, and which of its operands must be a product."""


def rewrites(graph: Graph) -> Iterator[Graph]:
    """What one rule makes of a graph at one node, for every rule and node where it applies."""
    products = {node.output: node.inputs for node in graph.nodes if node.op == MatMul()}
    for at, node in enumerate(graph.nodes):
        for op, operand, rule in RULES:
            if isinstance(node.op, op) and node.inputs[operand] in products:
                new = rule(node, *products[node.inputs[operand]])
                yield replace(graph, nodes=live((*graph.nodes[:at], *new, *graph.nodes[at + 1 :])))


def live(nodes: tuple[Node, ...]) -> tuple[Node, ...]:
    """The nodes from which the last one is computed, and itself."""
    needed, kept = {nodes[-1].output}, []
    for node in reversed(nodes):
        if node.output in needed:
            needed.update(node.inputs)
            kept.append(node)
    return tuple(reversed(kept))


def late(graph: Graph) -> tuple[Node, ...]:
    """The nodes that depend on the input: all others are known once the parameters are."""
    known, found = set(graph.parameters), []
    for node in graph.nodes:
        if known.issuperset(node.inputs):
            known.add(node.output)
        else:
            found.append(node)
    return tuple(found)


def cost(graph: Graph) -> int:
    """FLOPs of a sample at run time."""
    return sum(node.op.flops(*(value.shape for value in node.inputs)) for node in late(graph))


def optimize(graph: Graph) -> Graph:
    """The first rewrite that makes it cheaper, again and again."""
    while better := next((new for new in rewrites(graph) if cost(new) < cost(graph)), None):
        graph = better
    return graph


def fold(graph: Graph, arrays: Mapping[str, Array]) -> tuple[Graph, dict[str, Array]]:
    """What is left for run time, and the arrays that it reads."""
    known, nodes = dict(arrays), late(graph)
    for node in graph.nodes:
        if node not in nodes:
            known[node.output.name] = node.op.evaluate(*(known[v.name] for v in node.inputs))
    read = dict.fromkeys(v for node in nodes for v in node.inputs if v.name in known)
    program = replace(graph, parameters=tuple(read), nodes=nodes)
    return program, {value.name: known[value.name] for value in read}


def emit(graph: Graph) -> str:
    """A function of PyTorch."""
    arguments = ", ".join(value.name for value in (graph.input, *graph.parameters))
    lines = ["import torch", "", "", f"def forward({arguments}):"]
    for node in graph.nodes:
        code = node.op.torch(*(value.name for value in node.inputs))
        lines.append(f"    {node.output.name} = {code}  # {node.output.shape}")
    return "\n".join((*lines, f"    return {graph.output.name}", ""))


def check(text: str, seed: int = 0) -> str:
    """The source for a spec, which has given what the spec says for batches of two sizes."""
    import torch

    rng = np.random.default_rng(seed)
    graph = lower(parse(text))
    weights = {p.name: rng.standard_normal(bind(p.shape, 1)) for p in graph.parameters}
    program, constants = fold(optimize(graph), weights)
    source = emit(program)
    names: dict[str, Any] = {}
    exec(source, names)
    forward = names["forward"]
    for batch in (1, 3):
        x = rng.standard_normal(bind(graph.input.shape, batch))
        expected = evaluate(graph, {"x": x, **weights})
        tensors = map(torch.from_numpy, (x, *constants.values()))
        for found in (evaluate(program, {"x": x, **constants}), forward(*tensors)):
            np.testing.assert_allclose(found, expected, atol=1e-9 * np.abs(expected).max())
    return source
