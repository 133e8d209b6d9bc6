"""How much memory a run takes, and what to choose so that it takes no more than it may.

Two things can be chosen without changing a result: how many queries are decoded together, and how
much of an attention's scores exists at once. All figures are bytes for a batch of 1 on a CPU.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from math import ceil

from perceiver_graph.compiler import cost
from perceiver_graph.compiler.ir import ASKED, Graph
from perceiver_graph.compiler.lower import Lowered
from perceiver_graph.compiler.phases import LATENTS
from perceiver_graph.compiler.scores import LARGEST_SCORES, SMALLEST_SCORES
from perceiver_graph.diagnostics.commands import option
from perceiver_graph.diagnostics.model import DiagnosticError
from perceiver_graph.spec.manifest import FEWEST_QUERIES, READING_MEMORY, Memory
from perceiver_graph.spec.models.media import kind_of

MiB = 2**20
PROCESS = 128 * MiB
"""Python, numpy, onnxruntime and what it allocates for a model of any size."""
MEDIA = READING_MEMORY
"""What reads and writes files besides."""
_DECODED = frozenset({"video", "audio", "mel", "image", "flow"})
ENCODE_ARENA = 1.6
"""What onnxruntime holds for each byte that is live while it encodes: 1.2 to 1.6 on optical flow,
Kinetics and two systems for ImageNet. With a budget it is given back after encoding."""
DECODE_ARENA = 1.6
"""The same while decoding, chunk by chunk: 1.5 to 1.6 on Kinetics and optical flow."""
HELD = 1.5
"""What stays for each byte that encode hands to decode: the arena's regions are not quite full."""


@dataclass(frozen=True)
class Needs:
    """The parts of the memory of a run, in bytes."""

    process: int
    """The process, with the inputs and the results as arrays."""
    weights: int
    """Parameters and constants of both programs."""
    loading: int
    """What making the encode session takes besides the weights."""
    encode: int
    """Inputs, activations and scores of encoding, at their most."""
    encode_at: str
    """The node where that is."""
    state: int
    """What encode hands to decode."""
    decode: int
    """Activations and scores of decoding chunk after chunk."""

    @property
    def peak(self) -> int:
        """The most at any time. All inputs but the first are encoded while onnxruntime still holds
        what decoding took."""
        own = max(self.loading, self.encode + self.decode, self.state + self.decode)
        return self.process + self.weights + own


@dataclass(frozen=True)
class Plan:
    """What was chosen, and the memory that a run takes then."""

    chunks: int
    """In how many parts all queries are decoded."""
    chunk_queries: int
    """Queries of all outputs in such a part: fewer than `chunks` says where decoding would take
    more than the usual memory."""
    score_limit: int
    """Bytes of attention scores that a program is emitted to hold at once for a sample."""
    needs: Needs

    @property
    def peak(self) -> int:
        """Bytes that a run takes at most, as predicted."""
        return self.needs.peak

    def text(self, limit: int) -> str:
        """What was chosen for a limit, for people: `a run takes at most 1,024 MiB of ...`."""
        parts = [f"{self.chunk_queries:,} queries"] if self.chunk_queries else []
        if self.score_limit < LARGEST_SCORES:
            parts.append(f"{mebibytes(self.score_limit)} of attention scores")
        chosen = f": {' and '.join(parts)} at a time" if parts else ""
        return f"a run takes at most {mebibytes(self.peak)} of {mebibytes(limit)}{chosen}"


def decode_memory(graph: Graph) -> Memory:
    """Peak bytes of decoding as fixed + per_query * queries, state and weights included, batch 1.

    Taken from the cost model at two query counts of each output that can be chosen from, one output
    at a time; the estimate is linear in between and beyond.
    """
    asked = [str(leaf.count) for leaf in graph.inputs if leaf.role in ASKED]
    lines = [_decode_line(graph, asked, count) for count in asked]
    return Memory(
        fixed=max((fixed for fixed, _ in lines), default=0),
        per_query=max((per_query for _, per_query in lines), default=0),
    )


