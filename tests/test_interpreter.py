"""The oracle: outputs, traces, sizes found from inputs, precision, memory, and what it refuses."""

from __future__ import annotations

import weakref
from dataclasses import dataclass, replace

import numpy as np
import pytest
from hypothesis import given

from perceiver_graph.compiler import ops
from perceiver_graph.compiler.blocks.builder import GraphBuilder
from perceiver_graph.compiler.ir.dims import Dim, Symbol, shape_of
from perceiver_graph.compiler.ir.graph import Graph
from perceiver_graph.compiler.ir.interpreter import EvaluationError, bindings, evaluate, trace
from perceiver_graph.compiler.ir.op import Array, TensorType
from perceiver_graph.testing.graphs import SIZES, arrays, graphs


def _linear(length: Dim | int = 3) -> Graph:
    """y = gelu(x W^T + b) for x [batch, length, 4]."""
    symbols = {"batch": Symbol("batch", max=8), "time": Symbol("time", multiple_of=4)}
    b = GraphBuilder("linear", symbols)
    shape = shape_of(symbols["batch"], length, 4)
    x = b.input("x", "data", "x", ("batch", "time", "channel"), shape, "float32")
    return b.graph({"y": b(ops.Gelu(), b.linear(x, "dense", 2))})


def _arrays(*shape: int) -> tuple[dict[str, Array], dict[str, Array]]:
    rng = np.random.default_rng(0)
    weight, bias = rng.standard_normal((2, 4)), rng.standard_normal(2)
    parameters = {"dense.weight": weight.astype("f4"), "dense.bias": bias.astype("f4")}
    return {"x": rng.standard_normal(shape).astype("f4")}, parameters


def test_outputs_have_the_names_of_the_graph() -> None:
    inputs, parameters = _arrays(2, 3, 4)
    linear = inputs["x"] @ parameters["dense.weight"].T + parameters["dense.bias"]
    outputs = evaluate(_linear(), inputs, parameters)
    assert list(outputs) == ["y"]
    np.testing.assert_array_equal(outputs["y"], ops.Gelu().evaluate(linear))


def test_a_trace_has_every_value() -> None:
    inputs, parameters = _arrays(2, 3, 4)
    graph = _linear()
    values = trace(graph, inputs, parameters)
    assert set(values) == {"x", "dense.weight", "dense.bias", "dense", "gelu"}
    np.testing.assert_array_equal(values["gelu"], evaluate(graph, inputs, parameters)["y"])


def test_names_of_other_graphs_are_ignored() -> None:
    inputs, parameters = _arrays(1, 3, 4)
    other = {"other": np.zeros(3)}
    np.testing.assert_array_equal(
        evaluate(_linear(), inputs | other, parameters | other)["y"],
        evaluate(_linear(), inputs, parameters)["y"],
    )


@pytest.mark.parametrize("double", ["inputs", "parameters"])
def test_one_float64_array_makes_a_float64_run(double: str) -> None:
    b = GraphBuilder("tables", {"batch": Symbol("batch")})
    batch = b.symbols["batch"]
    x = b.input("x", "data", "x", ("batch", "n", "c"), shape_of(batch, 2, 3), "float32")
    table = b.layer_norm(b(ops.FourierTable(4, 0, 1, 1, 4.0)), "norm", 1e-5)
    query = b(ops.Broadcast(x.shape[:1]), table)
    graph = b.graph({"table": table, "y": b(ops.Attention(), query, x, x)})
    inputs, parameters = arrays(graph)
    chosen = inputs if double == "inputs" else parameters
    chosen |= {name: array.astype(np.float64) for name, array in chosen.items()}
    outputs = evaluate(graph, inputs, parameters)
    assert {str(array.dtype) for array in outputs.values()} == {"float64"}
    exact = evaluate(
        graph, *({k: v.astype("f8") for k, v in a.items()} for a in (inputs, parameters))
    )
    np.testing.assert_allclose(outputs["y"], exact["y"], rtol=1e-14)


def test_a_value_is_dropped_after_its_last_use() -> None:
    made: list[weakref.ref[Array]] = []
    alive: list[int] = []

    @dataclass(frozen=True)
    class Watched(ops.Relu):
        """max(x, 0), counting how many of its results are still alive."""

        name = "watched_relu"

        def evaluate(self, *inputs: Array) -> Array:
            alive.append(sum(ref() is not None for ref in made))
            result = np.maximum(inputs[0], 0)
            made.append(weakref.ref(result))
            return result

    del ops.PRIMITIVES[Watched.name]  # a local of this test, not a primitive
    b = GraphBuilder("chain", {})
    x = b.input("x", "data", "x", ("n",), shape_of(3), "float32")
    for _ in range(5):
        x = b(Watched(), x)
    evaluate(b.graph({"y": x}), {"x": np.ones(3, np.float32)}, {})
    assert alive == [0, 1, 1, 1, 1]


