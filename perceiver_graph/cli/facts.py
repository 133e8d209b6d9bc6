"""What `inspect` shows, as numbers: sizes, parameters by part, and the cost of each phase."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from perceiver_graph.compiler import cost
from perceiver_graph.compiler.dims import Dim, product
from perceiver_graph.compiler.ir import Graph
from perceiver_graph.compiler.lower import Lowered
from perceiver_graph.compiler.phases import Phase


@dataclass(frozen=True)
class Facts:
    """A lowered spec and the graph whose cost is asked for: as lowered, or after passes."""

    lowered: Lowered
    graph: Graph
    level: int = 0

    @cached_property
    def sizes(self) -> dict[str, int]:
        """Sizes for the estimates: batch 1, all queries, the largest (else smallest) of others."""
        symbols = self.graph.symbols.values()
        largest = {s.name: s.highest if s.highest is not None else s.lowest for s in symbols}
        return largest | {"batch": 1}

    @cached_property
    def chunk_sizes(self) -> dict[str, int]:
        """The same with the queries of one decode chunk."""
        asked = {
            leaf.of: leaf.value.shape[0] for leaf in self.graph.inputs if leaf.role == "queries"
        }
        outputs = self.lowered.outputs
        own = {
            str(dim): outputs[name].chunk_queries.evaluate(self.sizes)
            for name, dim in asked.items()
        }
        return self.sizes | own

    @cached_property
    def flops(self) -> int:
        """Multiplications plus additions of one encode and the decode of every query."""
        return cost.flops(self.graph, self.sizes)

    @cached_property
    def phases(self) -> Mapping[Phase, cost.PhaseCost]:
        """Cost of evaluating what is constant, of one encode, and of decoding one chunk."""
        return cost.estimate(self.graph, self.chunk_sizes).phases

    @cached_property
    def free_sizes(self) -> dict[str, int]:
        """The symbols that the spec declares and what the estimates take for them."""
        return {
            name: self.sizes[name] for name in self.lowered.document.spec.dims if name in self.sizes
        }

    @cached_property
    def parameters(self) -> dict[str, int]:
        """Trainable parameters by the first part of their names: inputs, latents, encode ..."""
        parts: dict[str, int] = {}
        for parameter in self.lowered.graph.parameters:
            if parameter.trainable:
                part = parameter.value.name.split(".")[0]
                parts[part] = parts.get(part, 0) + int(product(parameter.value.shape))
        return parts

    def as_json(self) -> dict[str, Any]:
        """Everything as plain data, without the batch. Symbolic sizes are expressions in the shapes,
        and counted at `estimated_at` everywhere else."""
        lowered = self.lowered
        spec = lowered.document.spec
        return {
            "name": spec.name,
            "summary": spec.summary,
            "parameters": lowered.graph.parameter_count,
            "parameters_by_part": self.parameters,
            "flops": self.flops,
            "level": self.level,
            "dims": {
                name: {"min": s.lowest, "max": s.highest, "multiple_of": s.multiple_of}
                for name, s in lowered.graph.symbols.items()
                if name in spec.dims
            },
            "estimated_at": self.free_sizes,
            "inputs": self._inputs(),
            "input_array": [self._count(lowered.input_array[0]), lowered.input_array[1]],
            "latents": list(lowered.latents),
            "outputs": self._outputs(),
            "query_array": [self._count(lowered.query_array[0]), lowered.query_array[1]],
            "total_queries": self._count(lowered.total_queries),
            "chunks": lowered.chunks,
            "phases": {name: _phase(phase) for name, phase in self.phases.items()},
        }

    def _count(self, dim: Dim) -> int:
        return dim.evaluate(self.sizes)

    def _inputs(self) -> dict[str, Any]:
        return {
            name: {
                "axes": [axis.name for axis in modality.axes],
                "shape": [plain(axis.size) for axis in modality.axes],
                "dtype": modality.data.dtype,
                "tokens": self._count(modality.count),
                "channels": modality.channels,
                "mask": self.lowered.derived["inputs", name, "mask"],
                "attention_mask": modality.mask is not None,
            }
            for name, modality in self.lowered.modalities.items()
        }

    def _outputs(self) -> dict[str, Any]:
        return {
            name: {
                "axes": [*(axis.name for axis in output.axes), "channel"],
                "shape": [*(plain(axis.size) for axis in output.axes), output.channels],
                "queries": self._count(output.queries),
                "chunk_queries": self._count(output.chunk_queries),
                "channels": output.channels,
            }
            for name, output in self.lowered.outputs.items()
        }


def _phase(phase: cost.PhaseCost) -> dict[str, Any]:
    return {
        "nodes": phase.nodes,
        "flops": phase.flops,
        "parameter_bytes": phase.parameter_bytes,
        "constant_bytes": phase.constant_bytes,
        "peak_bytes": phase.peak_bytes,
        "peak_bytes_with_scores": phase.peak_bytes_with_scores,
        "peak_at": phase.peak_at,
    }


def plain(dim: Dim) -> int | str:
    """A size as JSON: a number, or the expression of a symbolic size."""
    return dim.value if dim.value is not None else str(dim)
