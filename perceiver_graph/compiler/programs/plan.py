"""How much memory a run takes, and what to choose so that it takes no more than it may.

Two things can be chosen without changing a result: how many queries are decoded together, and how
much of an attention's scores exists at once. All figures are bytes for a batch of 1 on a CPU.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from math import ceil

from perceiver_graph.compiler.blocks.stages import LATENTS
from perceiver_graph.compiler.ir.graph import Graph
from perceiver_graph.compiler.ir.sizes import largest
from perceiver_graph.compiler.lowering.lowered import Lowered
from perceiver_graph.compiler.ops.scores import LARGEST_SCORES, SMALLEST_SCORES
from perceiver_graph.compiler.programs import cost
from perceiver_graph.compiler.programs.needs import MiB, Needs, Plan, Use, mebibytes
from perceiver_graph.compiler.programs.phases import IN_CHUNKS
from perceiver_graph.diagnostics.commands import setting
from perceiver_graph.diagnostics.errors import DiagnosticError
from perceiver_graph.spec.manifest import FEWEST_QUERIES, READING_MEMORY, Memory
from perceiver_graph.spec.programs import ASKED, READS

PROCESS = 128 * MiB
"""Python, numpy, onnxruntime and what it allocates for a model of any size."""
MEDIA = READING_MEMORY
"""What reads and writes files besides."""
ENCODE_ARENA = 1.6
"""What onnxruntime holds for each byte that is live while it encodes: 1.2 to 1.6 on optical flow,
Kinetics and two systems for ImageNet. With a budget it is given back after encoding."""
DECODE_ARENA = 1.6
"""The same while decoding, chunk by chunk: 1.5 to 1.6 on Kinetics and optical flow."""
HELD = 1.5
"""What stays for each byte of state: the arena's regions are not quite full."""
_DOING = {"encode": "encoding", "decode": "decoding"}


def decode_memory(graph: Graph, int8: Collection[str] = ()) -> Memory:
    """Peak bytes of decoding as fixed + per_query * queries, state and weights included, batch 1.

    Taken from the cost model at two query counts of each output that can be chosen from, one output
    at a time; the estimate is linear in between and beyond. `int8` as in `cost.estimate`.
    """
    asked = [str(leaf.count) for leaf in graph.inputs if leaf.role in ASKED]
    lines = [_decode_line(graph, asked, count, int8) for count in asked]
    return Memory(
        fixed=max((fixed for fixed, _ in lines), default=0),
        per_query=max((per_query for _, per_query in lines), default=0),
    )


