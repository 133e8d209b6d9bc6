"""The form of a catalogue entry, shared by the files that hold them."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Entry:
    """What `perceiver-graph explain CODE` prints.

    Examples are excerpts of a spec in YAML (whole top-level keys), or commands when they start with `$`.
    """

    code: str
    title: str
    explanation: str
    example_bad: str
    example_good: str
