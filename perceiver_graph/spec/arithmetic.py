"""Arithmetic on sizes: `5 * length`, `(length + 1) / 2`.

One grammar for specs, for the text of the IR and for manifests; what a symbol is, and when a division
is allowed, is up to the caller.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, TypeVar

Number = TypeVar("Number")

_TOKEN = re.compile(r"\s*(?:([0-9]+|[^\W\d]\w*)|([-+*/()]))")
_DEEPEST = 50
"""Brackets in brackets: no size of a model has so many."""


class NotASize(ValueError):  # noqa: N818 - read as "except NotASize"
    """A text that is no expression; `why` says what is wrong with it."""

    def __init__(self, text: str, why: str) -> None:
        self.why = why
        super().__init__(f"`{text}` is not a size: {why}")


def calculate(
    text: str, operand: Callable[[str], Any], divide: Callable[[Any, Any], Any] | None = None
) -> Any:
    """The value of sums, products, quotients and brackets; `NotASize` for what is none.

    `operand` says what a word, a number or a name, stands for. `divide` is the division, `/` of the
    operands themselves by default.
    """
    return _Reader(text, operand, divide or (lambda left, right: left / right)).whole()


def words(text: str) -> list[str]:
    """The names in an expression, each once and in order."""
    found = (word for word, _ in _TOKEN.findall(text))
    return list(dict.fromkeys(word for word in found if word and not word.isdecimal()))


class _Reader:
    """Reads an expression from left to right."""

    def __init__(
        self, text: str, operand: Callable[[str], Any], divide: Callable[[Any, Any], Any]
    ) -> None:
        self.text = text
        self.operand = operand
        self.divide = divide
        self.tokens: list[str] = []
        place, end = 0, len(text.rstrip())
        while place < end:
            match = _TOKEN.match(text, place)
            if match is None:
                raise NotASize(self.text, f"{text[place:].strip()[0]!r} has no meaning in a size")
            self.tokens.append(match[1] or match[2])
            place = match.end()
        self.tokens.reverse()  # the next one is the last

    def whole(self) -> Any:
        value = self.sum(0)
        if self.tokens:
            raise NotASize(
                self.text, f"`{self.tokens[-1]}` stands where `+`, `-`, `*` or `/` could"
            )
        return value

    def sum(self, depth: int) -> Any:
        total = self.product(depth)
        while self.tokens and self.tokens[-1] in "+-":
            operator, term = self.tokens.pop(), self.product(depth)
            total = total + (term if operator == "+" else -term)
        return total

    def product(self, depth: int) -> Any:
        total = self.factor(depth)
        while self.tokens and self.tokens[-1] in "*/":
            operator, factor = self.tokens.pop(), self.factor(depth)
            total = total * factor if operator == "*" else self.divide(total, factor)
        return total

    def factor(self, depth: int) -> Any:
        if not self.tokens:
            raise NotASize(self.text, "a number or a symbol is missing at the end")
        token = self.tokens.pop()
        if token == "-":
            return -self.factor(depth)
        if token == "(" and depth < _DEEPEST:
            value = self.sum(depth + 1)
            if not self.tokens or self.tokens.pop() != ")":
                raise NotASize(self.text, "a bracket is not closed")
            return value
        if token in "+*/()":
            raise NotASize(self.text, f"`{token}` stands where a number or a symbol could")
        return self.operand(token)


def solve(
    size: Callable[[int], int], wanted: int, low: int, high: int | None, step: int
) -> int | None:
    """The value of `low`, `low + step` .. `high` at which `size` is `wanted`, if there is one.

    `size` is as for `reach`.
    """
    found = reach(size, wanted, low, high, step)
    return found if found is not None and size(found) == wanted else None


def reach(
    size: Callable[[int], int], wanted: int, low: int, high: int | None, step: int
) -> int | None:
    """The first value of `low`, `low + step` .. `high` at which `size` is `wanted` or beyond it.

    The last one where it is never so, None where that is not known. `size` rises or falls all the
    way, as the sizes of axes do.
    """
    last = None if high is None else (high - low) // step
    if last == 0:
        return low
    rising = size(low + step) >= size(low)
    first, beyond = 0, 1
    while (last is None or beyond <= last) and (size(low + beyond * step) < wanted) == rising:
        if beyond > 2**40:
            return None
        first, beyond = beyond, 2 * beyond
    beyond = beyond if last is None else min(beyond, last)
    while first < beyond:
        middle = (first + beyond) // 2
        reached = (
            size(low + middle * step) >= wanted if rising else size(low + middle * step) <= wanted
        )
        first, beyond = (first, middle) if reached else (middle + 1, beyond)
    return low + first * step
