"""`Dim` by example: texts, refusals and what their messages say. The laws are in test_dims_laws.py."""

from __future__ import annotations

import operator
import re
from typing import Any

import pytest

from perceiver_graph.compiler.ir.dims import (
    Dim,
    NotDivisible,
    Symbol,
    Undecidable,
    format_shape,
    product,
    shape_of,
)
from perceiver_graph.spec.symbols import check_symbol

BATCH = Symbol("batch")
TIME = Symbol("time", min=16, max=512, multiple_of=16)
LENGTH = Symbol("length", max=2048)
SYMBOLS = {symbol.name: symbol for symbol in (BATCH, TIME, LENGTH)}
batch, time, length = (Dim.of(symbol) for symbol in SYMBOLS.values())


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
        ("(batch", "is not a size: a bracket is not closed"),
        ("batch)", "is not a size: `)` stands where"),
        ("8*(batch + )", "is not a size: `)` stands where a number"),
        ("(" * 60 + "batch" + ")" * 60, "is not a size"),
        ("1.5", "is not a size"),
        ("batch; import os", "is not a size"),
        ("8*btach", "`btach` in `8*btach` is not a declared dim (declared: batch, length, time)"),
        ("length/16", "declare `length: {max: 2048, multiple_of: 16}`"),
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
        (length, 16, "declare `length: {max: 2048, multiple_of: 16}`"),
        (time, 64, "declare `time: {min: 64, max: 512, multiple_of: 64}`"),
        (batch * time, 24, "declare `time: {min: 48, max: 480, multiple_of: 48}`"),
        (
            batch + length,
            2,
            "declare `batch: {multiple_of: 2}` and `length: {max: 2048, multiple_of: 2}`",
        ),
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
    n = Dim.of(Symbol("n", max=20))
    assert (n * (21 - n)).bounds() == (20, 110)
    assert (n * n - 20 * n + 101).bounds() == (1, 101)
    with pytest.raises(Undecidable, match="`-batch` has no lower bound"):
        (-batch).bounds()


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
        (8, "`time` is 8, but must be a multiple of 16, 16 to 512"),
        (528, "`time` is 528, but must be a multiple of 16, 16 to 512"),
        (500, "`time` is 500, but must be a multiple of 16, 16 to 512"),
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
