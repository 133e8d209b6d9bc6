"""Names of parameters in other libraries."""

from __future__ import annotations

import re
from collections.abc import Iterable

Rules = tuple[tuple[str, tuple[str, ...]], ...]
"""Patterns with what stands in their place elsewhere, applied one after the other; several
replacements are alternatives."""


def renamed(name: str, rules: Rules) -> list[str]:
    """What rules make of a name."""
    found = [name]
    for pattern, replacements in rules:
        found = [
            re.sub(pattern, new, old)
            for old in found
            for new in (replacements if re.search(pattern, old) else (r"\g<0>",))
        ]
    return found


def same_but_for_ones(shape: Iterable[int], wanted: Iterable[int]) -> bool:
    """Whether shapes differ in axes of size 1 at most."""
    return [n for n in shape if n != 1] == [n for n in wanted if n != 1]
