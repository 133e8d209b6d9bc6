"""What comments say of statements: shapes, and lines of the spec.

A size in which the calls of a method differ gets a letter.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import PurePath

from perceiver_graph.compiler.backends.torch.calls import outputs_of
from perceiver_graph.compiler.backends.torch.extents import Reading
from perceiver_graph.compiler.backends.torch.modules import Method, ModuleClass
from perceiver_graph.compiler.ir.dims import Dim, Shape, format_shape
from perceiver_graph.compiler.ir.graph import Node, Value
from perceiver_graph.diagnostics import Span, escape


class Comments:
    """Those of a method, of a class if it is no method of the model as a whole."""

    def __init__(self, method: Method, found: ModuleClass | None = None) -> None:
        self.calls = method.calls
        self.known: dict[tuple[str, ...], str] = {}
        if found is not None:
            for name, numbers in found.arguments.items():
                of_path = {slot.path: str(n) for slot, n in zip(found.slots, numbers, strict=True)}
                self.known[tuple(of_path[call.module] for call in self.calls)] = name
        self.letters = iter("nmkijpqrstuvwxyz")

    def shape_of(self, index: int) -> str:
        """The shape of what an item of the calls computes."""
        if isinstance(self.calls[0].items[index], Reading):
            return ""
        return ", ".join(self._each(outputs_of(call.items[index]) for call in self.calls))

    def origin_of(self, index: int) -> str:
        """The line of the spec that an item of the calls comes from, where they are of one module."""
        item = self.calls[0].items[index]
        if isinstance(item, Reading) or len({call.module for call in self.calls}) > 1:
            return ""
        return origin_of(item.origin if isinstance(item, Node) else item.block.origin)

    def inputs(self) -> list[str]:
        """The shapes of the arguments."""
        return self._each(call.inputs for call in self.calls)

    def outputs(self) -> list[str]:
        """The shapes of the results."""
        return self._each(call.outputs for call in self.calls)

    def _each(self, values: Iterable[tuple[Value, ...]]) -> list[str]:
        return [self._of([value.shape for value in alike]) for alike in zip(*values, strict=True)]

    def _of(self, shapes: list[Shape]) -> str:
        if len(set(shapes)) == 1:
            return format_shape(shapes[0])
        return f"[{', '.join(map(self._size, zip(*shapes, strict=True)))}]"

    def _size(self, sizes: tuple[Dim, ...]) -> str:
        texts = tuple(map(str, sizes))
        if len(set(texts)) == 1:
            return texts[0]
        if texts not in self.known:
            self.known[texts] = next(self.letters)
        return self.known[texts]


def origin_of(*origins: Span | None) -> str:
    """`specs/kinetics.yaml:31`; the lines of several places after one another."""
    places: dict[str, dict[int, None]] = {}
    for origin in origins:
        if origin is not None:
            path = PurePath(origin.source.path)
            name = f"specs/{path.name}" if path.parent.name == "specs" else path.name
            places.setdefault(escape.comment(name), {})[origin.start_line] = None
    return ", ".join(
        f"{name}:{', '.join(map(str, sorted(lines)))}" for name, lines in places.items()
    )