def test_an_output_read_by_another_node_is_kept() -> None:
    b = GraphBuilder("kept", {})
    x = b.input("x", "data", "x", ("n",), shape_of(3), "float32")
    y = b(ops.Scale(2.0), x)
    graph = b.graph({"y": y, "x": x, "z": b(ops.Add(), y, y)})
    outputs = evaluate(graph, {"x": np.ones(3, np.float32)}, {})
    assert {name: float(array[0]) for name, array in outputs.items()} == {"y": 2, "x": 1, "z": 4}


def test_parameters_that_no_output_needs_may_be_missing() -> None:
    graph = _linear()
    x = graph.inputs[0].value
    inputs, _ = _arrays(1, 3, 4)
    assert evaluate(replace(graph, outputs={"x": x}), inputs, {})["x"] is inputs["x"]


@pytest.mark.parametrize(
    ("length", "shape", "expected"),
    [
        (Dim.of(3), (2, 3, 4), {"batch": 2}),
        (Dim.of(Symbol("time", multiple_of=4)), (2, 8, 4), {"batch": 2, "time": 8}),
        (Dim.of(Symbol("time", multiple_of=4)).exact_div(4), (2, 5, 4), {"batch": 2, "time": 20}),
        (Dim.of(Symbol("time", multiple_of=4)) * 3 + 1, (2, 13, 4), {"batch": 2, "time": 4}),
    ],
    ids=str,
)
def test_sizes_are_found_from_inputs(
    length: Dim, shape: tuple[int, ...], expected: dict[str, int]
) -> None:
    inputs, parameters = _arrays(*shape)
    graph = _linear(length)
    assert bindings(graph, inputs) == expected
    assert evaluate(graph, inputs, parameters)["y"].shape == (*shape[:2], 2)


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        ((2, 5, 4), "`x` has 5 where .* has `3` with batch=2: expected 3"),
        ((2, 3), "should have 3 axes .batch, 3, 4., got .2, 3."),
        ((9, 3, 4), "`batch`.*9"),
    ],
)
def test_misshapen_inputs_are_refused(shape: tuple[int, ...], message: str) -> None:
    with pytest.raises(EvaluationError, match=message):
        evaluate(_linear(), *_arrays(*shape))


def test_a_size_between_multiples_is_refused() -> None:
    time = Dim.of(Symbol("time", multiple_of=4))
    with pytest.raises(EvaluationError, match="multiple of 4"):
        evaluate(_linear(time), *_arrays(2, 6, 4))


def test_missing_and_wrong_arrays_are_named() -> None:
    inputs, parameters = _arrays(2, 3, 4)
    graph = _linear()
    with pytest.raises(EvaluationError, match=r"input `x` .* is missing"):
        evaluate(graph, {}, parameters)
    with pytest.raises(EvaluationError, match=r"parameter `dense.bias` .* is missing"):
        evaluate(graph, inputs, {"dense.weight": parameters["dense.weight"]})
    with pytest.raises(
        EvaluationError, match=r"`dense.bias` should be float32\[2\].* got float32\[3\]"
    ):
        evaluate(graph, inputs, parameters | {"dense.bias": np.zeros(3, np.float32)})
    with pytest.raises(EvaluationError, match=r"`x` should be float32.* got int64"):
        evaluate(graph, {"x": np.zeros((2, 3, 4), np.int64)}, parameters)


def test_a_primitive_that_breaks_its_shape_rule_is_caught() -> None:
    graph = _linear()
    last = graph.nodes[-1]
    wrong = replace(last.output, type=TensorType(shape_of(2, 2), "float32"))
    graph = replace(
        graph, nodes=(*graph.nodes[:-1], replace(last, output=wrong)), outputs={"y": wrong}
    )
    with pytest.raises(EvaluationError, match=r"from gelu.* should be .*with batch=2"):
        evaluate(graph, *_arrays(2, 3, 4))


@given(graphs())
def test_random_graphs_run_and_agree_with_their_traces(graph: Graph) -> None:
    inputs, parameters = arrays(graph)
    found = bindings(graph, inputs)
    assert found.items() <= SIZES.items()
    outputs, values = evaluate(graph, inputs, parameters), trace(graph, inputs, parameters)
    assert set(values) == {value.name for value in (*graph.leaves, *graph.producers)}
    for name, value in graph.outputs.items():
        np.testing.assert_array_equal(outputs[name], values[value.name])
        assert str(outputs[name].dtype) == value.dtype
