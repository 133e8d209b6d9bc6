"""Evaluates sizes as the manifest writes them: a number, a symbol, or a sum of products."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from fractions import Fraction

from perceiver_graph.diagnostics import DiagnosticError, quote
from perceiver_graph.spec.manifest import Dimension

_SIZE = re.compile(r"-?\w+([-+*/]\w+)*")
_STEP = re.compile(r"([-+*/]?)(\w+)")


def evaluate(size: int | str, values: Mapping[str, int]) -> int:
    """The size, for instance 385 of `3*time/16 + 1` where `time` is 2048.

    Raises DiagnosticError (PG403) for a size that is no such expression of known symbols, or no
    whole number.
    """
    if isinstance(size, int):
        return size
    text = size.replace(" ", "")
    if not _SIZE.fullmatch(text):
        raise _bad(size, "is no size")
    total = term = Fraction(0)
    for operator, word in _STEP.findall(text):
        if not word.isdecimal() and word not in values:
            raise _bad(size, f"has the unknown symbol {quote(word)}")
        operand = Fraction(int(word) if word.isdecimal() else values[word])
        if operator == "*":
            term *= operand
        elif operator == "/":
            if not operand:
                raise _bad(size, "divides by zero")
            term /= operand
        else:
            total, term = total + term, -operand if operator == "-" else operand
    total += term
    if total.denominator != 1:
        raise _bad(size, f"is {total}, which is no whole number")
    return int(total)


def _bad(size: str, fault: str) -> DiagnosticError:
    return DiagnosticError.of("PG403", f"the size {quote(size)} {fault}", help="compile again")


def bind(shape: Sequence[int | str], actual: Sequence[int]) -> dict[str, int]:
    """The values of the axes of a shape that are plain symbols."""
    pairs = zip(shape, actual, strict=True)
    return {size: value for size, value in pairs if isinstance(size, str) and size.isidentifier()}


def smallest(dimension: Dimension) -> int:
    """The smallest value that a symbol may take."""
    step = dimension.multiple_of
    return -(-dimension.min // step) * step


def at_least(dimension: Dimension, value: int) -> int | None:
    """The smallest permitted value that is not below `value`, or None if there is none."""
    step = dimension.multiple_of
    found = max(smallest(dimension), -(-value // step) * step)
    return found if dimension.max is None or found <= dimension.max else None


def permitted(dimension: Dimension) -> str:
    """The values that a symbol may take, in words: `a multiple of 8, 8 to 64`."""
    steps = f"a multiple of {dimension.multiple_of}, " if dimension.multiple_of > 1 else ""
    low = smallest(dimension)
    return f"{steps}at least {low}" if dimension.max is None else f"{steps}{low} to {dimension.max}"


def permits(dimension: Dimension, value: int) -> bool:
    """Whether a symbol may take a value."""
    below = dimension.max is None or value <= dimension.max
    return dimension.min <= value and below and value % dimension.multiple_of == 0
