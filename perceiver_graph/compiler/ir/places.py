"""Spec lines as what is compiled tells of them: by the name of the model, not by a path.

The same spec then gives the same bytes whatever its file is called and wherever it lies, and no
folder of the machine is told to whoever gets the artifact.
"""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from pathlib import PurePath

from perceiver_graph.compiler.ir.graph import Graph
from perceiver_graph.diagnostics.model import Source, Span
from perceiver_graph.spec.loader import Document
from perceiver_graph.spec.overrides import as_option


def without_paths(graph: Graph, document: Document) -> Graph:
    """The graph with `NAME.yaml:LINE:COLUMN` for places in the file of a spec called NAME."""
    return _moved(graph, document.source, _named(document))


def with_paths(graph: Graph, document: Document) -> Graph:
    """What `without_paths` was given: for diagnostics, which name files that are there."""
    return _moved(graph, _named(document), document.source)


def _named(document: Document) -> Source:
    return Source(f"{document.spec.name}.yaml", document.source.text)


def _moved(graph: Graph, old: Source, new: Source) -> Graph:
    @cache
    def place(span: Span | None) -> Span | None:
        if span is None:
            return None
        if span.source.path == old.path:
            return replace(span, source=new)
        return span  # an option of the command line

    return graph.at(place)


def origin(span: Span) -> str:
    """`NAME.yaml:LINE:COLUMN`, without the folders that lead there."""
    name = as_option(span.source) or PurePath(span.source.path).name
    return f"{name}:{span.start_line}:{span.start_col}"
