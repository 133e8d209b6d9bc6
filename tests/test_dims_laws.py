"""`Dim` against plain integers: whatever the algebra says must hold for every permitted size."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import product as cartesian

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from perceiver_graph.compiler.ir.dims import (
    Dim,
    NotDivisible,
    Symbol,
    Undecidable,
)
from perceiver_graph.spec.symbols import check_symbol

BATCH = Symbol("batch")
TIME = Symbol("time", min=16, max=512, multiple_of=16)
LENGTH = Symbol("length", max=2048)
SYMBOLS = {symbol.name: symbol for symbol in (BATCH, TIME, LENGTH)}
batch, time, length = (Dim.of(symbol) for symbol in SYMBOLS.values())

Bindings = dict[str, int]


@dataclass
class Expression:
    """A size, and the same size computed with Python integers only."""

    dim: Dim
    plain: Callable[[Bindings], int]


@st.composite
def symbols(draw: st.DrawFn, name: str) -> Symbol:
    multiple_of = draw(st.sampled_from([1, 1, 2, 3, 4, 6]))
    low = draw(st.integers(1, 9))
    span = draw(st.none() | st.integers(multiple_of, 4 * multiple_of))
    return Symbol(name, low, None if span is None else low + span, multiple_of)


@st.composite
def scopes(draw: st.DrawFn) -> list[Symbol]:
    return [draw(symbols(name)) for name in ("a", "b", "c")]


def division_refused(dim: Dim, k: int) -> NotDivisible | None:
    try:
        dim.exact_div(k)
    except NotDivisible as refusal:
        return refusal
    return None


def leaf(draw: st.DrawFn, scope: list[Symbol]) -> Expression:
    if draw(st.booleans()):
        number = draw(st.integers(-9, 9))
        return Expression(Dim.of(number), lambda _: number)
    symbol = draw(st.sampled_from(scope))
    part = draw(st.sampled_from([d for d in (1, 2, 3) if symbol.multiple_of % d == 0]))
    return Expression(Dim.of(symbol).exact_div(part), lambda sizes: sizes[symbol.name] // part)


def expression(draw: st.DrawFn, scope: list[Symbol], depth: int = 3) -> Expression:
    if depth == 0 or draw(st.booleans()):
        return leaf(draw, scope)
    op = draw(st.sampled_from([operator.add, operator.sub, operator.mul]))
    left, right = expression(draw, scope, depth - 1), expression(draw, scope, depth - 1)
    return Expression(
        op(left.dim, right.dim), lambda sizes: int(op(left.plain(sizes), right.plain(sizes)))
    )


@st.composite
def expressions(draw: st.DrawFn, count: int) -> tuple[list[Symbol], list[Expression]]:
    scope = draw(scopes())
    return scope, [expression(draw, scope) for _ in range(count)]


def permitted(symbol: Symbol, many: int = 3) -> list[int]:
    first = -(-symbol.min // symbol.multiple_of) * symbol.multiple_of
    sizes = range(first, first + many * symbol.multiple_of, symbol.multiple_of)
    return [size for size in sizes if symbol.max is None or size <= symbol.max]


def all_bindings(scope: list[Symbol], many: int = 3) -> list[Bindings]:
    names = [symbol.name for symbol in scope]
    choices = cartesian(*(permitted(symbol, many) for symbol in scope))
    return [dict(zip(names, sizes, strict=True)) for sizes in choices]


@given(expressions(3))
def test_ring_laws(drawn: tuple[list[Symbol], list[Expression]]) -> None:
    x, y, z = (item.dim for item in drawn[1])
    assert x + y == y + x
    assert x * y == y * x
    assert (x + y) + z == x + (y + z)
    assert (x * y) * z == x * (y * z)
    assert x * (y + z) == x * y + x * z
    assert x + 0 == 0 + x == x * 1 == 1 * x == x
    assert x - x == 0 == x * 0
    assert x - y == -(y - x)
    assert 7 - x == -(x - 7)


@given(expressions(2))
def test_equal_sizes_have_equal_hashes_and_texts(
    drawn: tuple[list[Symbol], list[Expression]],
) -> None:
    x, y = (item.dim for item in drawn[1])
    for left, right in ((x + y, y + x), (x * y, y * x), (x, x + y - y), (x * (y + 1), x * y + x)):
        assert hash(left) == hash(right)
        assert str(left) == str(right)


@given(expressions(1))
def test_evaluation_agrees_with_integers(drawn: tuple[list[Symbol], list[Expression]]) -> None:
    scope, [x] = drawn
    for sizes in all_bindings(scope):
        assert x.dim.evaluate(sizes) == x.plain(sizes)


@given(expressions(2))
def test_equality_is_equality_of_all_evaluations(
    drawn: tuple[list[Symbol], list[Expression]],
) -> None:
    scope, [x, y] = drawn
    # Without a max, a polynomial of degree 8 at most vanishes at 9 sizes only if it is zero.
    scope = [replace(symbol, max=None) for symbol in scope]
    rebuilt = {symbol.name: symbol for symbol in scope}
    left, right = (Dim.parse(str(item.dim), rebuilt) for item in (x, y))
    always = all(left.evaluate(sizes) == right.evaluate(sizes) for sizes in all_bindings(scope, 9))
    assert (left == right) == always


@given(expressions(1))
def test_text_round_trips(drawn: tuple[list[Symbol], list[Expression]]) -> None:
    scope, [x] = drawn
    declared = {symbol.name: symbol for symbol in scope}
    assert Dim.parse(str(x.dim), declared) == x.dim
    assert str(Dim.parse(str(x.dim), declared)) == str(x.dim)


@given(st.integers())
def test_constants_are_integers(number: int) -> None:
    dim = Dim.of(number)
    assert dim == number
    assert number == dim
    assert hash(dim) == hash(number)
    assert len({number, dim}) == 1
    assert int(dim) == dim.value == dim.evaluate({}) == number
    assert dim.is_constant
    assert not dim.symbols
    assert dim.bounds() == (number, number)
    assert str(dim) == str(number)
    assert bool(dim) == bool(number)


@given(st.integers(), st.integers())
def test_constants_calculate_and_compare_as_integers(a: int, b: int) -> None:
    x = Dim.of(a)
    for op in (operator.add, operator.sub, operator.mul):
        assert op(x, b) == op(a, b) == op(a, Dim.of(b))
    for relation in (operator.lt, operator.le, operator.gt, operator.ge, operator.eq, operator.ne):
        assert relation(x, b) == relation(a, b) == relation(a, Dim.of(b))


@given(st.integers(), st.integers())
def test_constant_division_is_exact_or_refused(a: int, b: int) -> None:
    if b != 0 and a % b == 0:
        assert Dim.of(a).exact_div(b) == a // b
    else:
        with pytest.raises(NotDivisible):
            Dim.of(a).exact_div(b)


@given(scopes(), st.lists(st.integers(-12, 12), min_size=8, max_size=8), st.integers(1, 12))
def test_division_is_accepted_iff_exact_where_each_power_is_one(
    scope: list[Symbol], coefficients: list[int], k: int
) -> None:
    scope = [replace(symbol, max=None) for symbol in scope]
    a, b, c = (Dim.of(symbol) for symbol in scope)
    monomials = [Dim.of(1), a, b, c, a * b, a * c, b * c, a * b * c]
    dim = Dim.of(0)
    for coefficient, monomial in zip(coefficients, monomials, strict=True):
        dim = dim + coefficient * monomial
    # Two neighbouring sizes for each symbol determine every coefficient of such a polynomial.
    exact = all(dim.evaluate(sizes) % k == 0 for sizes in all_bindings(scope, 2))
    if exact:
        assert dim.exact_div(k) * k == dim
    else:
        with pytest.raises(NotDivisible):
            dim.exact_div(k)


@given(expressions(1), st.integers(-8, 8).filter(bool))
def test_accepted_division_is_exact(drawn: tuple[list[Symbol], list[Expression]], k: int) -> None:
    scope, [x] = drawn
    refusal = division_refused(x.dim, k)
    if refusal is not None:
        assert (refusal.dividend, refusal.divisor) == (x.dim, Dim.of(k))
        assert refusal.hint in str(refusal)
        return
    for sizes in all_bindings(scope):
        assert x.dim.exact_div(k).evaluate(sizes) * k == x.plain(sizes)


@given(expressions(2))
def test_division_undoes_multiplication(drawn: tuple[list[Symbol], list[Expression]]) -> None:
    x, y = (item.dim for item in drawn[1])
    assume(y != 0)
    assert (x * y).exact_div(y) == x


@given(expressions(2))
def test_division_by_a_size_is_exact_or_refused(
    drawn: tuple[list[Symbol], list[Expression]],
) -> None:
    x, y = (item.dim for item in drawn[1])
    try:
        quotient = x.exact_div(y)
    except NotDivisible:
        assert x != y or y == 0
    else:
        assert quotient * y == x


@given(expressions(1), st.integers(2, 12))
def test_declaring_what_the_hint_says_makes_the_division_exact(
    drawn: tuple[list[Symbol], list[Expression]], k: int
) -> None:
    scope, [x] = drawn
    declared = {symbol.name: replace(symbol, max=None) for symbol in scope}
    dim = Dim.parse(str(x.dim), declared)
    refusal = division_refused(dim, k)
    assume(refusal is not None)
    assert refusal is not None
    entries = re.findall(r"`(\w+): \{[^}]*multiple_of: (\d+)\}`", refusal.hint)
    assert entries or f"is not a multiple of {k}" in refusal.hint
    assume(entries)
    for name, multiple in entries:
        declared[name] = replace(declared[name], multiple_of=int(multiple))
    again = Dim.parse(str(x.dim), declared)
    assert again.exact_div(k) * k == again


@given(expressions(1))
def test_bounds_contain_every_evaluation(drawn: tuple[list[Symbol], list[Expression]]) -> None:
    scope, [x] = drawn
    try:
        low, high = x.dim.bounds()
    except Undecidable:
        assert any(symbol.max is None for symbol in x.dim.symbols)
        return
    for sizes in all_bindings(scope):
        assert low <= x.plain(sizes)
        assert high is None or x.plain(sizes) <= high


@given(scopes(), st.lists(st.integers(-5, 5), min_size=4, max_size=4))
def test_bounds_are_attained_where_each_symbol_occurs_once(
    scope: list[Symbol], coefficients: list[int]
) -> None:
    scope = [replace(symbol, max=symbol.max or symbol.min + 20) for symbol in scope]
    dim = Dim.of(coefficients[0])
    for coefficient, symbol in zip(coefficients[1:], scope, strict=True):
        dim = dim + coefficient * Dim.of(symbol)
    ends = [(permitted(symbol, 100)[0], permitted(symbol, 100)[-1]) for symbol in scope]
    names = [symbol.name for symbol in scope]
    reached = [dim.evaluate(dict(zip(names, sizes, strict=True))) for sizes in cartesian(*ends)]
    assert dim.bounds() == (min(reached), max(reached))


@pytest.mark.parametrize("relation", [operator.lt, operator.le, operator.gt, operator.ge])
@given(drawn=expressions(2))
def test_decided_comparisons_hold_for_every_evaluation(
    relation: Callable[[object, object], bool],
    drawn: tuple[list[Symbol], list[Expression]],
) -> None:
    scope, [x, y] = drawn
    try:
        answer = relation(x.dim, y.dim)
    except Undecidable:
        return
    for sizes in all_bindings(scope):
        assert relation(x.plain(sizes), y.plain(sizes)) == answer


@given(scopes(), st.integers(-3, 60))
def test_check_symbol_agrees_with_the_declaration(scope: list[Symbol], value: int) -> None:
    for symbol in scope:
        allowed = (
            value >= symbol.min
            and (symbol.max is None or value <= symbol.max)
            and value % symbol.multiple_of == 0
        )
        assert (check_symbol(symbol, value) is None) == allowed
