"""Random graphs for property tests of passes, phases, IR text and backends."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np
from hypothesis import strategies as st

from perceiver_graph.compiler import ops
from perceiver_graph.compiler.blocks.builder import GraphBuilder
from perceiver_graph.compiler.ir.dims import Dim, Shape, Symbol, shape_of
from perceiver_graph.compiler.ir.graph import Graph, Value
from perceiver_graph.compiler.ir.op import Array, Op, TensorType

SIZES = {"batch": 2, "tokens": 4, "image_queries": 3}
"""Sizes for the symbols of `graphs`, for use with `arrays`."""

GRID = 6
"""Rows of the tables that queries look up."""


@st.composite
def graphs(draw: st.DrawFn, *, queries: bool = True, steps: int = 14) -> Graph:
    """Graphs of up to `steps` random nodes, dead and duplicate ones among them.

    Inputs are `image` [batch, tokens, 4], `image.present`, `image.attention_mask` and, if asked for,
    `image.queries`.
    Outputs are `latents` and one or two others. Values are of moderate size for normal inputs.
    """
    sketch = _Sketch(draw, _builder(queries), queries)
    b = sketch.builder
    sketch.values.append(_image(b))
    for part in range(draw(st.integers(1, 3))):
        with b.block(f"part_{part}", "Part", draw(st.sampled_from(["", "a 'part', # or so"]))):
            for _ in range(draw(st.integers(1, max(1, steps // 3)))):
                sketch.step()
    outputs = draw(st.lists(st.sampled_from(sketch.values), min_size=1, max_size=2))
    latents = draw(st.sampled_from([v for v in sketch.values if v.type.rank == 3]))
    return b.graph({"latents": latents, **{f"out_{i}": v for i, v in enumerate(outputs)}})


def arrays(
    graph: Graph, sizes: Mapping[str, int] = SIZES, seed: int = 0
) -> tuple[dict[str, Array], dict[str, Array]]:
    """Random inputs and parameters of a graph by name, normal with deviation 1."""
    rng = np.random.default_rng(seed)

    def array(type_: TensorType) -> Array:
        shape = [dim.evaluate(sizes) for dim in type_.shape]
        if type_.dtype == "bool":
            return rng.integers(0, 2, shape).astype(bool)
        if type_.dtype == "int64":
            return rng.integers(0, GRID, shape)
        return rng.standard_normal(shape).astype(type_.dtype)

    inputs = {leaf.value.name: array(leaf.value.type) for leaf in graph.inputs}
    return inputs, {leaf.value.name: array(leaf.value.type) for leaf in graph.parameters}


def _builder(queries: bool) -> GraphBuilder:
    names = ["batch", "tokens", *(["image_queries"] if queries else [])]
    special = {"tokens": Symbol("tokens", max=GRID, multiple_of=2)}
    return GraphBuilder("random", {name: special.get(name, Symbol(name)) for name in names})


def _image(b: GraphBuilder) -> Value:
    axes = ("batch", "time", "channel")
    return b.input("image", "data", "image", axes, _image_shape(b, 4), "float32")


def _image_shape(b: GraphBuilder, channels: int) -> Shape:
    return shape_of(b.symbols["batch"], b.symbols["tokens"], channels)


@dataclass
class _Sketch:
    """A graph in the making. Values have rank 2 (rows, the same for all) or 3 (batch, rows)."""

    draw: st.DrawFn
    builder: GraphBuilder
    queries: bool
    values: list[Value] = field(default_factory=list)
    applied: list[tuple[Op, tuple[Value, ...]]] = field(default_factory=list)
    positions: Value | None = None
    present: Value | None = None
    attention_mask: Value | None = None
    named: int = 0

    def step(self) -> None:
        moves: list[Callable[[], None]] = [
            self._table,
            self._parameter,
            self._linear,
            self._normalize,
            self._elementwise,
            self._add,
            self._attend,
            self._attend_masked,
            self._broadcast,
            self._mean,
            self._fourier_features,
            self._interpolate,
            self._trim,
            self._reshape,
            self._widen,
            self._mask,
            self._again,
            *([self._look_up] if self.queries else []),
        ]
        self.draw(st.sampled_from(moves))()

    def _apply(self, op: Op, *inputs: Value) -> Value:
        self.applied.append((op, inputs))
        return self.builder(op, *inputs)

    def _keep(self, op: Op, *inputs: Value) -> None:
        self.values.append(self._apply(op, *inputs))

    def _pick(self, rank: int | None = None) -> Value:
        fitting = [value for value in self.values if rank in (None, value.type.rank)]
        return self.draw(st.sampled_from(fitting))

    def _name(self, word: str) -> str:
        self.named += 1
        return f"{word}_{self.named}"

    def _table(self) -> None:
        self._keep(ops.FourierTable(GRID, 0, 1, self.draw(st.integers(1, 2)), 6.0))

    def _parameter(self) -> None:
        self.values.append(self.builder.parameter(self._name("table"), (GRID, 4)))

    def _linear(self) -> None:
        width = self.draw(st.sampled_from([2, 4]))
        bias = self.draw(st.booleans())
        self.values.append(
            self.builder.linear(self._pick(), self._name("linear"), width, bias=bias)
        )

    def _normalize(self) -> None:
        self.values.append(self.builder.layer_norm(self._pick(), self._name("norm"), 1e-5))

    def _elementwise(self) -> None:
        gates = [ops.Sigmoid(), ops.Silu()]
        some = [ops.Gelu(), ops.Gelu("tanh"), ops.Relu(), ops.Tanh(), ops.Scale(0.5), *gates]
        self._keep(self.draw(st.sampled_from(some)), self._pick())

    def _add(self) -> None:
        left = self._pick()
        same = [value for value in self.values if value.shape == left.shape]
        self._keep(ops.Add(), left, self.draw(st.sampled_from(same)))

    def _attend(self) -> None:
        q, kv = self._pick(3), self._pick(3)
        q, k = (self.builder.linear(x, self._name("qk"), 4) for x in (q, kv))
        self._keep(ops.Attention(self.draw(st.sampled_from([1, 2]))), q, k, k)

    def _attend_masked(self) -> None:
        """With the caller's mask, before which one key may come that is always there."""
        b = self.builder
        kv = [x for x in self.values if x.shape == _image_shape(b, int(x.shape[-1]))]
        if self.attention_mask is None:
            shape = shape_of(b.symbols["batch"], b.symbols["tokens"])
            self.attention_mask = b.input(
                "image.attention_mask",
                "attention_mask",
                "image",
                ("batch", "time"),
                shape,
                "bool",
            )
        keys, mask = self.draw(st.sampled_from(kv)), self.attention_mask
        if self.draw(st.booleans()):
            first = self._apply(ops.Slice(1, 0, 1), keys)
            there = b.constant(self._name("there"), np.ones(1, np.bool_))
            keys = self._apply(ops.Concat(1), first, keys)
            there = self._apply(ops.Broadcast(keys.shape[:1]), there)
            mask = self._apply(ops.Concat(1), there, mask)
        q, k = (b.linear(x, self._name("qk"), 4) for x in (self._pick(3), keys))
        heads = self.draw(st.sampled_from([1, 2]))
        op = self.draw(st.sampled_from([ops.Attention(heads), ops.Attention(heads, "zero")]))
        self._keep(op, q, k, k, mask)

    def _mean(self) -> None:
        """Over the channels, as the only channel."""
        split = self._apply(ops.Unflatten(-1, (1, None)), self._pick(3))
        self._keep(ops.Mean(-1), split)

    def _fourier_features(self) -> None:
        self._keep(ops.FourierFeatures(1, 4.0, 1), self._pick())

    def _interpolate(self) -> None:
        """Of a table, as it is, to itself or another grid and back."""
        tables = [v for v in self.values if v.type.rank == 2 and v.shape[0] == GRID]
        if tables:
            table = self.draw(st.sampled_from(tables))
            to = self.draw(st.sampled_from([(3, 2), (2, 2), (1, 6)]))
            resized = self._apply(ops.Interpolate((2, 3), to), table)
            self._keep(ops.Interpolate(to, (2, 3)), resized)

    def _trim(self) -> None:
        """A table for as many rows as there are tokens, next to the batch."""
        tables = [v for v in self.values if v.type.rank == 2 and v.shape[0] == GRID]
        b = self.builder
        if tables:
            table = self.draw(st.sampled_from(tables))
            trimmed = self._apply(ops.Trim(Dim.of(b.symbols["tokens"])), table)
            self._keep(ops.Broadcast(_image_shape(b, 1)[:1]), trimmed)

    def _broadcast(self) -> None:
        rows = [value for value in self.values if value.type.rank == 2]
        if rows:
            op = ops.Broadcast(self._pick(3).shape[:1])
            self._keep(op, self.draw(st.sampled_from(rows)))

    def _reshape(self) -> None:
        value = self._pick(3)
        split = self._apply(ops.Unflatten(-1, (1, None)), value)
        swapped = self._apply(ops.Permute((0, 2, 1, 3)), split)
        self._keep(ops.Flatten(1, 2), swapped)

    def _widen(self) -> None:
        value = self._pick()
        wide = self._apply(ops.Concat(-1), value, value)
        self._keep(ops.Slice(-1, 1, None), wide)

    def _mask(self) -> None:
        value = self._pick(3)
        if self.present is None:
            shape = shape_of(self.builder.symbols["batch"])
            self.present = self.builder.input(
                "image.present", "present", "image", ("batch",), shape, "bool"
            )
        condition = self._apply(ops.Unflatten(0, (None, 1, 1)), self.present)
        self._keep(ops.Where(), condition, value, self._apply(ops.Scale(-1.0), value))

    def _again(self) -> None:
        """The same primitive on the same values: what merging equal nodes is for."""
        if self.applied:
            op, inputs = self.draw(st.sampled_from(self.applied))
            result = self.builder(op, *inputs)
            if result.dtype == "float32" and result.type.rank in (2, 3):
                self.values.append(result)

    def _look_up(self) -> None:
        if self.positions is None:
            shape = shape_of(self.builder.symbols["image_queries"])
            self.positions = self.builder.input(
                "image.queries", "queries", "image", ("query",), shape, "int64"
            )
        tables = [v for v in self.values if v.type.rank == 2 and v.shape[0] == GRID]
        if tables:
            index = self._apply(ops.Coordinate(1, GRID), self.positions)
            self._keep(ops.Gather(0), self.draw(st.sampled_from(tables)), index)
