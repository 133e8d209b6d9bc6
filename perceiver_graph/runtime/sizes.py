"""Shows and evaluates sizes as the manifest writes them: a number, a symbol, or a sum of products."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction

from perceiver_graph.diagnostics import DiagnosticError, quote
from perceiver_graph.spec.arithmetic import NotASize, calculate
from perceiver_graph.spec.manifest import Dimension


def evaluate(size: int | str, values: Mapping[str, int]) -> int:
    """The size, for instance 385 of `3*time/16 + 1` where `time` is 2048.

    Raises DiagnosticError (PG403) for a size that is no such expression of known symbols, or no
    whole number.
    """
    if isinstance(size, int):
        return size

    def operand(word: str) -> Fraction:
        if not word.isdecimal() and word not in values:
            raise _bad(size, f"has the unknown symbol {quote(word)}")
        return Fraction(int(word) if word.isdecimal() else values[word])

    try:
        total: Fraction = calculate(size, operand)
    except NotASize as error:
        raise _bad(size, f"cannot be read: {error.why}") from error
    except ZeroDivisionError as error:
        raise _bad(size, "divides by zero") from error
    if total.denominator != 1:
        raise _bad(size, f"is {total}, which is no whole number")
    return int(total)


def _bad(size: str, fault: str) -> DiagnosticError:
    return DiagnosticError.of("PG403", f"the size {quote(size)} {fault}", help="compile again")


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
