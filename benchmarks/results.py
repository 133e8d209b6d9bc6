"""What was measured, as data: the report is made of it, and `--json` writes it."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from benchmarks.machine import Machine


@dataclass
class Outcome:
    """One contender at one work. What was not measured is None or empty, and `note` says why."""

    contender: str
    calls: int = 1
    """How many of the timed calls do the work."""
    prepare_seconds: float | None = None
    prepare_peak_bytes: int | None = None
    load_seconds: float | None = None
    load_peak_bytes: int | None = None
    first_seconds: float | None = None
    """Of the call before those that count."""
    seconds: list[float] = field(default_factory=list)
    """Of each call that counts."""
    parts: dict[str, list[float]] = field(default_factory=dict)
    peak_bytes: int | None = None
    """Most resident memory of the process until after the last call."""
    difference: float | None = None
    """The largest from the outputs of transformers, as a share of its largest output."""
    note: str = ""

    @property
    def median(self) -> float | None:
        """Seconds that the work takes."""
        return self.calls * statistics.median(self.seconds) if self.seconds else None

    @property
    def range(self) -> tuple[float, float] | None:
        """Seconds of the fastest and of the slowest."""
        if not self.seconds:
            return None
        return self.calls * min(self.seconds), self.calls * max(self.seconds)


@dataclass
class WorkResult:
    """All contenders at one work."""

    name: str
    summary: str
    flops: int
    """Of the graph that perceiver-graph makes at -O 2."""
    processor: str
    rate: float
    """FLOP/s of matrix products just before or just after, whichever were more."""
    rate_holds: bool
    """Whether that rate is of the precision of the run, so that there is a floor."""
    busy: float
    """Processes that wanted to run on the machine in the minute before."""
    base: str
    """The contender with whose outputs the others were compared; empty if none had any."""
    outcomes: dict[str, Outcome]
    predicted_bytes: int | None = None
    """What `inspect` says that a run of perceiver-graph in float32 takes at most, for the whole batch."""

    @property
    def floor(self) -> float | None:
        """Seconds of the FLOPs at the rate of matrix products: how long they alone would take."""
        return self.flops / self.rate if self.rate_holds else None

    def ratio(self, contender: str) -> float | None:
        """The median of a contender in medians of perceiver-graph."""
        ours, theirs = self._median("ours"), self._median(contender)
        return None if ours is None or theirs is None else theirs / ours

    @property
    def floor_share(self) -> float | None:
        """The floor as a share of what perceiver-graph takes; 1 would be the rate of products."""
        ours = self._median("ours")
        return None if ours is None or self.floor is None else self.floor / ours

    def _median(self, contender: str) -> float | None:
        return self.outcomes[contender].median if contender in self.outcomes else None


@dataclass
class Results:
    """Everything that one command measured."""

    machine: Machine
    device: str
    precision: str
    rounds: int
    contenders: Sequence[str]
    works: list[WorkResult] = field(default_factory=list)
    batch: int = 1
    """Samples that are computed together."""

    def as_json(self) -> Mapping[str, Any]:
        """Plain data, in seconds, bytes and FLOP/s."""
        return asdict(self)
