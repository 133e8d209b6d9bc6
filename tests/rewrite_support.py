"""What holds wherever a pass rewrites: names keep their numbers, the graph is legal, nothing is left."""

from __future__ import annotations

from perceiver_graph.compiler.blocks.builder import GraphBuilder
from perceiver_graph.compiler.ir.dims import Dim, Symbol, shape_of
from perceiver_graph.compiler.ir.graph import Graph, Value
from perceiver_graph.compiler.ir.op import Op
from perceiver_graph.compiler.passes import Pass, PassResult
from perceiver_graph.compiler.passes.rewriter import largest_sizes
from perceiver_graph.compiler.programs import cost
from perceiver_graph.spec.models import NormName
from tests.judge import Arrays, judge, keep_names, keep_numbers

BATCH = Symbol("batch")
QUERIES = Symbol("queries", max=1000)
NORMS: tuple[NormName, ...] = ("layer_norm", "rms_norm")


def builder() -> GraphBuilder:
    return GraphBuilder("test", {"batch": BATCH, "queries": QUERIES})


def data(b: GraphBuilder, name: str, *shape: int | Dim | Symbol, dtype: str = "float32") -> Value:
    """An input with a batch axis."""
    sizes = shape_of(BATCH, *shape)
    axes = tuple(f"axis_{i}" for i in range(len(sizes)))
    role = "attention_mask" if dtype == "bool" and len(sizes) == 2 else "data"
    return b.input(name, role, name, axes, sizes, dtype)  # type: ignore[arg-type]


def fires(step: Pass, graph: Graph, *, cheaper: bool = True) -> PassResult:
    """The result, checked: a change, at no more FLOPs, after which there is nothing left to do."""
    result = step.run(graph)
    assert result.changed, result.notes
    check(graph, result.graph)
    sizes = largest_sizes(graph)
    before, after = (cost.flops(g, sizes) for g in (graph, result.graph))
    assert after < before or (after == before and not cheaper)
    again = step.run(result.graph)
    assert not again.changed, again.notes
    return result


def stays(step: Pass, graph: Graph, note: str) -> None:
    """The pass does nothing, and says why."""
    result = step.run(graph)
    assert not result.changed
    assert result.graph is graph
    assert any(note in line for line in result.notes), result.notes


def check(before: Graph, after: Graph, given: Arrays | None = None) -> None:
    """A rewrite keeps inputs, parameters, names and numbers; `given` are the arrays, if not any."""
    assert (after.inputs, after.parameters) == (before.inputs, before.parameters)
    if given is None:
        judge(before, after)
    else:
        keep_names(before, after)
        keep_numbers(before, after, given)


def kinds(graph: Graph) -> list[str]:
    """The primitives that are applied at run time, in order."""
    late = graph.descendants([*(leaf.value for leaf in graph.inputs), *graph.sized])
    return [node.op.name for node in graph.nodes if node.output in late]


def made_by(graph: Graph, name: str) -> Op:
    return next(node.op for node in graph.nodes if node.name == name)
