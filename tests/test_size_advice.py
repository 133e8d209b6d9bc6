"""What is advised for a size that is none: it is one, of the same value."""

from __future__ import annotations

import re
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perceiver_graph.spec.arithmetic import calculate
from perceiver_graph.spec.models.base import SIZE_PATTERN
from perceiver_graph.spec.size_advice import size_help


@pytest.mark.parametrize(
    ("written", "advice"),
    [
        ("7.5 * seconds", "write `15 * seconds / 2`"),
        ("0.5*n", "write `n / 2`"),
        ("n / 0.5", "write `2 * n`"),
        ("1.5*(n+1)/3", "write `(n + 1) / 2`"),
        ("n // 2", "write `n / 2` (divisions must come out even)"),
        ("ceil(n / 2)", "write `n / 2` (divisions must come out even)"),
        ("n**2", "write `n * n`"),
        ("1e3 * n", "write `1000 * n`"),
        ("16_000*n", "write `16000 * n`"),
        ("2n", "write `2 * n`"),
        ("n \u00d7 2", "write `2 * n`"),
        ("Seconds", "write `seconds`"),
        ("16k", "write `16000`"),
        (1000.0, "write `1000`"),
        (7.5, "a size is a whole number: 7 or 8"),
        ("0.5", "a size is a whole number: 1"),
    ],
)
def test_what_is_advised(written: object, advice: str) -> None:
    assert size_help(written, "time") == advice


@pytest.mark.parametrize("unknown", [None, "-1", "?", "any"])
def test_a_size_that_is_not_known_yet_is_a_symbol(unknown: object) -> None:
    assert "declare `dims: {time: {max: 2048}}` and write `time`" in str(size_help(unknown, "time"))


@pytest.mark.parametrize(
    "written", ["2**n", "-n", "n % 2", "2 * (n", "n / 0", "1e999 * n", "((" * 40]
)
def test_what_cannot_be_written_says_what_can(written: str) -> None:
    help = str(size_help(written, "time"))
    assert "write `" not in help
    assert len(help) > 20


def as_number(text: str, n: Fraction) -> Fraction:
    """An expression with decimals at a value of `n`."""
    exact = re.sub(r"\d+(\.\d+)?", r"Fraction('\g<0>')", text.replace("//", "/"))
    return eval(exact, {"Fraction": Fraction, "n": n})  # type: ignore[no-any-return]


NUMBERS = st.sampled_from(["2", "3", "0.5", "7.5", "1.25", "10.0", "16"])
LEAVES = st.one_of(NUMBERS, st.just("n"))
TEXTS = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        st.builds("{} {} {}".format, inner, st.sampled_from("+*/"), inner),
        st.builds("({} {} {})".format, inner, st.sampled_from("+-*/"), inner),
        st.builds("{}**2".format, LEAVES),
    ),
    max_leaves=5,
)


@given(TEXTS)
def test_what_is_advised_is_a_size_of_the_same_value(text: str) -> None:
    try:
        match = re.search("^write `([^`]*)`", str(size_help(text, "time")))
        value = as_number(text, Fraction(1009))
    except ZeroDivisionError:
        return
    if match:
        assert match[1].isdecimal() or re.fullmatch(SIZE_PATTERN, match[1])
        assert calculate(match[1], lambda w: Fraction(1009 if w == "n" else w)) == value


@given(st.text(alphabet="n1.0e+-*/^()_ kKxé", max_size=12))
def test_any_text_has_an_answer(text: str) -> None:
    size_help(text, "time")
