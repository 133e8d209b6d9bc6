"""Which modules share a class: those that are written alike up to what their blocks declare."""

from __future__ import annotations

import ast
import io
import sys
import tokenize
from typing import Any

import numpy as np
import torch

from perceiver_graph.compiler import ops
from perceiver_graph.compiler.backends.torch.source import source
from perceiver_graph.compiler.blocks.builder import GraphBuilder
from perceiver_graph.compiler.ir.dims import Symbol, shape_of
from perceiver_graph.compiler.ir.graph import Graph
from perceiver_graph.compiler.ir.parse import parse_graph
from perceiver_graph.compiler.ir.text import print_graph
from tests.torch_support import assert_clean, check, check_spec, emit, lowered, module, parameters

BATCH = Symbol("batch")

HEADS = """
perceiver: 1
name: heads
inputs: {x: {shape: {time: 3, channel: 2}}}
latents: {count: 2, width: 4}
process: {layers: 1, heads: 1}
outputs:
  a: {query: {learned: {count: 3}}, head: {linear: 7}}
  b: {query: {learned: {count: 5}}, head: {linear: 9}}
  c: {query: {learned: {count: 6}}, head: {linear: 4}}
"""


def constructors(text: str) -> dict[str, str]:
    """The arguments of each class."""
    found = {}
    for node in ast.parse(text).body:
        if isinstance(node, ast.ClassDef):
            (init,) = (
                n for n in node.body if isinstance(n, ast.FunctionDef) and n.name == "__init__"
            )
            found[node.name] = ast.unparse(init.args)
    return found


def blocks(*widths: int, declared: bool = True, name: str = "width") -> Graph:
    """Two linear maps one after the other, to a width and back, for each width."""
    b = GraphBuilder("blocks", {"batch": BATCH})
    x = b.input("x", "data", "x", ("batch", "channel"), shape_of(BATCH, 6), "float32")
    for i, width in enumerate(widths):
        with b.block(f"layers.{i}", "Layer", "there and back"):
            if declared:
                b.declare(**{name: width})
            y = b.linear(x, "there", width)
            x = b.linear(b(ops.Unflatten(1, (1, width)), y), "back", 6)
            x = b(ops.Flatten(1, 2), b(ops.Unflatten(1, (None, 1)), b(ops.Flatten(1, 2), x)))
    return b.graph({"y": x})


def checked(graph: Graph) -> str:
    x = np.random.default_rng(0).standard_normal((2, 6)).astype(np.float32)
    text = check(graph, {"x": x}, parameters(graph))
    assert_clean(text)
    return text


def test_heads_share_a_class_that_takes_what_they_declare() -> None:
    model = lowered(HEADS)
    text = emit(model)
    assert_clean(text)
    found = constructors(text)
    assert found["Head"] == "self, channels: int"
    assert found["Query"] == "self, count: int"
    assert '{"a": Query(count=3), "b": Query(count=5), "c": Query(count=6)}' in text
    check_spec(model)


def test_heads_of_one_token_and_of_many_are_two_classes() -> None:
    query, head = "{query: %s, head: {linear: 2}}", "outputs:\n"
    outputs = f"  all: {query % 'latents'}\n  mean: {query % '{mean: latents}'}\n"
    model = lowered(HEADS.split(head, maxsplit=1)[0] + head + outputs)
    text = emit(model)
    assert_clean(text)
    assert "latents [batch, 2, 4] -> [batch, 2, 2]" in text
    assert "mean [batch, 4] -> [batch, 2]" in text
    check_spec(model)


def test_a_number_that_happens_to_be_another_size_makes_a_class_of_its_own() -> None:
    """4 channels of 4: which of the two varies cannot be told from its text."""
    text = emit(lowered(HEADS))
    assert "self.linear = nn.Linear(4, channels)" in text
    assert "self.linear = nn.Linear(4, 4)" in text
    assert '{"a": Head(channels=7), "b": Head(channels=9), "c": CHead()}' in text


def test_what_is_alike_takes_nothing() -> None:
    text = checked(blocks(5, 5, 5))
    assert constructors(text)["Layer"] == "self"
    assert "nn.ModuleList(Layer() for _ in range(3))" in text
    assert "for layer in self.layers:" in text


def test_what_differs_is_an_argument_if_it_is_declared() -> None:
    text = checked(blocks(5, 3))
    assert constructors(text)["Layer"] == "self, width: int"
    assert "self.width = width" in text
    assert "there = there.unflatten(1, (1, self.width))  # [batch, 1, width]" in text
    assert "nn.ModuleList([Layer(width=5), Layer(width=3)])" in text
    apart = constructors(checked(blocks(5, 3, declared=False)))
    assert apart == {"Layer": "self", "Layer2": "self", "Checked": "self"}


def test_an_argument_gives_way_to_a_member_of_its_name() -> None:
    text = checked(blocks(5, 3, name="back"))
    assert constructors(text)["Layer"] == "self, back_2: int"


def test_what_a_block_declares_is_part_of_a_graph() -> None:
    graph = blocks(5, 3)
    again = parse_graph(print_graph(graph), {})
    assert again.blocks[("layers.1",)].arguments == (("width", 3),)
    assert print_graph(again) == print_graph(graph)
    assert source(again, name="again") == source(graph, name="again")


def test_arguments_are_called_what_callers_call_them() -> None:
    text = emit(lowered(HEADS))
    methods = {
        (cls.name, method.name): ast.unparse(method.args)
        for cls in ast.parse(text).body
        if isinstance(cls, ast.ClassDef)
        for method in cls.body
        if isinstance(method, ast.FunctionDef)
    }
    assert methods["Query", "forward"] == "self, positions: Tensor"
    assert methods["Mlp", "forward"] == "self, x: Tensor"
    assert methods["Process", "forward"] == "self, latents: Tensor"
    assert methods["Decoder", "prepare"] == "self, latents: Tensor"
    assert methods["Decoder", "forward"] == "self, query: Tensor, key: Tensor, value: Tensor"


def test_each_statement_says_the_shape_that_there_is() -> None:
    """As the tensors have it: each is looked at in the running code, after its line."""
    text = emit(lowered(HEADS))
    said = {line: comment for line, comment in _comments(text) if comment.startswith("[")}
    targets = {
        node.lineno: node.targets[0].id
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name)
    }
    net: Any = module(text)
    pending: dict[Any, int] = {}
    found: list[tuple[str, list[int]]] = []

    def watch(frame: Any, event: str, _: object) -> Any:
        if frame.f_code.co_filename != f"<{type(net).__module__}>":
            return None
        line = pending.pop(frame, 0)
        if line in said:
            found.append((said[line], list(frame.f_locals[targets[line]].shape)))
        if event == "line" and frame.f_lineno in targets:
            pending[frame] = frame.f_lineno
        return watch

    sys.settrace(watch)
    try:
        net({"x": torch.zeros(2, 3, 2)})
    finally:
        sys.settrace(None)
    sizes = {"batch": 2, "a_queries": 3, "b_queries": 5, "c_queries": 6}
    for comment, shape in found:
        names = comment.strip("[]").split(", ")
        expected = [sizes.get(name, name) for name in names]
        letters = [
            there if name == "n" else int(name) for name, there in zip(expected, shape, strict=True)
        ]
        assert letters == shape, comment
    assert len(found) > 30


def _comments(text: str) -> list[tuple[int, str]]:
    """The comments behind statements, by line."""
    tokens = tokenize.generate_tokens(io.StringIO(text).readline)
    return [(t.start[0], t.string[2:]) for t in tokens if t.type == tokenize.COMMENT]