def _decode_line(graph: Graph, asked: Sequence[str], count: str) -> tuple[int, int]:
    """Peak bytes without queries, and for each query of one output; of the others, one is asked."""
    most = graph.symbols[count].max or FEWEST_QUERIES
    few, many = min(FEWEST_QUERIES // 2, most), min(FEWEST_QUERIES, most)
    peaks = []
    for queries in (few, many):
        sizes = _largest(graph) | dict.fromkeys(asked, 1) | {count: queries}
        phase = cost.estimate(graph, sizes, of=["decode"]).phases["decode"]
        peaks.append(phase.weight_bytes + _state(phase) + _decoding(phase))
    if few == many:  # with so few queries, all of it counts as fixed
        return peaks[0], 0
    per_query = max(-(-(peaks[1] - peaks[0]) // (many - few)), 0)
    return max(peaks[0] - few * per_query, 0), per_query


def _state(phase: cost.PhaseCost) -> int:
    return ceil(HELD * phase.given_bytes)


def _decoding(phase: cost.PhaseCost) -> int:
    return ceil(DECODE_ARENA * (phase.peak_bytes_with_scores - phase.given_bytes))


def _largest(graph: Graph) -> dict[str, int]:
    symbols = graph.symbols.items()
    largest = {name: s.lowest if s.highest is None else s.highest for name, s in symbols}
    return largest | {"batch": 1}


def plan(lowered: Lowered, graph: Graph, memory: int | None = None) -> Plan:
    """The largest score limit and the fewest chunks, at least those of the spec, that fit `memory`.

    `graph` is that of `lowered` after the passes of a level; `memory` is in bytes, and without it
    everything stays as usual. Raises DiagnosticError (PG604) where nothing fits.
    """
    planner = _Planner(lowered, graph)
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


def _score_limits() -> Iterator[int]:
    limit = LARGEST_SCORES
    while limit >= SMALLEST_SCORES:
        yield limit
        limit //= 2


class _Planner:
    """Predicts what a run takes for a number of chunks and a score limit."""

    def __init__(self, lowered: Lowered, graph: Graph) -> None:
        self.lowered = lowered
        self.graph = graph
        self.sizes = _largest(graph)
        asked = [leaf.of for leaf in graph.inputs if leaf.role in ASKED]
        self.totals = {name: lowered.outputs[name].queries.evaluate(self.sizes) for name in asked}
        self.usual = self._queries(lowered.chunks)
        self.enough = min(self.usual, FEWEST_QUERIES)
        self._encodes: dict[int, cost.PhaseCost] = {}

    @cached_property
    def decode(self) -> cost.PhaseCost:
        """Decoding a query of each output."""
        ones = {str(x.count): 1 for x in self.graph.inputs if x.role in ASKED}
        return cost.estimate(self.graph, self.sizes | ones, of=["decode"]).phases["decode"]

    def encode(self, score_limit: int) -> cost.PhaseCost:
        if score_limit not in self._encodes:
            found = cost.estimate(self.graph, self.sizes, score_limit=score_limit, of=["encode"])
            self._encodes[score_limit] = found.phases["encode"]
        return self._encodes[score_limit]

    @cached_property
    def line(self) -> Memory:
        return decode_memory(self.graph)

    @property
    def least(self) -> Plan:
        """What takes the least memory."""
        return self.plan(max(self.totals.values(), default=1), SMALLEST_SCORES)

    def plan(self, chunks: int, score_limit: int) -> Plan:
        queries = self._queries(chunks)
        return Plan(chunks, queries, score_limit, self._needs(queries, score_limit))

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

    def _needs(self, queries: int, score_limit: int) -> Needs:
        encode, decode = self.encode(score_limit), self.decode
        # The line holds for any mix of outputs; what it counts as fixed is told apart here.
        fixed = decode.weight_bytes + _state(decode)
        chunk = self.line.fixed + self.line.per_query * queries - fixed
        return Needs(
            process=self._process(encode),
            weights=encode.weight_bytes + decode.weight_bytes,
            loading=encode.twice_bytes,
            encode=ceil(ENCODE_ARENA * encode.peak_bytes_with_scores),
            encode_at=encode.peak_at,
            state=_state(decode),
            decode=max(chunk, _decoding(decode)),
        )

    def _process(self, encode: cost.PhaseCost) -> int:
        results = [value for name, value in self.graph.outputs.items() if name != LATENTS]
        arrays = encode.given_bytes + sum(cost.nbytes(value, self.sizes) for value in results)
        given = [entry.media for entry in self.lowered.inputs.values()]
        decoded = any(kind_of(media) in _DECODED for media in given if media)
        return PROCESS + (MEDIA if decoded else 0) + arrays


def _too_little(lowered: Lowered, least: Plan, memory: int) -> DiagnosticError:
    """The diagnostic PG604."""
    needs = least.needs
    at_a_time = f" {least.chunk_queries} queries at a time" if least.chunk_queries else ""
    parts = [
        ("the process with inputs and results", needs.process),
        ("weights and constants", needs.weights),
        (f"encoding, most of it at `{needs.encode_at}`", needs.encode),
        (f"decoding{at_a_time}", needs.decode),
    ]
    if needs.loading > needs.encode + needs.decode:
        parts[2:] = [("weights a second time while they are prepared", needs.loading)]
    elif needs.state > needs.encode:
        parts[2] = ("what encoding hands to decoding", needs.state)
    return DiagnosticError.of(
        "PG604",
        f"{mebibytes(memory)} are too little for `{lowered.document.spec.name}`: a run takes "
        f"{mebibytes(least.peak)} at the least",
        notes=[f"{mebibytes(size)}: {what}" for what, size in parts if size],
        help=f"{option('--memory', f'{-(-least.peak // MiB)}MiB')}, or a smaller model",
    )


def mebibytes(size: int) -> str:
    """Bytes in whole MiB, rounded up so that as much is enough: `1,032 MiB`."""
    return f"{-(-size // MiB):,} MiB"
