"""The one list of diagnostic codes: `explain` and docs/diagnostics.md are made from it.

To add a code, add an `Entry` to the file of its range in codes/; a code once released keeps its
meaning.
"""

from __future__ import annotations

import textwrap

from perceiver_graph.diagnostics.codes import (
    artifacts,
    devices,
    extensions,
    files,
    internal,
    positions,
    resolver,
    running,
    syntax,
    weights,
)
from perceiver_graph.diagnostics.codes.entry import Entry

RANGES: dict[str, tuple[Entry, ...]] = {
    "files and YAML text": files.ENTRIES,
    "spec syntax": syntax.ENTRIES,
    "names, shapes and sizes": (*resolver.ENTRIES, *positions.ENTRIES),
    "weights": weights.ENTRIES,
    "artifacts": artifacts.ENTRIES,
    "running": running.ENTRIES,
    "devices and command lines": devices.ENTRIES,
    "extensions": extensions.ENTRIES,
    "internal": internal.ENTRIES,
}

CATALOG: dict[str, Entry] = {entry.code: entry for entries in RANGES.values() for entry in entries}


def explain(code: str, width: int = 88) -> str:
    """The explanation of a code as plain text, its sentences wrapped to so many columns.

    Raises KeyError for a code that is not in the catalogue.
    """
    entry = CATALOG[code.strip().upper()]
    parts = [f"{entry.code}: {entry.title}", textwrap.fill(entry.explanation, width)]
    for heading, example in (("Wrong:", entry.example_bad), ("Right:", entry.example_good)):
        body = "\n".join(f"    {line}".rstrip() for line in example.strip("\n").splitlines())
        parts.append(f"{heading}\n{body}")
    return "\n\n".join(parts) + "\n"


__all__ = ["CATALOG", "RANGES", "Entry", "explain"]
