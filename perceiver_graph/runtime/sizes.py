"""Evaluates sizes as the manifest writes them: a number, a symbol, or a sum of products."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from fractions import Fraction

from perceiver_graph.diagnostics import DiagnosticError, quote
from perceiver_graph.spec.arithmetic import NotASize, calculate, words


def evaluate(size: int | str, values: Mapping[str, int]) -> int:
    """The size, for instance 385 of `3*time/16 + 1` where `time` is 2048.

    Raises DiagnosticError (PG403) for a size that is no such expression of known symbols, or no
    whole number.
    """
    if isinstance(size, int):
        return size
    if size in values:
        return values[size]

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


def symbols(shape: Iterable[int | str]) -> list[str]:
    """The symbols in the sizes of a shape, in order."""
    return [word for size in shape if isinstance(size, str) for word in words(size)]
