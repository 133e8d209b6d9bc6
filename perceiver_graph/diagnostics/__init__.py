"""Diagnostics: what is wrong, where, why, and what would work."""

from __future__ import annotations

from perceiver_graph.diagnostics.catalog import CATALOG, RANGES, Entry, explain
from perceiver_graph.diagnostics.errors import DiagnosticError, Report
from perceiver_graph.diagnostics.model import (
    Diagnostic,
    Label,
    Severity,
    Source,
    Span,
    make,
)
from perceiver_graph.diagnostics.render import FORMATS, Format, render
from perceiver_graph.diagnostics.text import quote

__all__ = [
    "CATALOG",
    "FORMATS",
    "RANGES",
    "Diagnostic",
    "DiagnosticError",
    "Entry",
    "Format",
    "Label",
    "Report",
    "Severity",
    "Source",
    "Span",
    "explain",
    "make",
    "quote",
    "render",
]
