"""Checkpoints of other libraries become a spec and weights under the names of this package."""

from __future__ import annotations

from perceiver_graph.compiler.importing.hub import Snapshot, download
from perceiver_graph.compiler.importing.importer import Imported, import_checkpoint
from perceiver_graph.compiler.importing.writing import save

__all__ = ["Imported", "Snapshot", "download", "import_checkpoint", "save"]