def _decode_line(
    graph: Graph, asked: Sequence[str], count: str, int8: Collection[str]
) -> tuple[int, int]:
    """Peak bytes without queries, and for each query of one output; of the others, one is asked."""
    most = graph.symbols[count].max or FEWEST_QUERIES
    few, many = min(FEWEST_QUERIES // 2, most), min(FEWEST_QUERIES, most)
    peaks = []
    for queries in (few, many):
        sizes = largest(graph.symbols) | dict.fromkeys(asked, 1) | {count: queries}
        found = cost.estimate(graph, sizes, of=IN_CHUNKS, int8=int8).phases.values()
        peaks.append(sum(p.weight_bytes + _state(p) + _decoding(p) for p in found))
    if few == many:  # with so few queries, all of it counts as fixed
        return peaks[0], 0
    per_query = max(-(-(peaks[1] - peaks[0]) // (many - few)), 0)
    return max(peaks[0] - few * per_query, 0), per_query


def row_memory(graph: Graph, symbol: str, int8: Collection[str] = ()) -> Memory:
    """Peak bytes of a run as fixed + per_query * rows of places, of which there are `symbol`, batch 1.

    Taken at one and at two rows of the largest size that other axes may have: it is linear in them.
    """
    asked = {str(leaf.count) for leaf in graph.inputs if leaf.role in ASKED}
    sizes = largest(graph.symbols)
    sizes |= {count: min(sizes[count], FEWEST_QUERIES) for count in asked}
    one, two = (_running_whole(graph, sizes | {symbol: rows}, int8) for rows in (1, 2))
    return Memory(fixed=max(2 * one - two, 0), per_query=max(two - one, 1))


def _running_whole(graph: Graph, sizes: Mapping[str, int], int8: Collection[str]) -> int:
    phases = cost.estimate(graph, sizes, of=READS, int8=int8).phases.values()
    return sum(ceil(ENCODE_ARENA * p.peak_bytes_with_scores) + p.weight_bytes for p in phases)


def _state(phase: cost.PhaseCost) -> int:
    return ceil(HELD * phase.given_bytes)


def _decoding(phase: cost.PhaseCost) -> int:
    return ceil(DECODE_ARENA * (phase.peak_bytes_with_scores - phase.given_bytes))


def plan(
    lowered: Lowered,
    graph: Graph,
    memory: int | None = None,
    cache: int | None = None,
    int8: Collection[str] = (),
) -> Plan:
    """The largest score limit and the fewest chunks, at least those of the spec, that fit `memory`.

    `graph` is that of `lowered` after the passes of a level; `memory` is in bytes, and without it
    everything stays as usual. `cache` are the bytes that a model that writes keeps, `int8` the products
    whose weights are in 8 bits.
    Raises DiagnosticError (PG604) where nothing fits.
    """
    planner = _Planner(lowered, graph, cache, int8)
    if memory is None:
        return planner.plan(lowered.chunks, LARGEST_SCORES)
    best: Plan | None = None
    for score_limit in _score_limits():
        found = planner.fitting(score_limit, memory)
        if found and (best is None or found.chunk_queries > best.chunk_queries):
            best = found
        if best and best.chunk_queries >= planner.enough:
            return best
    if best:
        return best
    raise _too_little(lowered, planner.least, memory)


def as_written(
    chosen: Plan,
    lowered: Lowered,
    graph: Graph,
    memory: int | None,
    cache: int | None,
    int8: Collection[str],
) -> Plan:
    """What was chosen, where it turned out that other products are in 8 bits than was thought.

    Raises DiagnosticError (PG604) where that takes more than the memory.
    """
    planner = _Planner(lowered, graph, cache, int8)
    found = replace(chosen, needs=planner.needs(chosen.chunk_queries, chosen.score_limit))
    if memory is not None and found.peak > memory:
        raise _too_little(lowered, found, memory)
    return found


def _score_limits() -> Iterator[int]:
    limit = LARGEST_SCORES
    while limit >= SMALLEST_SCORES:
        yield limit
        limit //= 2


class _Planner:
    """Predicts what a run takes for a number of chunks and a score limit."""

    def __init__(
        self,
        lowered: Lowered,
        graph: Graph,
        cache: int | None = None,
        int8: Collection[str] = (),
    ) -> None:
        self.cache = cache
        self.int8 = int8
        self.lowered = lowered
        self.graph = graph
        self.sizes = largest(graph.symbols)
        asked = {leaf.of: leaf.role for leaf in graph.inputs if leaf.role in ASKED}
        # Of points a caller may ask any number: as many count as are taken together.
        self.any_number = "points" in asked.values()
        self.totals = {
            name: self.line.usual_queries()
            if role == "points"
            else lowered.outputs[name].queries.evaluate(self.sizes)
            for name, role in asked.items()
        }
        self.usual = self._queries(lowered.chunks)
        self.enough = min(self.usual, FEWEST_QUERIES)
        self._costs: dict[int, Mapping[str, cost.PhaseCost]] = {}

    @cached_property
    def _chunks(self) -> Mapping[str, cost.PhaseCost]:
        """The programs that run in chunks, asked for one query of each output."""
        ones = {str(x.count): 1 for x in self.graph.inputs if x.role in ASKED}
        sizes = self.sizes | ones
        return cost.estimate(self.graph, sizes, of=IN_CHUNKS, int8=self.int8).phases

    def _once(self, score_limit: int) -> Mapping[str, cost.PhaseCost]:
        """The programs that run once."""
        if score_limit not in self._costs:
            names = [name for name in READS if name not in IN_CHUNKS]
            found = cost.estimate(
                self.graph, self.sizes, score_limit=score_limit, of=names, int8=self.int8
            )
            self._costs[score_limit] = found.phases
        return self._costs[score_limit]

    @cached_property
    def line(self) -> Memory:
        return decode_memory(self.graph, self.int8)

    @property
    def least(self) -> Plan:
        """What takes the least memory."""
        return self.plan(max(self.totals.values(), default=1), SMALLEST_SCORES)

    def plan(self, chunks: int, score_limit: int) -> Plan:
        queries = self._queries(chunks)
        needs = self.needs(queries, score_limit)
        told = self.lowered.chunks if self.any_number else chunks
        return Plan(told, queries, score_limit, needs)

    def fitting(self, score_limit: int, memory: int) -> Plan | None:
        """The fewest chunks that fit, or None."""
        low, high = self.lowered.chunks, max(self.totals.values(), default=1)
        if self.plan(max(low, high), score_limit).peak > memory:
            return None
        while low < high:
            middle = (low + high) // 2
            if self.plan(middle, score_limit).peak <= memory:
                high = middle
            else:
                low = middle + 1
        return self.plan(low, score_limit)

    def _queries(self, chunks: int) -> int:
        """Queries that a run decodes together where the manifest says so many chunks."""
        queries = sum(-(-total // chunks) for total in self.totals.values())
        return min(queries, self.line.usual_queries())

    def needs(self, queries: int, score_limit: int) -> Needs:
        """The memory of a run that decodes so many queries together."""
        once, chunks = self._once(score_limit), self._chunks
        uses = {
            name: Use(ceil(ENCODE_ARENA * found.peak_bytes_with_scores), found.peak_at)
            for name, found in once.items()
        }
        # The line holds for any mix of outputs; what it counts as fixed is told apart here.
        line = self.line.fixed + self.line.per_query * queries
        for name, found in chunks.items():
            working = max(line - found.weight_bytes - _state(found), _decoding(found))
            uses[name] = Use(working, found.peak_at, _state(found))
        weights = sum(found.weight_bytes for found in (*once.values(), *chunks.values()))
        return Needs(
            process=self._process(once.values()),
            weights=weights,
            loading=max(found.twice_bytes for found in once.values()),
            programs=uses,
            writing=self._writing(weights, max(uses[name].working for name in once)),
        )

    def _writing(self, weights: int, reading: int) -> int:
        """What a model that writes takes besides its weights: a program for steps has its own, and a
        step reads the cache and gives a longer one. The text is read as `encode` reads it, and what
        that took is kept."""
        if self.cache is None:
            return 0
        return weights + reading + ceil(2 * HELD * self.cache)

    def _process(self, once: Iterable[cost.PhaseCost]) -> int:
        results = [value for name, value in self.graph.outputs.items() if name != LATENTS]
        arrays = sum(found.given_bytes for found in once)
        arrays += sum(cost.nbytes(value, self.sizes) for value in results)
        given = [entry.media for entry in self.lowered.inputs.values()]
        decoded = any(media.is_decoded for media in given if media)
        return PROCESS + (MEDIA if decoded else 0) + arrays


def _too_little(lowered: Lowered, least: Plan, memory: int) -> DiagnosticError:
    """The diagnostic PG604."""
    needs = least.needs
    parts = [
        ("the process with inputs and results", needs.process),
        ("weights and constants", needs.weights),
    ]
    largest = max(needs.peaks, key=needs.peaks.__getitem__)
    if needs.writing > max(needs.loading, needs.peaks[largest]):
        parts.append(
            ("weights of a second program and what it keeps, to write texts", needs.writing)
        )
    elif needs.loading > needs.peaks[largest]:
        parts.append(("weights a second time while they are prepared", needs.loading))
    else:
        parts += _running(needs.programs, largest, least.chunk_queries)
    enough = -(-least.peak // MiB)
    given = mebibytes(memory) if memory >= MiB else f"{memory:,} bytes"
    return DiagnosticError.of(
        "PG604",
        f"{given} is too little for `{lowered.document.spec.name}`: a run takes "
        f"{mebibytes(least.peak)} at the least",
        notes=[f"{mebibytes(size)}: {what}" for what, size in parts if size],
        help=f"{setting('--memory', f'{enough}MiB', f'memory={enough} * 2**20')}, or a smaller model",
    )


def _running(programs: Mapping[str, Use], name: str, queries: int) -> Iterator[tuple[str, int]]:
    """What the memory is for while a program runs, in words and bytes."""
    use = programs[name]
    if name in IN_CHUNKS:
        yield f"what encoding hands to {_DOING[name]}", use.state
    else:
        yield f"{_DOING[name]}, most of it at `{use.at}`", use.working
    at_a_time = f" {queries} queries at a time" if queries else ""
    for other in IN_CHUNKS:
        yield f"{_DOING[other]}{at_a_time}", programs[other].working
