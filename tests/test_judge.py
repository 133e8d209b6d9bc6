"""The judge of passes is judged: wrong rewrites are seen, and no case is renewed with one."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import ClassVar

import pytest

from perceiver_graph.compiler import ops
from perceiver_graph.compiler.ir.graph import Graph, Node, Value
from perceiver_graph.compiler.ir.parse import parse_graph
from perceiver_graph.compiler.passes import PASSES, Pass, PassResult
from tests.case_kinds import rewritten
from tests.judge import judge
from tests.test_cases import CASES, Case, cases_of, settle

GOLDEN = [case for case in CASES if "pass" in case.options]

TEXT = """# wrong

```ir pass=wrong
graph decoder
symbols:
  batch = symbol
  queries = symbol(max=1000)
inputs:
  %x = input(role='data', of='x', axes=('batch', 'n', 'c')) : float32[batch, 5, 4]
  %mask = input(role='attention_mask', of='x', axes=('batch', 'n')) : bool[batch, 5]
  %queries = input(role='queries', of='y', axes=('queries',)) : int64[queries]
parameters:
  %table = parameter(init='normal') : float32[6, 4]
  %weight = parameter(init='normal') : float32[4, 4]
  %bias = parameter(init='normal') : float32[4]
nodes:
  %place = coordinate(stride=2, size=6) %queries : int64[queries]
  %rows = gather(axis=0) %table, %place : float32[queries, 4]
  %norm = layer_norm(epsilon=1e-05) %x, %bias, %bias : float32[batch, 5, 4]
  %k = linear %norm, %weight, %bias : float32[batch, 5, 4]
  %q = broadcast(sizes=('batch',)) %rows : float32[batch, queries, 4]
  %found = attention(heads=2) %q, %k, %x, %mask : float32[batch, queries, 4]
  %y = scale(factor=0.5) %found : float32[batch, queries, 4]
outputs:
  y = %y
```

```diff
as it was
```
"""


def without_bias(node: Node) -> Node:
    return replace(node, inputs=node.inputs[:2]) if isinstance(node.op, ops.Linear) else node


def without_mask(node: Node) -> Node:
    return replace(node, inputs=node.inputs[:3]) if isinstance(node.op, ops.Attention) else node


def instead(old: ops.Op, new: ops.Op) -> Callable[[Node], Node]:
    return lambda node: replace(node, op=new) if node.op == old else node


WRONG: dict[str, tuple[str, Callable[[Node], Node]]] = {
    "a bias is lost": ("%k", without_bias),
    "a mask is lost": ("%found", without_mask),
    "samples without keys give zeros": (
        "%found",
        instead(ops.Attention(2), ops.Attention(2, "zero")),
    ),
    "heads are taken for one": ("%found", instead(ops.Attention(2), ops.Attention(1))),
    "an epsilon is another": ("%norm", instead(ops.LayerNorm(1e-5), ops.LayerNorm(1e-6))),
    "rows of other places": ("%place", instead(ops.Coordinate(2, 6), ops.Coordinate(2, 5))),
    "a factor is rounded": ("%y", instead(ops.Scale(0.5), ops.Scale(0.50001))),
}


@pytest.mark.parametrize("update", [True, False])
@pytest.mark.parametrize("what", WRONG)
def test_a_wrong_pass_fails_and_writes_nothing(
    what: str, update: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    value, spoil = WRONG[what]
    case = a_case(spoil, tmp_path, monkeypatch)
    with pytest.raises(AssertionError, match=value):
        settle(case, update=update)
    assert case.path.read_text("utf-8") == TEXT


def test_a_right_pass_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    case = a_case(lambda node: node, tmp_path, monkeypatch)
    settle(case, update=True)
    assert case.path.read_text("utf-8") == TEXT.replace("as it was", "# done")


class Wrong(Pass):
    """Does to each node what a test wants it to."""

    name = "wrong"
    spoil: ClassVar[Callable[[Node], Node]]

    def run(self, graph: Graph) -> PassResult:
        return PassResult(graph.rewrite(type(self).spoil), True, ("done",))


def a_case(spoil: Callable[[Node], Node], folder: Path, monkeypatch: pytest.MonkeyPatch) -> Case:
    """A case of a pass that does so to each node."""
    monkeypatch.setattr(Wrong, "spoil", staticmethod(spoil), raising=False)
    path = folder / "passes" / "wrong.md"
    path.parent.mkdir()
    path.write_text(TEXT, "utf-8")
    return cases_of(path, TEXT)[0]


@pytest.mark.parametrize("case", GOLDEN, ids=[f"{c.path.stem}-{c.number}" for c in GOLDEN])
def test_any_number_that_is_a_thousandth_too_large_is_seen(case: Case) -> None:
    before = parse_graph(case.input)
    after, parameters = rewritten(before, case.options)
    for node in after.graph.nodes:
        if node not in before.nodes and node.output.dtype == "float32":
            with pytest.raises(AssertionError):
                judge(before, too_large(after.graph, node), parameters)


def too_large(graph: Graph, node: Node) -> Graph:
    wrong = Value("wrong", node.output.type)
    at = graph.nodes.index(node) + 1
    later = replace(graph, nodes=graph.nodes[at:]).substitute({node.output: wrong})
    scaled = Node(ops.Scale(1.001), (node.output,), wrong, node.scope)
    return replace(later, nodes=(*graph.nodes[:at], scaled, *later.nodes))


OURS = [name for name, found in PASSES.items() if found.__module__.startswith("perceiver_graph.")]


@pytest.mark.parametrize("name", OURS)
def test_each_numbered_case_of_a_pass_is_shown(name: str) -> None:
    numbered = set(re.findall(r"^ +(\d+)\. ", PASSES[name].__doc__ or "", re.M))
    options = [case.options for case in GOLDEN if case.options["pass"] == name]
    assert {n for given in options for n in given.get("cases", "").split(",") if n} == numbered
