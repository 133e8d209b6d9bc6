"""Checks what a manifest says of attention: that scores can be made of what programs give."""

from __future__ import annotations

from collections.abc import Iterator

from perceiver_graph.diagnostics import quote
from perceiver_graph.spec.manifest import Manifest, Port
from perceiver_graph.spec.manifest_attention import AttentionEntry
from perceiver_graph.spec.programs import DECODE_ATTENTION, SHOWS

LATENTS = "latents"


def bad_attention(manifest: Manifest) -> Iterator[str]:
    """What is wrong with the attention that can be shown."""
    found = manifest.attention or {}
    for program in SHOWS:
        if program in manifest.programs and program not in {one.program for one in found.values()}:
            yield f"`{program}` is there, and `attention` says nothing of it"
    for name, entry in found.items():
        what = f"`attention` of {quote(name)}"
        if entry.program not in SHOWS or entry.program not in manifest.programs:
            yield f"{what} is of `{entry.program}`, which shows none"
            continue
        ports = {port.of: port for port in manifest.programs[entry.program].outputs}
        named = [entry.queries, entry.keys, *([entry.mask] if entry.mask else [])]
        if lost := [one for one in named if one not in ports]:
            yield f"{what} is of {quote(lost[0])}, which `{entry.program}` does not give"
            continue
        yield from (f"{what} {fault}" for fault in _bad_shapes(entry, ports))
        yield from (f"{what} {fault}" for fault in _bad_rows(entry, manifest))


def _bad_shapes(entry: AttentionEntry, ports: dict[str, Port]) -> Iterator[str]:
    queries, keys = ports[entry.queries], ports[entry.keys]
    widths = [port.shape[-1] for port in (queries, keys) if len(port.shape) == 3]
    if len(widths) != 2 or not all(isinstance(width, int) for width in widths):
        yield "needs queries and keys with a batch, rows and channels"
        return
    (wide, narrow), (heads, fewer) = map(int, widths), (entry.heads, entry.key_heads)
    if heads % fewer or wide % heads or narrow % fewer or wide // heads != narrow // fewer:
        yield f"has {heads} heads of {fewer}, and queries and keys of {wide} and {narrow} channels"
    if entry.mask and (ports[entry.mask].dtype, ports[entry.mask].shape) != (
        "bool",
        keys.shape[:2],
    ):
        yield "needs a mask for each of its keys"


def _bad_rows(entry: AttentionEntry, manifest: Manifest) -> Iterator[str]:
    for one in (entry.rows, *entry.read):
        if len(one.axes) != len(one.shape):
            yield f"needs one size for each axis of {quote(one.name)}"
    asked = entry.program == DECODE_ATTENTION
    if asked and entry.rows.name not in manifest.outputs:
        yield f"is of {quote(entry.rows.name)}, which is not among `outputs`"
    elif not asked and entry.rows.name != LATENTS:
        yield f"is of {quote(entry.rows.name)}, and it is the latents that read"
