"""Models of this package become checkpoints of other libraries: what `importing` reads, backwards."""

from __future__ import annotations

from perceiver_graph.compiler.exporting.exporter import Exported, to_transformers
from perceiver_graph.compiler.exporting.writing import save

__all__ = ["Exported", "save", "to_transformers"]
