"""A primitive applied to inputs of some types, as a graph of one node, to compare a backend by."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from perceiver_graph.compiler.blocks.builder import GraphBuilder
from perceiver_graph.compiler.ir.dims import Dim, Symbol, shape_of
from perceiver_graph.compiler.ir.graph import Constant, Graph, Value
from perceiver_graph.compiler.ir.sizes import inputs_for
from perceiver_graph.compiler.ops import Array, DType, Op, TensorType

BATCH = Symbol("batch")
COUNT = Symbol("image_queries")
TOKENS = Symbol("tokens", max=7)


class Case:
    """A primitive, what it is applied to (types of inputs, arrays of weights), sizes of symbols.

    `beside` is an input that nothing reads: its shape may say a size that the primitive holds.
    """

    def __init__(
        self,
        op: Op,
        *inputs: TensorType | Array,
        sizes: Mapping[str, int] | None = None,
        beside: TensorType | None = None,
    ) -> None:
        self.op, self.inputs, self.sizes, self.beside = op, inputs, dict(sizes or {}), beside

    def __repr__(self) -> str:
        shown = [
            str(x) if isinstance(x, TensorType) else f"{x.dtype}{x.shape}" for x in self.inputs
        ]
        return f"{self.op} of {', '.join(shown)} with {self.sizes} beside {self.beside}"

    def graph(self, *, constant: bool) -> Graph:
        """The primitive alone, in a scope. Weights are constants, or else inputs."""
        builder = GraphBuilder("case", {symbol.name: symbol for symbol in (BATCH, COUNT, TOKENS)})
        values: list[Value] = []
        constants: list[Constant] = []
        for index, x in enumerate(self.inputs):
            name = f"x{index}"
            if isinstance(x, TensorType):
                values.append(builder.input(name, "data", name, (), x.shape, x.dtype))
                continue
            dtype: DType = x.dtype.name  # type: ignore[assignment]
            if constant:
                value = Value(name, TensorType(shape_of(*x.shape), dtype))
                constants.append(Constant(value, x))
                values.append(value)
            else:
                values.append(builder.input(name, "data", name, (), shape_of(*x.shape), dtype))
        if self.beside:
            shape, dtype = self.beside.shape, self.beside.dtype
            builder.input("beside", "data", "beside", (), shape, dtype)
        with builder.block("scope", "Block"):
            output = builder(self.op, *values)
        graph = builder.graph({"result": output})
        inputs = inputs_for(graph.nodes, graph.inputs, graph.leaves)
        return replace(graph, inputs=inputs, constants=tuple(constants))

    def arrays(self) -> dict[str, Array]:
        """An array for every input of the graph, weights included."""
        rng = np.random.default_rng(0)
        found: dict[str, Array] = {
            f"{name}.size": np.array([size], np.int64) for name, size in self.sizes.items()
        }
        if self.beside:
            found["beside"] = np.zeros([size.evaluate(self.sizes) for size in self.beside.shape])
            found["beside"] = found["beside"].astype(self.beside.dtype)
        for index, x in enumerate(self.inputs):
            if isinstance(x, TensorType):
                shape = tuple(size.evaluate(self.sizes) for size in x.shape)
                normal = rng.standard_normal(shape)
                x = normal < 0 if x.dtype == "bool" else normal.astype(np.float32)
            found[f"x{index}"] = x
        return found


def f32(*shape: int | Dim | Symbol) -> TensorType:
    return TensorType(shape_of(*shape))
