"""An attribute of attention that no pass has heard of: every pass keeps its hands off it.

Each golden case of a pass with attention in it is run with an attention that may turn queries and
keys by their positions, as rotary embeddings do. Where it does, almost nothing that passes do to
attention keeps the numbers.
"""

from __future__ import annotations

import ast
from collections import Counter
from dataclasses import dataclass, replace

import numpy as np
import pytest

from perceiver_graph.compiler import passes
from perceiver_graph.compiler.ir.graph import Graph
from perceiver_graph.compiler.ir.op import Array
from perceiver_graph.compiler.ir.text import parse_graph, print_graph
from perceiver_graph.compiler.ops import PRIMITIVES, Attention, SegmentedAttention
from tests.case_kinds import rewritten
from tests.judge import judge
from tests.test_cases import CASES, Case
from tests.test_layers import PACKAGE

ATTENDING = [
    case for case in CASES if case.path.parent.name == "passes" and "= attention" in case.input
]


@dataclass(frozen=True)
class Turning(Attention):
    """Attention whose queries and keys are perhaps turned by their positions."""

    name = "turning_attention"
    turned: bool = False

    def evaluate(self, *inputs: Array) -> Array:
        if not self.turned:
            return super().evaluate(*inputs)
        turned = {name: _turned(self.operand(name, inputs)) for name in ("queries", "keys")}
        return super().evaluate(*self.replaced(inputs, **turned))


del PRIMITIVES[Turning.name]


def _turned(x: Array) -> Array:
    """Each row is mixed with itself moved by a channel, by its position. Shape: [batch, n, width]."""
    angle = np.arange(x.shape[1], dtype=x.dtype)[:, None]
    turned: Array = x * np.cos(angle) + np.roll(x, 1, axis=-1) * np.sin(angle)
    return turned


def _add_attribute(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let passes take it for the one attention that there is, to which an attribute was added."""
    monkeypatch.setitem(PRIMITIVES, Turning.name, Turning)
    for module in vars(passes).values():
        if getattr(module, "Attention", None) is Attention:
            monkeypatch.setattr(module, "Attention", Turning)


def _turning(graph: Graph, *, turned: bool) -> Graph:
    """With this attention in place of the plain one."""
    return graph.rewrite(
        lambda node: (
            replace(node, op=Turning(node.op.heads, node.op.masked_rows, turned))
            if type(node.op) is Attention
            else None
        )
    )


def _attending(graph: Graph) -> Counter[str]:
    kinds = Turning | SegmentedAttention
    return Counter(str(node.op) for node in graph.nodes if isinstance(node.op, kinds))


each_case = pytest.mark.parametrize(
    "case", ATTENDING, ids=[f"{case.path.stem}-{case.number}" for case in ATTENDING]
)


@each_case
def test_what_a_pass_has_not_heard_of_stays(case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    _add_attribute(monkeypatch)
    graph = _turning(parse_graph(case.input), turned=True)
    result, parameters = rewritten(graph, case.options)
    judge(graph, result.graph, parameters)
    assert _attending(result.graph) == _attending(graph)


@each_case
def test_as_usual_it_keeps_nothing_from_being_rewritten(
    case: Case, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = parse_graph(case.input)
    expected, _ = rewritten(plain, case.options)
    _add_attribute(monkeypatch)
    result, _ = rewritten(_turning(plain, turned=False), case.options)
    text = print_graph(result.graph).replace(", turned=False", "")
    assert text.replace("turning_attention", "attention") == print_graph(expected.graph)


def test_every_pass_that_names_attention_is_tried() -> None:
    named = {
        path.stem.replace("_", "-")
        for path in (PACKAGE / "compiler" / "passes").glob("*.py")
        if "ops.Attention" in path.read_text() or "    Attention,\n" in path.read_text()
    }
    assert named <= {case.path.stem for case in ATTENDING}
    assert len(named) >= 5


def test_passes_ask_for_attention_that_says_nothing_else() -> None:
    for path in sorted((PACKAGE / "compiler" / "passes").glob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            match node:
                case ast.Call(func=ast.Name(id="isinstance"), args=[_, kinds]):
                    assert "Attention" not in ast.unparse(kinds), f"{path.name}: use `Node.only`"
