"""How many queries are decoded at a time: as many as the spec says, or as fit a memory budget."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from math import prod

from perceiver_graph.diagnostics import DiagnosticError, quote
from perceiver_graph.diagnostics.commands import setting
from perceiver_graph.runtime.sizes import evaluate
from perceiver_graph.spec.manifest import READING_MEMORY, Manifest

_SIZE = re.compile(r"\s*(\d+(?:\.\d+)?)\s*(?:([kmgt])(i?)b?|b)?\s*", re.IGNORECASE)
_CLEARLY_BYTES, _CLEARLY_MEGABYTES = 1_000_000, 100
_POWER = {"k": 1, "m": 2, "g": 3, "t": 4}


def parse_size(text: str) -> int:
    """Bytes of a text such as `2GiB`, `1.5 GB`, `800M` (decimal) or `1048576`.

    Raises ValueError for anything else, and for a small number without a unit: nobody means bytes.
    """
    match = _SIZE.fullmatch(text)
    if not match:
        raise ValueError(f"{quote(text)} is not a size in bytes: write for example 2GiB or 500MB")
    number, unit, binary = match.groups()
    if text.strip() == number and 0 < Decimal(number) < _CLEARLY_BYTES:
        example = f"{number}{'GB' if Decimal(number) < _CLEARLY_MEGABYTES else 'MB'}"
        raise ValueError(f"{number} of what? Write for example {example}")
    factor = (1024 if binary else 1000) ** _POWER[unit.lower()] if unit else 1
    return int(Decimal(number) * factor)


def format_size(count: int) -> str:
    """Bytes for people, in whole units and rounded up, so that as much is enough: `1530 MiB`."""
    for unit in ("bytes", "KiB", "MiB"):
        if count < 10_000:
            return f"{count} {unit}"
        count = -(-count // 1024)
    return f"{count} GiB"


def reading_room(manifest: Manifest, memory: int | None) -> int | None:
    """How many bytes reading a file may take; None where nobody gave a budget.

    `memory` is the budget of a run. That of the artifact leaves what its model does not need, and
    what was set aside for files.
    """
    limits = [] if memory is None else [memory]
    if manifest.memory is not None:
        limits.append(manifest.memory.limit - manifest.memory.peak + READING_MEMORY)
    return min(limits, default=None)


@dataclass(frozen=True)
class Chunks:
    """Queries in chunks of one shape, so that one session runs them all.

    `sizes` says how many queries of an output are in each chunk; the last chunk of an output may
    have fewer, and none are left of it for the chunks after that.
    """

    counts: dict[str, int]
    sizes: dict[str, int]
    chunks: int

    def __iter__(self) -> Iterator[dict[str, tuple[int, int]]]:
        """For each chunk, the outputs in it with the range of their queries."""
        for index in range(self.chunks):
            starts = {name: index * size for name, size in self.sizes.items()}
            yield {
                name: (start, min(start + self.sizes[name], self.counts[name]))
                for name, start in starts.items()
                if start < self.counts[name]
            }


def fewest(counts: Mapping[str, int], limit: int) -> Chunks:
    """The fewest chunks of at most `limit` queries that hold `counts` queries of each output.

    A chunk has a query of each output at the least, whatever the limit.
    """
    low, high = 1, max(counts.values(), default=1)
    while low < high:
        chunks = (low + high) // 2
        if sum(_sizes(counts, chunks).values()) <= limit:
            high = chunks
        else:
            low = chunks + 1
    return Chunks(dict(counts), _sizes(counts, low), low)


def _sizes(counts: Mapping[str, int], chunks: int) -> dict[str, int]:
    return {name: -(-count // chunks) for name, count in counts.items()}


def chunk_limit(
    manifest: Manifest,
    sizes: Mapping[str, int],
    counts: Mapping[str, int],
    memory: int | None,
    *,
    cached: bool = True,
) -> int:
    """How many queries a chunk may hold.

    Without a budget, `memory`, as many as when everything is decoded in the spec's number of
    chunks, or fewer where these take more memory than is usual or, `cached`, than a CPU is quick with.
    `counts` are the queries asked for by output. Raises DiagnosticError (PG510).
    """
    selectable = {name: entry for name, entry in manifest.outputs.items() if entry.selectable}
    batch = sizes.get("batch", 1)
    fixed, per_query = manifest.decode_memory.fixed, max(manifest.decode_memory.per_query, 1)
    if memory is None or not counts:
        totals = {
            name: prod(evaluate(size, sizes) for size in entry.asked)
            for name, entry in selectable.items()
        }
        chunk = sum(_sizes(totals, manifest.chunks).values())
        if manifest.memory is not None:
            chunk = min(chunk, manifest.memory.chunk_queries)
        return min(chunk, manifest.decode_memory.usual_queries(batch, cached=cached))
    unasked = len(selectable) - len(counts)  # each takes a query along
    least = batch * (fixed + per_query * len(selectable))
    if memory < least:
        raise DiagnosticError.of(
            "PG510",
            f"a memory budget of {format_size(memory)} is too small: decoding a query of each "
            f"output takes {format_size(least)}",
            notes=[
                f"batch {batch}: {format_size(fixed)} and {format_size(per_query)} a query, each"
            ],
            help=setting("--memory", f"{least}B", f"memory={least}")
            + ("" if batch == 1 else ", or a smaller batch"),
        )
    return (memory // batch - fixed) // per_query - unasked
