"""IR text: what it looks like, that it round-trips, and that a bad text is refused with its line."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from perceiver_graph.compiler import ops
from perceiver_graph.compiler.blocks.builder import GraphBuilder
from perceiver_graph.compiler.ir.dims import Dim, Symbol, shape_of
from perceiver_graph.compiler.ir.graph import Constant, Graph, Value
from perceiver_graph.compiler.ir.op import Array, TensorType
from perceiver_graph.compiler.ir.parse import parse_graph
from perceiver_graph.compiler.ir.text import INLINE_LIMIT, print_graph, same_structure
from perceiver_graph.compiler.passes import FoldConstants
from perceiver_graph.diagnostics import Source, Span
from perceiver_graph.testing.graphs import graphs
from tests.support import content

TEXT = """\
graph small

symbols:
  batch = symbol
  time = symbol(max=64, multiple_of=4)

inputs:
  %image = input(role='data', of='image', axes=('batch', 'time', 'channel')) : float32[batch, time/4, 3]

parameters:
  %encode.dense.weight = parameter(init='normal', scale=0.02) : float32[2, 3]  # spec.yaml:2:3
  %encode.dense.bias = parameter(init='zeros') : float32[2]  # spec.yaml:2:3

constants:
  %shift = constant(values='0.1 -0.0') : float32[2]

