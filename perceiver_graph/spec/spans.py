"""Where each value of a spec stands in its file: a tree beside the data, so that the data stays plain."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

from perceiver_graph.diagnostics.model import Span

Path = tuple[str | int, ...]
"""The keys and list indices that lead from the root to a value."""


@dataclass(frozen=True)
class SpanNode:
    """The span of a value, of the key before it (none at the root and in lists), and of what it contains."""

    value: Span
    key: Span | None = None
    children: Mapping[str | int, SpanNode] = field(default_factory=dict)

    def walk(self) -> Iterator[SpanNode]:
        """This node and all below it. Aliased parts occur once for each alias."""
        yield self
        for child in self.children.values():
            yield from child.walk()


@dataclass(frozen=True)
class SpanTree:
    """Spans by path. A path that the file does not contain gets the span of its nearest ancestor."""

    root: SpanNode

    def value(self, path: Path) -> Span:
        """The span of the value at `path`; of its key if the value is left empty."""
        node = self._nearest(path)
        return node.key if node.value.is_empty and node.key else node.value

    def key(self, path: Path) -> Span:
        """The span of the key at `path`; in a list, of the item's first key; at the root, of the
        first key."""
        node = self._nearest(path)
        while node.key is None:
            first = next(iter(node.children.values()), None)
            if first is None:
                return node.value
            node = first
        return node.key

    def replaced(self, path: Path, node: SpanNode) -> SpanTree:
        """The tree with `node` at `path`; nodes on the way that did not exist are made from its spans."""
        return SpanTree(_replaced(self.root, path, node))

    def moved(self, path: Path, key: str) -> SpanTree:
        """The tree with what stands at `path` at another key of the same mapping, too."""
        return self.replaced((*path[:-1], key), self._nearest(path))

    def _nearest(self, path: Path) -> SpanNode:
        node = self.root
        for part in path:
            child = node.children.get(part)
            if child is None:
                break
            node = child
        return node


def _replaced(tree: SpanNode | None, path: Path, node: SpanNode) -> SpanNode:
    if not path:
        return node
    here = tree or SpanNode(node.value, node.key)
    return replace(
        here,
        children={**here.children, path[0]: _replaced(here.children.get(path[0]), path[1:], node)},
    )
