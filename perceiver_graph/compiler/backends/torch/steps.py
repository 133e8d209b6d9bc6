"""Steps of functions that more than one kind of function has, and what is said beside them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import PurePath

from perceiver_graph.compiler.backends.torch.body import Lookup, Step
from perceiver_graph.compiler.backends.torch.expressions import Operands, lower
from perceiver_graph.compiler.backends.torch.extents import Extent, Reading, text_of
from perceiver_graph.compiler.backends.torch.interface import read
from perceiver_graph.compiler.backends.torch.printer import Expr, flat
from perceiver_graph.compiler.backends.torch.structure import ClassDef, Method
from perceiver_graph.compiler.dims import Dim
from perceiver_graph.compiler.ir import Node, Value
from perceiver_graph.diagnostics import Span, escape


def node_step(
    node: Node,
    reads: tuple[Value, ...],
    names: tuple[str, ...],
    size: Callable[[str], str],
    *,
    extents: tuple[Extent, ...] = (),
    early: bool,
) -> Step:
    """The step of a node that is no layer; `early` where it is done when a module is made."""
    types = tuple(value.type for value in reads)

    def render(get: Lookup) -> Expr:
        values = tuple(map(get, reads))
        return lower(
            node.op,
            Operands(values, types, size, lambda dim: text_of(dim, extents, get), early),
        )

    comment = origin_comment(node.origin)
    return Step((*reads, *extents), (node.output,), render, names, comment=comment)


def reading_step(reading: Reading, name: str, *, alone: bool) -> Step:
    """The step that reads a size off an array."""
    place, output = reading.place, reading.output

    def render(get: Lookup) -> Expr:
        text = read(place, get(reading.source).operand)
        return Expr(text, atom=" " not in text)

    return Step(reading.inputs, (output,), render, (name,), alone=alone)


def returned(values: Sequence[Value]) -> Step:
    """The last statement of a method."""

    def render(get: Lookup) -> Expr:
        pieces = [get(value).piece for value in values]
        return Expr(pieces[0] if len(pieces) == 1 else ", ".join(map(flat, pieces)))

    return Step(tuple(values), (), render, prefix="return ")


def with_return(steps: list[Step], values: tuple[Value, ...]) -> list[Step]:
    """Steps, then the return of their results."""
    if steps and len(values) > 1 and steps[-1].writes == values:
        return [*steps[:-1], replace(steps[-1], writes=(), names=(), prefix="return ")]
    return [*steps, returned(values)]


def origin_comment(*origins: Span | None) -> str:
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


class ShapeText:
    """Shapes in a docstring; a size in which the calls of a method differ gets a letter."""

    def __init__(self, method: Method, found: ClassDef) -> None:
        self.regions = method.regions
        self.paths = [slot.path for slot in found.slots]
        self.known = {
            tuple(str(values[self.paths.index(r.module)]) for r in self.regions): name
            for name, values in found.arguments.items()
        }
        self.letters = iter("nmkijpqrstuvwxyz")

    def of(self, side: str, index: int) -> str:
        shapes = [getattr(region, side)[index].shape for region in self.regions]
        dims = [self._dim(sizes) for sizes in zip(*shapes, strict=True)]
        return f"[{', '.join(dims)}]"

    def _dim(self, sizes: tuple[Dim, ...]) -> str:
        texts = tuple(map(str, sizes))
        if len(set(texts)) == 1:
            return texts[0]
        return self.known.setdefault(texts, "") or self._letter(texts)

    def _letter(self, texts: tuple[str, ...]) -> str:
        self.known[texts] = next(self.letters)
        return self.known[texts]
