"""Numbers where a key belongs: `{3}`, and what follows the comma in `2,500`."""

from __future__ import annotations

import re

from perceiver_graph.diagnostics.model import Span

_ALONE_IN = {
    "head": "linear: %",
    "shape": "channel: %",
    "latents": "count: %, width: 512",
    "process": "layers: %, heads: 8",
    "encode": "heads: %",
    "decode": "heads: %",
    "fourier": "bands: %",
    "learned": "width: %",
    "padding": "min: %",
    "bottleneck": "variational: %",
    "embedding": "vocabulary: 262, width: %",
}
"""What a mapping most likely is of which only a number is there."""
_GROUPED = re.compile(r"([A-Za-z_]\w*: *)?(\d{1,3}(?:,\d{3})+)(?!\d)")
_ALONE = re.compile(r"([A-Za-z_]\w*): *\{ *(\d+) *\}")


def instead_of_a_number(span: Span) -> str | None:
    """What to write for a number that stands where a key does; None for what is no number by itself."""
    lines = span.source.lines
    line = lines[span.start_line - 1] if span.start_line <= len(lines) else ""
    at = span.start_col - 1
    for match in _GROUPED.finditer(line):
        if match.start(2) < at < match.end(2):
            whole = match[2].replace(",", "")
            return f"write `{match[1] or ''}{whole}`, without what separates thousands"
    for match in _ALONE.finditer(line):
        if match.start(2) <= at < match.end(2):
            key, number = match.groups()
            inside = _ALONE_IN.get(key, "").replace("%", number)
            return f"write `{key}: {{{inside}}}`" if inside else f"write `{key}: {number}`"
    return None
