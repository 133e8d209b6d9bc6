"""The waves of rotary positions that a file holds beside its weights, against those of a graph.

No parameter is filled from them: with others, every tensor would fit and every result would be wrong.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from perceiver_graph.compiler.ir.graph import Graph
from perceiver_graph.compiler.ops import FourierAt, FourierFeatures, FourierTable, Rotary
from perceiver_graph.compiler.weights.files import Tensors
from perceiver_graph.compiler.weights.layouts import Layout
from perceiver_graph.compiler.weights.systems import SystemLayout, Waves
from perceiver_graph.diagnostics import Diagnostic, make

ROUNDING = 1e-4
"""More than float32 rounds away of a frequency, or six digits of a wavelength."""


def other_waves(layout: Layout, tensors: Tensors, graph: Graph) -> Iterator[Diagnostic]:
    """A diagnostic (PG309) for each tensor of waves that are not those of the graph."""
    if not isinstance(layout, SystemLayout):
        return
    for key, seen in layout.system.sizes.items():
        if not isinstance(seen, Waves) or layout.prefix + seen.tensor not in tensors.tensors:
            continue
        name = layout.prefix + seen.tensor
        low, high = theirs = seen.lengths(tensors.get(name))
        others = [x for x in _ends(graph) if not np.allclose(theirs, x, rtol=ROUNDING, atol=0)]
        for shortest, longest in others[:1]:
            yield make(
                "PG309",
                f"the checkpoint was made with waves {low:g} to {high:g} long, as its tensor `{name}` "
                f"says, and the spec has `{key}` = [{shortest:g}, {longest:g}]",
                notes=["the tensors fit all the same, but the results would be wrong"],
                help=f"write [{low:g}, {high:g}] for `{key}` in the spec",
            )


def _ends(graph: Graph) -> list[tuple[float, float]]:
    """The shortest and the longest wave of each way in which queries and keys are turned."""
    turning = graph.ancestors(node["waves"] for node in graph.nodes if isinstance(node.op, Rotary))
    found: list[tuple[float, float]] = []
    for node in graph.nodes:
        if node.output in turning and isinstance(node.op, FourierTable):
            found += [node.op.wavelengths] if node.op.wavelengths else []
        elif node.output in turning and isinstance(node.op, FourierAt | FourierFeatures):
            found += node.op.wavelengths
    return found
