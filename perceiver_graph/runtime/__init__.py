"""The runtime: opens artifacts and runs their programs on arrays and media files.

It needs neither torch nor the compiler; onnxruntime is imported when the first program is loaded.
"""

from __future__ import annotations

from perceiver_graph.runtime.artifact import Artifact, open_artifact
from perceiver_graph.runtime.program import Program, State, load

__all__ = ["Artifact", "Program", "State", "load", "open_artifact"]
