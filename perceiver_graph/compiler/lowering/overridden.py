"""Weights that do not fit because of what was overridden: the override is to blame, not the spec."""

from __future__ import annotations

from dataclasses import replace

from perceiver_graph.compiler.ir.graph import Graph
from perceiver_graph.compiler.lowering.lower import lower
from perceiver_graph.diagnostics import Diagnostic, DiagnosticError, Label, Span
from perceiver_graph.diagnostics.text import quote
from perceiver_graph.spec.loader import Document, parse_spec
from perceiver_graph.spec.overrides import as_option


def blamed(error: DiagnosticError, document: Document, graph: Graph) -> DiagnosticError:
    """The error with the overrides in place of the lines of the spec whose parameters they have changed."""
    spans = [node.key or node.value for node in document.spans.root.walk()]
    given = {span.source: span for span in reversed(spans) if as_option(span.source)}
    changed = {
        span: _changed(document, graph, [one.text for one in given if one != source])
        for source, span in given.items()
    }
    return DiagnosticError(_blamed(one, changed) for one in error.diagnostics)


def _blamed(one: Diagnostic, changed: dict[Span, set[Span | None]]) -> Diagnostic:
    if one.code not in ("PG302", "PG304") or one.primary is None:
        return one
    here = one.primary.span
    guilty = next((span for span, origins in changed.items() if here in origins), None)
    if guilty is None:
        return one
    own = () if here == guilty else (Label(here, "which it changes"),)
    return replace(
        one,
        primary=Label(guilty, "this leads to the expected shape"),
        secondary=(*own, *one.secondary),
        help=one.help
        or f"leave {quote(guilty.source.path)} out, or give weights that were trained with it",
    )


def _changed(document: Document, graph: Graph, others: list[str]) -> set[Span | None]:
    """Where the parameters come from that are other ones without an override."""
    try:
        without = lower(parse_spec(document.source.text, document.source.path, others)).graph
    except DiagnosticError:
        return set()
    shapes = {leaf.value.name: leaf.value.shape for leaf in without.parameters}
    return {
        leaf.origin for leaf in graph.parameters if shapes.get(leaf.value.name) != leaf.value.shape
    }
