"""`Dim` against plain integers: whatever the algebra says must hold for every permitted size."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import product as cartesian
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from perceiver_graph.compiler.dims import (
    Dim,
    NotDivisible,
    Symbol,
    Undecidable,
    check_symbol,
    format_shape,
    max_dim,
    product,
    shape_of,
)

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
    entries = re.findall(r"`(\w+): \{multiple_of: (\d+)\}`", refusal.hint)
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


@given(expressions(3))
def test_max_is_the_largest_for_every_evaluation(
    drawn: tuple[list[Symbol], list[Expression]],
) -> None:
    scope, items = drawn
    try:
        largest = max_dim([item.dim for item in items])
    except Undecidable:
        return
    for sizes in all_bindings(scope):
        assert largest.evaluate(sizes) == max(item.plain(sizes) for item in items)


@given(scopes(), st.integers(-3, 60))
def test_check_symbol_agrees_with_the_declaration(scope: list[Symbol], value: int) -> None:
    for symbol in scope:
        allowed = (
            value >= symbol.min
            and (symbol.max is None or value <= symbol.max)
            and value % symbol.multiple_of == 0
        )
        assert (check_symbol(symbol, value) is None) == allowed


@pytest.mark.parametrize(
    ("dim", "text"),
    [
        (8 * batch + 1, "8*batch + 1"),
        (time.exact_div(16), "time/16"),
        (3 * time.exact_div(16), "3*time/16"),
        (time.exact_div(4) * 2, "time/2"),
        (time * time.exact_div(16) - 1, "time*time/16 - 1"),
        (3 - batch, "-batch + 3"),
        (length * batch + time * batch - length, "batch*length + batch*time - length"),
        (batch - batch, "0"),
        (Dim.of(-2), "-2"),
    ],
)
def test_texts(dim: Dim, text: str) -> None:
    assert str(dim) == text
    assert repr(dim) == f"Dim({text})"
    assert Dim.parse(text, SYMBOLS) == dim


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is not a size"),
        ("batch +", "is not a size"),
        ("8 batch", "is not a size"),
        ("batch**2", "is not a size"),
        ("(batch)", "is not a size"),
        ("1.5", "is not a size"),
        ("batch; import os", "is not a size"),
        ("8*btach", "`btach` in `8*btach` is not a declared dim (declared: batch, length, time)"),
        ("length/16", "declare `length: {multiple_of: 16}`"),
        ("batch/0", "the divisor is zero"),
    ],
)
def test_text_that_is_no_size_is_refused(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        Dim.parse(text, SYMBOLS)


def test_spaces_are_free() -> None:
    assert Dim.parse("  -2*batch+time / 16 ", SYMBOLS) == time.exact_div(16) - 2 * batch


@pytest.mark.parametrize(
    ("dividend", "divisor", "hint"),
    [
        (length, 16, "declare `length: {multiple_of: 16}`"),
        (time, 64, "declare `time: {multiple_of: 64}`"),
        (batch * time, 24, "declare `time: {multiple_of: 48}`"),
        (batch + length, 2, "declare `batch: {multiple_of: 2}` and `length: {multiple_of: 2}`"),
        (time + 1, 16, "1 is not a multiple of 16, but 0 and 16 are"),
        (Dim.of(1026), 8, "1026 is not a multiple of 8, but 1024 and 1032 are"),
        (batch * time, length, "`length` is not a factor of it"),
        (batch, 0, "the divisor is zero"),
    ],
)
def test_refused_division_says_what_would_work(
    dividend: Dim, divisor: int | Dim, hint: str
) -> None:
    with pytest.raises(NotDivisible) as caught:
        dividend.exact_div(divisor)
    assert caught.value.hint == hint
    assert str(caught.value) == f"`{dividend}` is not divisible by `{divisor}`: {hint}"


def test_a_division_that_needs_more_than_terms_is_refused() -> None:
    with pytest.raises(NotDivisible):
        (batch * (batch + 1)).exact_div(2)


def test_comparisons_use_ranges_and_cancel_terms() -> None:
    assert time <= 512
    assert not time > 512
    assert batch * 10**400 >= 10**400
    assert batch * batch >= batch
    assert batch * time > batch
    assert batch + length > batch
    assert time.exact_div(16) <= 32


def test_open_comparison_names_the_symbols_to_narrow() -> None:
    with pytest.raises(Undecidable) as caught:
        assert batch * time <= 512
    assert str(caught.value) == (
        "`batch*time <= 512` holds only for some sizes: "
        "declare a narrower range for `batch`, `time`"
    )


def test_bounds() -> None:
    assert time.bounds() == (16, 512)
    assert (8 * batch + 1).bounds() == (9, None)
    assert (Dim.of(Symbol("n", min=10, max=31, multiple_of=8)) * 2).bounds() == (32, 48)
    with pytest.raises(Undecidable, match="`-batch` has no lower bound"):
        (-batch).bounds()


def test_max_dim() -> None:
    assert max_dim(shape_of(700, 704, 243)) == 704
    assert max_dim([batch, length, batch + length]) == batch + length
    with pytest.raises(Undecidable, match=re.escape("none of [batch, length] is always the")):
        max_dim([batch, length])


def test_shapes() -> None:
    shape = shape_of(BATCH, 784, Dim.of(512))
    assert format_shape(shape) == "[batch, 784, 512]"
    assert product(shape) == batch * 784 * 512
    assert product(()) == 1
    assert shape == shape_of(batch, 784, 512)


def test_symbolic_size_is_not_an_integer() -> None:
    assert not batch.is_constant
    assert batch.value is None
    assert (batch * time + length).symbols == {BATCH, TIME, LENGTH}
    with pytest.raises(ValueError, match=re.escape("`8*batch` is symbolic")):
        int(8 * batch)


@pytest.mark.parametrize("value", [1.5, "8", None])
def test_only_integers_and_sizes_mix(value: Any) -> None:
    assert batch != value
    with pytest.raises(TypeError):
        operator.add(batch, value)
    with pytest.raises(TypeError):
        operator.lt(Dim.of(1), value)


def test_evaluation_needs_permitted_sizes() -> None:
    with pytest.raises(ValueError, match="`batch \\+ 1` needs a size for `batch`"):
        (batch + 1).evaluate({"time": 16})
    with pytest.raises(ValueError, match="`time` is 20, but must be a multiple of 16"):
        time.exact_div(16).evaluate({"time": 20})


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (8, "`time` is 8, but must be a multiple of 16, 16..512"),
        (528, "`time` is 528, but must be a multiple of 16, 16..512"),
        (500, "`time` is 500, but must be a multiple of 16, 16..512"),
    ],
)
def test_check_symbol_says_what_is_permitted(value: int, message: str) -> None:
    assert check_symbol(TIME, value) == message
    assert check_symbol(BATCH, 0) == "`batch` is 0, but must be at least 1"


def test_one_name_cannot_stand_for_two_declarations() -> None:
    other = Dim.of(Symbol("batch", max=8))
    assert other != batch
    for op in (operator.add, operator.sub, operator.mul, operator.lt):
        with pytest.raises(ValueError, match="different declarations"):
            op(other, batch)


@pytest.mark.parametrize(
    ("name", "low", "high", "multiple_of", "message"),
    [
        ("two words", 1, None, 1, "cannot name a dim"),
        ("2d", 1, None, 1, "cannot name a dim"),
        ("n", 0, None, 1, "must be at least 1"),
        ("n", 1, None, 0, "must be at least 1"),
        ("n", 9, 8, 1, "no multiple of 1 in 9..8"),
        ("n", 17, 31, 16, "no multiple of 16 in 17..31"),
    ],
)
def test_impossible_declarations_are_refused(
    name: str, low: int, high: int | None, multiple_of: int, message: str
) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        Symbol(name, low, high, multiple_of)
