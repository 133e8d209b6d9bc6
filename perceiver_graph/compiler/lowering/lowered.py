"""What lowering gives: the graph of a spec, and the shapes that people ask about."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from perceiver_graph.compiler.blocks.context import Axis, Coordinates, Path
from perceiver_graph.compiler.blocks.modality import Modality
from perceiver_graph.compiler.blocks.symbols import free
from perceiver_graph.compiler.ir.dims import Dim, product, total
from perceiver_graph.compiler.ir.graph import Graph
from perceiver_graph.diagnostics import Diagnostic
from perceiver_graph.diagnostics.words import joined
from perceiver_graph.spec.glance import Glance, Glanced
from perceiver_graph.spec.loader import Document
from perceiver_graph.spec.models import Input


@dataclass(frozen=True)
class OutputShape:
    """An output: index axes (none for a single query), queries in all and per chunk, channels."""

    axes: tuple[Axis, ...]
    queries: Dim
    chunk_queries: Dim
    channels: int
    source: str = ""
    """The output whose queries these are, where they are another's."""
    places: int = 0
    """How many of the axes, the first ones, are places at each of which all queries are asked."""

    @property
    def asked(self) -> tuple[Axis, ...]:
        """The axes that count queries, or the latents that are taken."""
        return self.axes[self.places :]


@dataclass(frozen=True, repr=False, kw_only=True)
class Lowered(Glanced):
    """A spec's graph and the shapes people ask about."""

    document: Document
    graph: Graph
    modalities: Mapping[str, Modality]
    coordinates: Mapping[str, Coordinates]
    """Arrays that hold positions of tokens or of queries, by name."""
    input_array: tuple[Dim, int]
    """M x C."""
    latents: tuple[Dim, int]
    """N x D, at a place if there are several."""
    outputs: Mapping[str, OutputShape]
    query_width: int
    derived: Mapping[Path, Any]
    """What keys that the spec left out stand for."""
    latents_read: tuple[Dim, int]
    """The latents that queries read: N x D where `process` leaves them as they are."""
    warnings: tuple[Diagnostic, ...] = ()
    """What is to be told of a spec that is right."""
    places: tuple[Axis, ...] = ()
    """The axes of inputs each place of which has latents of its own."""
    asked_at: tuple[Axis, ...] = ()
    """Those at each place of which outputs are asked."""
    turned: Mapping[str, Sequence[tuple[str, str]]] = field(default_factory=dict)
    """By stage with `rotary`, what its rows and what they read are turned by, in words; several if outputs
    differ."""

    def _glance(self) -> Glance:
        graph = self.graph
        shapes = {
            "input array": self.input_array,
            "latents": self.latents,
            "query array": self.query_array,
        }
        heading = f"Lowered {graph.name}: {graph.parameter_count:,} parameters"
        return Glance(heading, tuple((name, f"{a} x {b}") for name, (a, b) in shapes.items()))

    @cached_property
    def inputs(self) -> dict[str, Input]:
        """The inputs of the spec, those that are like others written out."""
        return self.document.spec.modalities

    @property
    def each(self) -> str:
        """In words, where there are inputs and latents as large as is said: ` at each of 12 places`, or
        nothing where they are all that there are."""
        count = product(axis.size for axis in self.places)
        return f" at each of {count} places" if self.places else ""

    @property
    def query_array(self) -> tuple[Dim, int]:
        """O x E of one decode chunk."""
        own = (o for o in self.outputs.values() if not o.source)
        return total(o.chunk_queries for o in own), self.query_width

    @property
    def total_queries(self) -> Dim:
        return total(o.queries for o in self.outputs.values() if not o.source)

    @property
    def taken(self) -> str:
        """In words, what becomes of the latents in outputs that ask nothing; empty without any."""
        outputs = self.document.spec.outputs.values()
        words = dict.fromkeys(output.query.takes for output in outputs if output.query.takes)
        return joined(words, "and") if words else ""

    @property
    def free_symbols(self) -> set[str]:
        """Symbols that no input tells: given with the call, or else the largest."""
        given = [m.axes for m in self.modalities.values()]
        given += [c.axes for c in self.coordinates.values()]
        return free(given, (o.axes for o in self.outputs.values()))

    @property
    def chunks(self) -> int:
        return self.document.spec.decode.chunks


def chunk_queries(count: Dim, chunks: int) -> Dim:
    """Queries of an output in one chunk: its share, or all where there are fewer than chunks."""
    if count.value is None or count.value < chunks:
        return count
    return Dim.of(-(-count.value // chunks))
