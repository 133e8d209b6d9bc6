"""What `inspect` shows, as numbers: sizes, parameters by part, and the cost of each phase."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from perceiver_graph.cli.machine import Rates
from perceiver_graph.compiler.blocks.chosen import CHOSEN
from perceiver_graph.compiler.blocks.coordinates import GIVEN, POINTS
from perceiver_graph.compiler.blocks.points import vectors
from perceiver_graph.compiler.ir.dims import Dim, product
from perceiver_graph.compiler.ir.graph import Graph
from perceiver_graph.compiler.ir.sizes import largest
from perceiver_graph.compiler.lowering.lowered import Lowered
from perceiver_graph.compiler.lowering.media import mask_of_coordinates
from perceiver_graph.compiler.ops.scores import LARGEST_SCORES
from perceiver_graph.compiler.programs import cost
from perceiver_graph.compiler.programs import plan as planner
from perceiver_graph.compiler.programs.generation import kept, writing
from perceiver_graph.compiler.programs.needs import Plan
from perceiver_graph.compiler.programs.phases import COMPILE, IN_CHUNKS, Phase
from perceiver_graph.spec.programs import ASKED

if TYPE_CHECKING:
    from perceiver_graph.cli.kept import Kept
    from perceiver_graph.cli.removed import Removed
    from perceiver_graph.compiler.passes.pipeline import Level


@dataclass(frozen=True)
class Costs:
    """What a graph costs: every phase, and one run of the program."""

    phases: Mapping[Phase, cost.PhaseCost]
    """Of evaluating what is constant, and of one run of each program: of a chunk, if it runs in chunks."""
    flops: int
    """Multiplications plus additions of a run that answers every query."""
    chunks: int

    @cached_property
    def read(self) -> int:
        """Bytes of weights and constants that a run reads which answers every query."""
        return sum(
            phase.weight_bytes * (self.chunks if name in IN_CHUNKS else 1)
            for name, phase in self.phases.items()
            if name != COMPILE
        )

    def as_json(self, rates: Rates | None) -> dict[str, Any]:
        """As plain data; floors, in seconds, only for rates that do not change from run to run."""
        phases = {name: _phase(phase) for name, phase in self.phases.items()}
        found: dict[str, Any] = {"flops": self.flops, "weight_bytes": self.read, "phases": phases}
        if rates is not None:
            found["floor_seconds"] = rates.seconds(self.flops, self.read)
            for name, phase in self.phases.items():
                phases[name]["floor_seconds"] = rates.seconds(phase.flops, phase.weight_bytes)
        return found


@dataclass(frozen=True)
class Inspection:
    """A lowered spec, and its graph after the passes of a level: at level 0, as lowered."""

    lowered: Lowered
    graph: Graph
    level: int = 0
    removed: tuple[Removed, ...] = ()
    kept: tuple[Kept, ...] = ()
    memory: int | None = None
    """What a run may take, in bytes."""

    @classmethod
    def of(cls, lowered: Lowered, level: Level, memory: int | None = None) -> Inspection:
        """The inspection about a spec. Raises DiagnosticError (PG604) where a run takes more memory."""
        inspection = cls(lowered, lowered.graph, memory=memory)
        if level:
            from perceiver_graph.cli.removed import Recorder
            from perceiver_graph.compiler.passes.pipeline import optimize

            recorder = Recorder(lowered.graph, inspection.sizes)
            graph = optimize(lowered.graph, level=level, frozen=True, observer=recorder)
            inspection = cls(lowered, graph, level, recorder.removed, recorder.kept, memory)
        if memory is not None:
            _ = inspection.plan  # refused before anything is printed
        return inspection

    @cached_property
    def sizes(self) -> dict[str, int]:
        """Sizes for the estimates: batch 1, all queries, the largest (else smallest) of others."""
        return largest(self.graph.symbols)

    @cached_property
    def plan(self) -> Plan:
        """The memory of a run, and what is chosen to keep it within the limit."""
        return planner.plan(self.lowered, self.graph, self.memory, self.cache)

    @cached_property
    def chunk_sizes(self) -> dict[str, int]:
        """The same with the queries of one decode chunk."""
        asked = {leaf.of: leaf.count for leaf in self.graph.inputs if leaf.role in ASKED}
        outputs = self.lowered.outputs
        own = {
            str(dim): -(-outputs[name].queries.evaluate(self.sizes) // self.chunks)
            for name, dim in asked.items()
        }
        return self.sizes | own

    @cached_property
    def chunks(self) -> int:
        """In how many parts queries are decoded: as the spec says, or as the memory permits."""
        return self.lowered.chunks if self.memory is None else self.plan.chunks

    @cached_property
    def before(self) -> Costs:
        """The cost of the graph as lowered."""
        return self._costs(self.lowered.graph)

    @cached_property
    def after(self) -> Costs:
        """The cost of the graph after the passes."""
        return self._costs(self.graph) if self.level else self.before

    def _costs(self, graph: Graph) -> Costs:
        limit = LARGEST_SCORES if self.memory is None else self.plan.score_limit
        found = cost.estimate(graph, self.chunk_sizes, score_limit=limit)
        return Costs(found.phases, cost.flops(graph, self.sizes), self.chunks)

    @cached_property
    def cache(self) -> int | None:
        """Bytes that a causal model keeps of a text that it writes, the longest; None of others."""
        return kept(writing(self.lowered))

    @cached_property
    def free_sizes(self) -> dict[str, int]:
        """The symbols that the spec declares, and how many points outputs are asked at, with what the
        estimates take for them."""
        declared = self.lowered.document.spec.dims
        points = [f.axes[0].size for f in self.lowered.coordinates.values() if f.points_of]
        names = (*declared, *map(str, points))
        return {name: self.sizes[name] for name in names if name in self.sizes}

    @cached_property
    def parameters(self) -> dict[str, int]:
        """Trainable parameters by the first part of their names: inputs, latents, encode ..."""
        trained = [p.value for p in self.lowered.graph.parameters if p.trainable]
        tensors = Counter((value.name.split(".")[0], value.type) for value in trained)
        parts: dict[str, int] = {}
        for (part, kind), count in tensors.items():
            parts[part] = parts.get(part, 0) + int(product(kind.shape)) * count
        return parts

    def as_json(self, rates: Rates | None = None) -> dict[str, Any]:
        """Everything as plain data, without the batch. Symbolic sizes are expressions in the shapes,
        and counted at `estimated_at` everywhere else. Floors only for given rates."""
        lowered = self.lowered
        spec = lowered.document.spec
        return {
            "name": spec.name,
            "summary": spec.summary,
            "parameters": lowered.graph.parameter_count,
            "parameters_by_part": self.parameters,
            "flops": self.after.flops,
            "level": self.level,
            "dims": {
                name: {"min": s.lowest, "max": s.highest, "multiple_of": s.multiple_of}
                | ({"default": s.highest} if name in lowered.free_symbols else {})
                for name, s in lowered.graph.symbols.items()
                if name in spec.dims
            },
            "estimated_at": self.free_sizes,
            "inputs": self._inputs(),
            "input_array": [self._count(lowered.input_array[0]), lowered.input_array[1]],
            "latents": [self._count(lowered.latents[0]), lowered.latents[1]],
            "places": {axis.name: axis.size.plain for axis in lowered.places},
            "rotary": {
                key: [{"rows": rows, "read": read} for rows, read in by]
                for key, by in lowered.turned.items()
            },
            "outputs": self._outputs(),
            "query_array": [self._count(lowered.query_array[0]), lowered.query_array[1]],
            "total_queries": self._count(lowered.total_queries),
            "chunks": lowered.chunks,
            "phases": {name: _phase(phase) for name, phase in self.after.phases.items()},
            "before": self.before.as_json(rates),
            "after": self.after.as_json(rates),
            "removed": [
                {"pass": one.name, "nodes": one.nodes, "flops": one.flops} for one in self.removed
            ],
            "notes": [
                {"pass": one.name, "why": one.why, "nodes": list(one.nodes)} for one in self.kept
            ],
            "run": {
                "peak_bytes": self.plan.peak,
                "chunks": self.plan.chunks,
                "chunk_queries": self.plan.chunk_queries,
                "score_limit": self.plan.score_limit,
            },
        } | ({} if self.cache is None else {"cache_bytes": self.cache})

    def _count(self, dim: Dim) -> int:
        return dim.evaluate(self.sizes)

    def _inputs(self) -> dict[str, Any]:
        found, asked = self._coordinates(), vectors(self.lowered.document.spec.outputs)
        found |= {
            name: {
                "axes": [axis.name for axis in modality.axes],
                "shape": [axis.size.plain for axis in modality.axes],
                "dtype": modality.data.dtype,
                "tokens": self._count(modality.count),
                "channels": modality.channels,
                "mask": self.lowered.derived["inputs", name, "mask"],
                "attention_mask": modality.mask is not None,
            }
            | ({"vector_of": asked[name]} if name in asked else {})
            for name, modality in self.lowered.modalities.items()
        }
        order = [n for name in self.lowered.inputs for n in (name, name + GIVEN, name + CHOSEN)]
        return {name: found[name] for name in order if name in found}

    def _coordinates(self) -> dict[str, Any]:
        """Arrays that hold positions of tokens, or numbers of chosen ones, and are no tokens themselves."""
        return {
            name: {
                "axes": [axis.name for axis in found.axes],
                "shape": [axis.size.plain for axis in found.axes],
                "dtype": found.data.dtype,
                "tokens": 0,
                "channels": int(found.axes[-1].size) if found.among is None else 0,
                "mask": mask_of_coordinates(self.lowered, found),
                "attention_mask": False,
                "positions_of" if found.among is None else "chosen_of": list(found.beside),
            }
            for name, found in self.lowered.coordinates.items()
            if not found.points_of
        }

    def _outputs(self) -> dict[str, Any]:
        return {
            name: {
                "axes": [*(axis.name for axis in output.axes), "channel"],
                "shape": [*(axis.size.plain for axis in output.axes), output.channels],
                "queries": self._count(output.queries),
                "chunk_queries": self._count(output.chunk_queries),
                "channels": output.channels,
            }
            | self._points(name)
            for name, output in self.lowered.outputs.items()
        }

    def _points(self, name: str) -> dict[str, Any]:
        """The array of points that an output is asked at, if it is one of these."""
        array = (self.lowered.outputs[name].source or name) + POINTS
        found = self.lowered.coordinates.get(array)
        if found is None:
            return {}
        return {"points": {"name": array, "shape": [a.size.plain for a in found.axes]}}


def _phase(phase: cost.PhaseCost) -> dict[str, Any]:
    inner = ("given_bytes", "twice_bytes")  # of interest to plans alone
    return {key: value for key, value in asdict(phase).items() if key not in inner}
