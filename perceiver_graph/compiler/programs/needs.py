"""What a run needs of memory, in bytes for a batch of 1 on a CPU, and what was chosen so that it fits."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from perceiver_graph.compiler.ops.scores import LARGEST_SCORES
from perceiver_graph.compiler.programs.phases import IN_CHUNKS

MiB = 2**20


@dataclass(frozen=True)
class Use:
    """The memory of a program while it runs, in bytes, besides its weights."""

    working: int
    """The most that activations and scores take, with the inputs of a program that reads any."""
    at: str
    """The node where that is."""
    state: int = 0
    """What others hand to it."""


@dataclass(frozen=True)
class Needs:
    """The parts of the memory of a run, in bytes."""

    process: int
    """The process, with the inputs and the results as arrays."""
    weights: int
    """Parameters and constants of all programs."""
    loading: int
    """What making the session of a program that runs once takes besides the weights."""
    programs: Mapping[str, Use]
    writing: int = 0
    """What generation takes besides the weights: those of a second program, and the cache."""

    @property
    def peaks(self) -> dict[str, int]:
        """The most while each program runs. All inputs but the first are encoded while onnxruntime
        still holds what decoding took."""
        held = sum(use.working for name, use in self.programs.items() if name in IN_CHUNKS)
        return {
            name: use.state + held + (0 if name in IN_CHUNKS else use.working)
            for name, use in self.programs.items()
        }

    @property
    def peak(self) -> int:
        """The most at any time."""
        return self.process + self.weights + max(self.loading, self.writing, *self.peaks.values())


@dataclass(frozen=True)
class Plan:
    """What was chosen, and the memory that a run takes then."""

    chunks: int
    """In how many parts all queries are decoded; as the spec says, where any number of points is asked."""
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


def mebibytes(size: int) -> str:
    """Bytes in whole MiB, rounded up so that as much is enough: `1,032 MiB`."""
    return f"{-(-size // MiB):,} MiB"
