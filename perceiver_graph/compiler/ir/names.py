"""Names of parameters in lists that are complete and still fit a screen.

A wrong width makes a hundred tensors misfit; `process.layers.{0..7}.attention.{key, query}.weight`
says it in one line.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

Pattern = tuple[tuple[str, ...], ...]
"""For each part of a dotted name, what may stand there; stands for the product of them."""


def collapse(names: Iterable[str]) -> dict[str, list[str]]:
    """Patterns that together stand for exactly these names, and the names that each stands for.

    Two patterns become one where they differ in a single part.
    """
    groups: dict[Pattern, list[str]] = {}
    for name in names:
        groups.setdefault(tuple((part,) for part in name.split(".")), []).append(name)
    for position in reversed(range(max(map(len, groups), default=0))):
        groups = _merge(groups, position)
    return {".".join(map(_part, pattern)): members for pattern, members in groups.items()}


def _merge(groups: dict[Pattern, list[str]], position: int) -> dict[Pattern, list[str]]:
    """Make one pattern of those that differ at this position only; those too short for it stay."""
    found: dict[tuple[int, Pattern, Pattern], tuple[dict[str, None], list[str]]] = {}
    for pattern, members in groups.items():
        around = (len(pattern), pattern[:position], pattern[position + 1 :])
        alternatives, joined = found.setdefault(around, ({}, []))
        for here in pattern[position : position + 1]:
            alternatives.update(dict.fromkeys(here))
        joined.extend(members)
    return {
        (*before, *([tuple(alternatives)] if alternatives else []), *after): joined
        for (_, before, after), (alternatives, joined) in found.items()
    }


def _part(alternatives: tuple[str, ...]) -> str:
    if len(alternatives) == 1:
        return alternatives[0]
    if all(part.isdecimal() for part in alternatives):
        return f"{{{', '.join(_ranges(sorted(map(int, alternatives))))}}}"
    return f"{{{', '.join(alternatives)}}}"


def _ranges(numbers: Sequence[int]) -> list[str]:
    """[0, 1, 2, 5] -> ["0..2", "5"]."""
    runs: list[list[int]] = []
    for number in numbers:
        if runs and runs[-1][-1] == number - 1:
            runs[-1].append(number)
        else:
            runs.append([number])
    return [str(run[0]) if len(run) == 1 else f"{run[0]}..{run[-1]}" for run in runs]
