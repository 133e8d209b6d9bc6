"""The spec language: models, a loader that remembers source spans, rendering, JSON Schema."""

from perceiver_graph.spec.loader import Document, load_spec, parse_spec
from perceiver_graph.spec.models import Spec

__all__ = ["Document", "Spec", "load_spec", "parse_spec"]
