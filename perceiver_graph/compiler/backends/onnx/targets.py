"""Which lowerings a target has in place of the common ones."""

from __future__ import annotations

from collections.abc import Mapping

from perceiver_graph.compiler.backends.onnx.emitter import Lowering
from perceiver_graph.compiler.backends.onnx.lowerings import LOWERINGS
from perceiver_graph.compiler.ops import Op
from perceiver_graph.compiler.target import Target


def lowerings_for(target: Target) -> Mapping[type[Op], Lowering]:
    """Every primitive with its lowering for a target."""
    return LOWERINGS
