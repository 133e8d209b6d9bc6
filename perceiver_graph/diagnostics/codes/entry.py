"""The form of a catalogue entry, shared by the files that hold them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self


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

    @classmethod
    def mended(
        cls, code: str, title: str, explanation: str, example: str, wrong: str, right: str
    ) -> Self:
        """One whose example is right with `right` in place of `wrong`, which it has once."""
        return cls(code, title, explanation, example, example.replace(wrong, right))
