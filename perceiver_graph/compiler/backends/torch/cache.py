"""What attention has read of a text, in a dict that methods hand on: its keys, and where it grows."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product

from perceiver_graph.compiler.backends.torch import text as py
from perceiver_graph.compiler.backends.torch.calls import Call
from perceiver_graph.compiler.ir.dims import Dim
from perceiver_graph.compiler.ir.graph import Graph, Node, Scope, Value
from perceiver_graph.compiler.programs.incremental import CACHE
from perceiver_graph.compiler.programs.phases import OUTPUT

_NUMBER = re.compile(r"(?<=\.)\d+(?=/)")
"""Of a layer, in the path of what is kept."""


def found(graph: Graph) -> dict[Value, str]:
    """The keys of what a program finds in the cache."""
    return {leaf.value: _key(leaf.value.name) for leaf in graph.inputs if leaf.role == "state"}


def kept(graph: Graph, output: str) -> dict[Value, str]:
    """The keys of what a program puts there: all that it gives but its `output`."""
    return {value: _key(name) for name, value in graph.outputs.items() if name != output}


def _key(name: str) -> str:
    return name.removeprefix(CACHE).removesuffix(OUTPUT)


@dataclass(frozen=True)
class Shapes:
    """What a cache holds: `texts` are the shapes of its entries as Python, by key, and `grown` what each
    symbol of them was in the program before, where it counts rows."""

    texts: Mapping[str, str]
    grown: Mapping[str, set[Dim]]

    def written(self) -> Iterator[py.Statement]:
        """Statements that make a dict of them, `kept`: what layers keep is told together."""
        alike: dict[tuple[str, str], list[tuple[int, ...]]] = {}
        for key, text in self.texts.items():
            numbers = tuple(map(int, _NUMBER.findall(key)))
            alike.setdefault((_NUMBER.sub("{}", key), text), []).append(numbers)
        single: dict[str, str] = {}
        each: dict[tuple[int, ...], list[str]] = {}
        for (key, text), numbered in alike.items():
            counts = tuple(1 + max(column) for column in zip(*numbered, strict=True))
            if len(numbered) == 1 or numbered != [*product(*map(range, counts))]:
                single |= {key.format(*numbers): text for numbers in numbered}
            else:
                path = key.format(*(f"{{i{place}}}" for place in range(len(counts))))
                entry = f"{{f{py.quoted(path)}: {text}}}"
                each.setdefault(counts, []).append(py.call("kept.update", entry))
        yield f"kept: dict[str, tuple[str | int | None, ...]] = {py.entries(single)}"
        for counts, body in each.items():
            found: tuple[py.Statement, ...] = tuple(body)
            for place, count in reversed([*enumerate(counts)]):
                found = ((f"for i{place} in range({count}):", *found),)
            yield from found


def shapes(step: Graph, before: Graph, output: str) -> Shapes:
    """What a step reads of the cache that the program before it has left, which gives `output` too."""
    left = {key: value.shape for value, key in kept(before, output).items()}
    grown: dict[str, set[Dim]] = {}
    texts: dict[str, str] = {}
    for value, key in found(step).items():
        sizes: list[object] = []
        for now, then in zip(value.shape, left[key], strict=True):
            sizes.append(now.value if now.is_constant else now.symbol and py.quoted(str(now)))
            if now != then and now.symbol:
                grown.setdefault(now.symbol.name, set()).add(then)
        texts[key] = py.several(sizes)
    return Shapes(texts, grown)


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
