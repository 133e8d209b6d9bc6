"""What attention has read of a text, in a dict that methods hand on: its keys, and where it grows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from perceiver_graph.compiler.backends.torch import text as py
from perceiver_graph.compiler.backends.torch.calls import Call
from perceiver_graph.compiler.ir.graph import Graph, Node, Scope, Value
from perceiver_graph.compiler.programs.incremental import CACHE
from perceiver_graph.compiler.programs.phases import OUTPUT


def found(graph: Graph) -> dict[Value, str]:
    """The keys of what a program finds in the cache."""
    return {leaf.value: _key(leaf.value.name) for leaf in graph.inputs if leaf.role == "state"}


def kept(graph: Graph, output: str) -> dict[Value, str]:
    """The keys of what a program puts there: all that it gives but its `output`."""
    return {value: _key(name) for name, value in graph.outputs.items() if name != output}


def _key(name: str) -> str:
    return name.removeprefix(CACHE).removesuffix(OUTPUT)


def entry(call: Call, key: str) -> str:
    """What is in the cache under a key, as Python: a method is told where those of its call begin."""
    own = "/".join((*call.scope, ""))
    if call.scope and key.startswith(own):
        return f"cache[{place(call, key.removeprefix(own))}]"
    return f"cache[{py.quoted(key)}]"


def place(call: Call, path: str) -> str:
    """A path below that of a call, as Python."""
    text = f"{{at}}/{path}" if call.scope else path
    return f"{'f' if '{' in text else ''}{py.quoted(text)}"


def within_blocks(programs: Mapping[str, Graph]) -> dict[str, Graph]:
    """The programs that write, whose caches grow in the blocks that read them."""
    return {name: _within_blocks(graph) for name, graph in programs.items()}


def _within_blocks(graph: Graph) -> Graph:
    """With caches that grow in the innermost block around all that reads them, as soon as they can."""
    moved: dict[Value, Value] = {}
    nodes: list[Node] = []
    for node in graph.nodes:
        node = replace(node, inputs=tuple(moved.get(value, value) for value in node.inputs))
        readers = () if node.scope else graph.users.get(node.output, ())
        if not readers:
            nodes.append(node)
            continue
        name = node.name.removeprefix(CACHE).removesuffix("/grown")
        moved[node.output] = grown = Value(f"{name}_2", node.output.type)
        scope = _around([reader.scope for reader in readers])
        inside = [i for i, other in enumerate(nodes) if other.scope[: len(scope)] == scope]
        made = [i for i, other in enumerate(nodes, 1) if other.output in node.inputs]
        found = replace(node, output=grown, scope=scope, origin=readers[0].origin)
        nodes.insert(max([*inside[:1], *made], default=0), found)
    outputs = {name: moved.get(value, value) for name, value in graph.outputs.items()}
    return replace(graph, nodes=tuple(nodes), outputs=outputs)


def _around(scopes: Sequence[Scope]) -> Scope:
    """The innermost scope around all of these."""
    least = min(map(len, scopes))
    alike = (i for i in range(least) if len({scope[i] for scope in scopes}) > 1)
    return scopes[0][: next(alike, least)]
