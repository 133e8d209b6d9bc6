"""Names that are given to several: where the second one stands, and how they are told apart."""

from __future__ import annotations

from collections.abc import Sequence


def given_twice(names: Sequence[str]) -> tuple[int, int, str] | None:
    """Where a name stands and where it stands again, and the name; None where each is another one."""
    seen: dict[str, int] = {}
    for index, name in enumerate(names):
        if (first := seen.setdefault(name, index)) != index:
            return first, index, name
    return None


def told_apart(names: Sequence[str]) -> list[str]:
    """The names, numbered where they stand again: `a`, `a (2)`. No two of them are equal."""
    given, counts, found = {*names}, dict[str, int](), list[str]()
    for name in names:
        count = counts.get(name, 0) + 1
        new = name if count == 1 else f"{name} ({count})"
        while count > 1 and new in given:
            count += 1
            new = f"{name} ({count})"
        counts[name] = count
        given.add(new)
        found.append(new)
    return found