blocks:
  encode = Encode(module='encode', summary='it isn\\'t "#1" (yet)')  # spec.yaml:2:3

nodes:
  encode:
    %encode/dense = linear %image, %encode.dense.weight, %encode.dense.bias : float32[batch, time/4, 2]  # spec.yaml:2:3
  %shifted = add %encode/dense, %shift : float32[batch, time/4, 2]
  %table = fourier_table(size=2, axis=0, axes=1, bands=1, max_resolution=4.0, endpoint=True, include_position=True, sine_only=False, periodic=()) : float32[2, 3]

outputs:
  latents = %shifted
"""  # noqa: E501


def _small() -> Graph:
    source = Source("spec.yaml", "perceiver: 1\nx: {encode: 1}\n")
    symbols = {"batch": Symbol("batch"), "time": Symbol("time", max=64, multiple_of=4)}
    b = GraphBuilder("small", symbols)
    batch, time = shape_of(symbols["batch"], symbols["time"])
    axes = ("batch", "time", "channel")
    x = b.input("image", "data", "image", axes, (batch, time.exact_div(4), *shape_of(3)), "float32")
    with b.at(Span(source, 2, 3, 2, 4)), b.block("encode", "Encode", 'it isn\'t "#1" (yet)'):
        x = b.linear(x, "dense", 2)
    shift = Value("shift", TensorType(shape_of(2)))
    x = b(ops.Add(), x, shift, name="shifted")
    b(ops.FourierTable(2, 0, 1, 1, 4.0), name="table")
    constant = Constant(shift, np.array([0.1, -0.0], np.float32))
    return replace(b.graph({"latents": x}), constants=(constant,))


def _with_constant(data: Array) -> Graph:
    value = Value("c", TensorType(shape_of(*data.shape), str(data.dtype)))  # type: ignore[arg-type]
    return Graph("constant", {}, (), (), (Constant(value, data),), (), {"c": value})


def _arrays(graph: Graph) -> dict[str, Array]:
    return {constant.value.name: constant.data for constant in graph.constants}


def test_the_text_is_as_documented() -> None:
    assert print_graph(_small()) == TEXT


def test_a_text_is_read_back() -> None:
    parsed = parse_graph(TEXT)
    assert same_structure(parsed, _small())
    assert parsed.nodes[0].scope == ("encode",)
    assert parsed.nodes[1].scope == ()
    assert parsed.blocks == {
        scope: replace(block, origin=None) for scope, block in _small().blocks.items()
    }
    assert content(parsed.outputs) == content(_small().outputs)
    assert content(parsed.inputs) == content(_small().inputs)
    assert all(node.origin is None for node in parsed.nodes)


def test_comments_blank_lines_and_line_ends_do_not_matter() -> None:
    text = TEXT.replace("\n", "   # a remark (1)\r\n").replace("nodes:", "\n  # more\nnodes:")
    assert same_structure(parse_graph(text), _small())


@given(graphs())
def test_random_graphs_round_trip(graph: Graph) -> None:
    text = print_graph(graph)
    parsed = parse_graph(text)
    assert same_structure(parsed, graph)
    assert print_graph(parsed) == text  # random graphs have no spec lines
    for part in ("symbols", "inputs", "parameters", "nodes", "outputs", "blocks"):
        assert content(getattr(parsed, part)) == content(getattr(graph, part))


@pytest.mark.parametrize("name", ["n", "in", "None", "größe"])
def test_sizes_of_primitives_are_read_back(name: str) -> None:
    """Numbers, symbols of any name, and arithmetic on them."""
    n = Symbol(name, max=64, multiple_of=4)
    b = GraphBuilder("sizes", {name: n})
    sizes = (Dim.of(3), Dim.of(n), (5 * Dim.of(n)).exact_div(4) - 1)
    x = b(ops.Broadcast(sizes), b.parameter("row", (2,)), name="x")
    x = b(ops.Unflatten(1, (None, Dim.of(n).exact_div(2), 1)), x, name="apart")
    graph = b.graph({"y": x, "rows": b(ops.Trim(sizes[1]), b.parameter("table", (64, 2)))})
    text = print_graph(graph)
    assert f"broadcast(sizes=(3, '{name}', '5*{name}/4 - 1')) %row" in text
    assert f"unflatten(axis=1, sizes=(None, '{name}/2', 1)) %x" in text
    assert f"trim(size='{name}') %table" in text
    parsed = parse_graph(text)
    assert [node.op for node in parsed.nodes] == [node.op for node in graph.nodes]
    assert same_structure(parsed, graph)
    with pytest.raises(ValueError, match=r"line \d+: `other` in `other` is not a declared dim"):
        parse_graph(text.replace(f"trim(size='{name}'", "trim(size='other'"))


@given(graphs())
def test_folded_graphs_round_trip_with_their_constants(graph: Graph) -> None:
    folded = FoldConstants().run(graph).graph
    assert same_structure(parse_graph(print_graph(folded), _arrays(folded)), folded)


@given(
    npst.arrays(
        st.sampled_from(["float32", "float64", "float16", "int64", "bool"]),
        npst.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=3).filter(
            lambda shape: np.prod(shape) <= INLINE_LIMIT
        ),
    )
)
def test_small_constants_are_read_back_exactly(data: Array) -> None:
    (read,) = parse_graph(print_graph(_with_constant(data))).constants
    np.testing.assert_array_equal(read.data, data)
    assert (read.data.dtype, read.data.shape) == (data.dtype, data.shape)
    np.testing.assert_array_equal(np.signbit(read.data), np.signbit(data)) if (
        data.dtype.kind == "f" and not np.isnan(data).any()
    ) else None


def test_large_constants_are_named_by_their_digest() -> None:
    graph = _with_constant(np.arange(INLINE_LIMIT + 1, dtype=np.float32))
    text = print_graph(graph)
    assert "constant(sha256='" in text
    assert same_structure(parse_graph(text, _arrays(graph)), graph)
    with pytest.raises(ValueError, match="line 4: constant `c` is not written out"):
        parse_graph(text)
    with pytest.raises(ValueError, match="line 4: the array for constant `c` has another digest"):
        parse_graph(text, {"c": np.zeros(INLINE_LIMIT + 1, np.float32)})


def test_structure_is_more_than_names() -> None:
    small = _small()
    assert same_structure(
        small, replace(small, nodes=tuple(replace(n, origin=None) for n in small.nodes))
    )
    assert not same_structure(small, replace(small, name="other"))
    assert not same_structure(small, replace(small, nodes=small.nodes[:-1]))
    positive = Constant(small.constants[0].value, np.array([0.1, 0.0], np.float32))
    assert not same_structure(small, replace(small, constants=(positive,)))


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("graph small", "grph small", "line 1: a graph starts with"),
        ("symbols:", "symbol:", "line 3: `symbol:` is not a section"),
        ("batch = symbol", "batch symbol", "line 4: expected `name = what"),
        ("max=64", "mx=64", "line 5: wrong settings of `symbol`"),
        ("max=64", "max=2", "line 5: dim `time`: no multiple of 4"),
        ("time/4, 3]", "tme/4, 3]", "line 8: .*`tme`"),
        ("time/4, 3]", "time/3, 3]", "line 8: `time` is not .*divisible by `3`"),
        ("role='data', ", "", "line 8: wrong settings of `input`"),
        ("init='zeros'", "init=zeros", "line 12: "),
        (": float32[2, 3]", "", "line 11: expected `%encode.dense.weight = ... : type`"),
        ("float32[2, 3]", "float23[2, 3]", "line 11: `float23` is not one of float32,"),
        ("'0.1 -0.0'", "'0.1'", "line 15: "),
        (
            "linear %image",
            "liner %image",
            "line 22: `liner` is not a primitive: did you mean `linear`",
        ),
        ("linear %image", "linear(x=1) %image", "line 22: wrong settings of `linear`"),
        ("linear %image", "linear %img", "line 22: %img is not defined before this line"),
        ("%shifted = add", "%shift = add", "line 23: %shift is defined twice"),
        ("bands=1", "bands=1+", "line 24: "),
        ("latents = %shifted", "latents: %shifted", "line 27: expected `name = %value`"),
        ("latents = %shifted", "latents = %shiftd", "line 27: .* did you mean `shifted`"),
    ],
)
def test_a_bad_line_is_named(old: str, new: str, message: str) -> None:
    assert old in TEXT
    with pytest.raises(ValueError, match=message):
        parse_graph(TEXT.replace(old, new, 1))


def test_an_empty_text_is_no_graph() -> None:
    with pytest.raises(ValueError, match="line 1"):
        parse_graph("\n\n")
