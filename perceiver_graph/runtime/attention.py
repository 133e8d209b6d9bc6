"""What a program does that shows its attention: which inputs latents read, which latents outputs read."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from math import prod
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from perceiver_graph.diagnostics import DiagnosticError, quote
from perceiver_graph.diagnostics.calls import answered
from perceiver_graph.diagnostics.commands import command, either
from perceiver_graph.runtime import foreign
from perceiver_graph.runtime.artifact import Artifact
from perceiver_graph.runtime.feeds import Feeds, check_inputs
from perceiver_graph.runtime.programs import Programs, Values
from perceiver_graph.runtime.queries import Asked, Selection, chunk_of, count_of, resolve
from perceiver_graph.runtime.scores import Attention, Rows
from perceiver_graph.runtime.sizes import evaluate
from perceiver_graph.spec.manifest import SPEC_NAME, Manifest
from perceiver_graph.spec.manifest_attention import AttentionEntry, Stretch
from perceiver_graph.spec.programs import ASKED, DECODE_ATTENTION, ENCODE_ATTENTION

MOST_QUERIES = 2**14
"""Queries of an output that are looked at where nobody chooses some."""


class Attending:
    """What a program does that shows its attention."""

    artifact: Artifact
    manifest: Any
    _programs: Programs
    _encoded: Any

    @answered(instead=foreign.inputs_in_one)
    def attention(
        self,
        inputs: Mapping[str, ArrayLike],
        decode: Mapping[str, Selection] | None = None,
        *,
        sizes: Mapping[str, int] | None = None,
    ) -> dict[str, Attention]:
        """What each cross-attend reads, by name: `encode`, or `encode.0` and on of several, and
        `decode.OUTPUT` for each output that reads the latents.

        `inputs`, `decode` and `sizes` are as for `run`. Of an output with more than 16,384 queries of
        which none are chosen, as many are looked at, on a coarser grid. The program has to be compiled
        with attention. Raises DiagnosticError (PG523) where it is not, or an output that is asked for
        reads no latents, and as `encode` and `decode` do.
        """
        manifest = self.manifest
        entries = require_attention(manifest, self.artifact.directory)
        feeds = check_inputs(manifest, inputs, sizes)
        outputs = {e.rows.name: e for e in entries.values() if e.program == DECODE_ATTENTION}
        if decode is not None and (others := [n for n in decode if n not in outputs]):
            known = {name: decode[name] for name in others}
            resolve(manifest, feeds.sizes, known, feeds.points)  # PG506 for what is no output
            raise DiagnosticError.of(
                "PG523",
                f"output {quote(others[0])} reads no latents: nothing of it can be shown",
                help=f"ask for {' or '.join(map(quote, outputs))}" if outputs else "leave it out",
            )
        coarse = {} if decode is not None else dict(_coarse(manifest, outputs, feeds.sizes))
        wanted: dict[str, Selection] = {**(dict.fromkeys(outputs) if decode is None else decode)}
        wanted |= {name: grid.reshape(-1) for name, grid in coarse.items()}
        asked, points = resolve(manifest, feeds.sizes, wanted, feeds.points) if wanted else ({}, {})
        found: Values = {}
        if ENCODE_ATTENTION in manifest.programs:
            given = self._given(ENCODE_ATTENTION, feeds)
            found = self._shown(ENCODE_ATTENTION, given, {}, feeds.sizes)
        if asked:
            ports = [p for p in self._programs[DECODE_ATTENTION].inputs if p.role in ASKED]
            spans = {name: (0, len(one.positions)) for name, one in asked.items()}
            counts = {count_of(p): spans.get(p.of, (0, 1))[1] for p in ports}
            known_sizes = feeds.sizes | counts
            chosen = {p.name: chunk_of(p, asked, points, spans, known_sizes) for p in ports}
            state = self._encoded(feeds)
            given = self._given(DECODE_ATTENTION, feeds) | chosen
            late = self._shown(DECODE_ATTENTION, given, state._values, known_sizes)
            found = {**found, **late}
        return {
            name: _made(name, entry, found, feeds, asked.get(entry.rows.name), coarse)
            for name, entry in entries.items()
            if entry.program == ENCODE_ATTENTION or entry.rows.name in asked
        }

    def _given(self, program: str, feeds: Feeds) -> dict[str, Any]:
        """What a program reads of the inputs."""
        ports = self._programs[program].inputs
        return {p.name: feeds.get(p.role, p.of) for p in ports if p.role not in {*ASKED, "state"}}

    def _shown(
        self, program: str, given: Mapping[str, Any], state: Values, sizes: Mapping[str, int]
    ) -> Values:
        names = [port.of for port in self._programs[program].outputs]
        results, _ = self._programs.run(program, given, state, sizes, fetch=names, give_back=True)
        return results


def require_attention(manifest: Manifest, directory: Any) -> dict[str, AttentionEntry]:
    """What a program shows. Raises DiagnosticError (PG523) where it was not compiled for it."""
    if manifest.attention:
        return manifest.attention
    words = ("compile", directory / SPEC_NAME, "--weights", "WEIGHTS", "--attention", "-o", "DIR")
    again = "perceiver_graph.compile(SPEC, attention=True).save(DIR, weights=WEIGHTS)"
    raise DiagnosticError.of(
        "PG523",
        f"{directory} was compiled without attention",
        help=f"compile it once more: {either(command(*words), again)}",
    )


def _coarse(
    manifest: Manifest, outputs: Mapping[str, AttentionEntry], sizes: Mapping[str, int]
) -> Iterator[tuple[str, NDArray[np.int64]]]:
    """Of each output with too many queries, those of a coarser grid."""
    for name, entry in outputs.items():
        if manifest.outputs[name].selectable and all(_known(d, sizes) for d in entry.rows.shape):
            shape = [evaluate(size, sizes) for size in entry.rows.shape]
            if prod(shape) > MOST_QUERIES:
                yield name, np.ravel_multi_index(np.ix_(*_steps(shape)), shape)


def _known(size: int | str, sizes: Mapping[str, int]) -> bool:
    return isinstance(size, int) or size in sizes


def _steps(shape: list[int]) -> list[NDArray[np.int64]]:
    """Numbers along each axis, so that there are few enough in all: fewer of the longest ones."""
    counts = list(shape)
    while prod(counts) > MOST_QUERIES:
        longest = counts.index(max(counts))
        counts[longest] = -(-counts[longest] // 2)
    pairs = zip(shape, counts, strict=True)
    return [((np.arange(n) * 2 + 1) * size // (2 * n)).astype(np.int64) for size, n in pairs]


def _made(
    name: str,
    entry: AttentionEntry,
    found: Values,
    feeds: Feeds,
    asked: Asked | None,
    coarse: Mapping[str, NDArray[np.int64]],
) -> Attention:
    queries, keys = found[entry.queries].numpy(), found[entry.keys].numpy()
    mask = found[entry.mask].numpy() if entry.mask else None
    read = [_rows(one, feeds.sizes) for one in entry.read]
    if asked is None:
        return Attention(name, _rows(entry.rows, feeds.sizes), read, entry, queries, keys, mask)
    rows = _asked_rows(entry, asked)
    if entry.rows.name in coarse:
        rows = Rows(entry.rows.name, tuple(entry.rows.axes), coarse[entry.rows.name].shape)
    return Attention(name, rows, read, entry, queries, keys, mask, asked.positions)


def _rows(stretch: Stretch, sizes: Mapping[str, int]) -> Rows:
    shape = tuple(evaluate(size, sizes) for size in stretch.shape)
    return Rows(stretch.name, tuple(stretch.axes), shape)


def _asked_rows(entry: AttentionEntry, asked: Asked) -> Rows:
    """The queries that are asked: on the grid of the output, or in a row."""
    axes = tuple(entry.rows.axes)
    whole = len(asked.shape) == len(axes) + 2
    return Rows(entry.rows.name, axes if whole else ("query",), asked.shape[1:-1])
