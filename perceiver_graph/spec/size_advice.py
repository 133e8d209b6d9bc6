"""How a size could be written that is none: `15 * seconds / 2` for `7.5 * seconds`.

Sizes are whole numbers, and arithmetic on them that comes out even. What is advised is one as far as its
form goes; whether it comes out even is seen once its symbols are known.
"""

from __future__ import annotations

import re
from fractions import Fraction

from perceiver_graph.spec.arithmetic import calculate
from perceiver_graph.spec.models.base import LARGEST, SIZE_PATTERN

_UNKNOWN = {
    *("-1", "none", "null", "any", "dynamic", "variable", "?", "", "~", "inf", "...", "*", "nan"),
    *("auto", "unknown", "unlimited", "infinity", "varying", "free", "undefined", "-inf"),
}
"""What others write for a size that is known only at run time."""
_FEATURES = {"channel": 3, "width": 512, "count": 256}
"""Sizes that weights have, too: no symbol stands there, or none that inputs do not have."""
_NUMBER = r"\d[\d_]*(?:\.\d*)?(?:e[+-]?\d{1,2})?|\.\d+"
_TOKEN = re.compile(rf"\s*(?:({_NUMBER})(?![\d_.])|(?!e\d)([a-z]\w*)|(\*\*|//|[-+*/()]))", re.ASCII)
_THOUSANDS = {"k": 10**3, "m": 10**6}
_SCALES = {"": 1, **_THOUSANDS, "ki": 2**10, "mi": 2**20}
_UNITS = {"px", "pixels", "hz", "khz"}
_SECONDS = {"s": Fraction(1), "sec": Fraction(1), "ms": Fraction(1, 1000), "min": Fraction(60)}
_A_RATE = 16_000
_WORDS = (
    *("zero", "one", "two", "three", "four", "five", "six"),
    *("seven", "eight", "nine", "ten", "eleven", "twelve"),
)
"""Numbers that are written in letters."""
_ROUNDED = re.compile(r"\b(?:ceil|floor|round|int|math\.\w+)\s*(?=\()")
_LIKE = str.maketrans({"\u00d7": "*", "\u00b7": "*", "\u22c5": "*", "\u00f7": "/", "\u2212": "-"})
_MOST = 4  # the highest power that is written out
_LONGEST = 100  # characters of what is read
_WAYS = (
    "whole numbers and symbols go together by `+`, `-`, `*`, `/` and brackets, and give more than 0"
)


def size_help(value: object, axis: str) -> str | None:
    """What to write in place of a value that is no size; `axis` is the key that it stands at."""
    if isinstance(value, bool | list | dict):
        return None
    if value == 0:
        return "a size is 1 or more"
    if value is None or value == -1 or str(value).strip().lower() in _UNKNOWN:
        if axis in _FEATURES:
            return f"write a number: every example has as many, for example `{axis}: {_FEATURES[axis]}`"
        symbol = axis if re.fullmatch(r"[a-z][a-z0-9_]*", axis) else "length"
        return (
            f"for a size that is known only at run time, declare `dims: {{{symbol}: {{max: 2048}}}}` and "
            f"write `{symbol}`"
        )
    if isinstance(value, float):
        return _whole(Fraction(value)) if abs(value) < LARGEST else None
    if not isinstance(value, str) or len(value) > _LONGEST:
        return None
    try:
        return _of_text(value) or _WAYS
    except ZeroDivisionError:
        return "nothing is divided by 0"


def is_unknown(word: str) -> bool:
    """Whether others write this for a size that is known only at run time."""
    return word.strip().lower() in _UNKNOWN


def spelled(text: str) -> Fraction | None:
    """The number that a text with a unit is: 262000 for `262k`, 1/10 for `10%`, 16000 for
    `16kHz`."""
    plain = text.strip().lower()
    if plain in _WORDS:
        return Fraction(_WORDS.index(plain))
    match = re.fullmatch(rf"({_NUMBER}) ?(k|m|ki|mi|%)?(?:hz)?", _ungrouped(plain))
    if match is None or len(text) > _LONGEST:
        return None
    number = Fraction(match[1].replace("_", ""))
    return number / 100 if match[2] == "%" else number * _SCALES[match[2] or ""]


def _ungrouped(text: str) -> str:
    """`262,000` without what separates its thousands."""
    return text.replace(",", "") if re.fullmatch(r"\d{1,3}(,\d{3})+", text) else text


def without_unit(value: object, symbols: object) -> str | None:
    """What to write for `16px`: a size counts places, whatever they are."""
    match = re.fullmatch(r"(\d{1,9}) ?([a-z]{1,6})", value) if isinstance(value, str) else None
    declared = isinstance(symbols, dict) and match is not None and match[2] in symbols
    if match is None or declared:
        return None
    if seconds := _SECONDS.get(match[2]):
        places = Fraction(match[1]) * seconds * _A_RATE
        return f"a size counts places and has no unit: seconds times the rate, {places} at {_A_RATE} a second"
    if match[2] not in _UNITS:
        return None
    return f"a size counts places and has no unit: write `{match[1]}`"


def _whole(value: Fraction) -> str | None:
    """What to write for a number."""
    if value <= 0 or value > LARGEST:
        return None
    if value.denominator == 1:
        return f"write `{value}`"
    near = [n for n in (int(value), int(value) + 1) if n > 0]
    return f"a size is a whole number: {' or '.join(map(str, near))}"


def _of_text(text: str) -> str | None:
    plain = text.translate(_LIKE).strip().lower().replace("^", "**")
    if (match := re.fullmatch(rf"({_NUMBER}) ?([km])", plain)) and text[-1] in "kKM":
        return _whole(Fraction(match[1].replace("_", "")) * _THOUSANDS[match[2]])
    even = " (divisions must come out even)" if "//" in plain or _ROUNDED.search(plain) else ""
    try:
        written = _Rewriter(_ROUNDED.sub("", plain)).whole()
    except _Exponent as error:
        return str(error)
    except ValueError:
        return None
    if not re.search("[a-z]", written):
        return _whole(calculate(written, Fraction))
    if not re.fullmatch(SIZE_PATTERN, written) or written == text:
        return None
    # A size that is not positive where its symbols are large is none.
    least = calculate(written, lambda word: Fraction(word if word.isdecimal() else 10**6))
    return f"write `{written}`{even}" if least > 0 else None


class _Exponent(Exception):  # noqa: N818 - it is caught where it is raised
    """A power that no product of symbols is."""


class _Rewriter:
    """Reads sums of products of decimal numbers and symbols, and writes them with whole numbers.

    What a number like 7.5 divides by goes to the end of its product, where it is most likely to come
    out even.
    """

    def __init__(self, text: str) -> None:
        self.tokens: list[str] = []
        place = 0
        while place < len(text.rstrip()):
            match = _TOKEN.match(text, place)
            if match is None:
                raise ValueError(text)
            self.tokens.append(match[1] or match[2] or match[3])
            place = match.end()
        self.tokens.reverse()

    def whole(self) -> str:
        found = self._sum()
        if self.tokens:
            raise ValueError(self.tokens)
        return found[1:-1] if re.fullmatch(r"\([^()]*\)", found) else found

    def _next(self) -> str:
        return self.tokens[-1] if self.tokens else ""

    def _sum(self) -> str:
        parts = [self._product()]
        while self._next() in ("+", "-"):
            parts += [self.tokens.pop(), self._product()]
        return " ".join(parts)

    def _product(self) -> str:
        """A number first, then the rest in its order, and the divisors that were made."""
        over, below = Fraction(1), Fraction(1)
        words: list[str] = []
        operator = "*"
        while True:
            number, word = self._power()
            if word:
                alone = operator == "*" or re.fullmatch(r"\([^()]*\)|\w+", word)
                words += [operator, word if alone else f"({word})"]
            elif operator == "*":
                over *= number
            else:
                below *= number
            follows = self._next()
            if follows in ("*", "/", "//"):
                operator = self.tokens.pop()[0]
            elif follows and (follows == "(" or follows[0].isalnum()):  # `2 length`
                operator = "*"
            else:
                break
        number = over / below
        if not words:
            divided = f" / {number.denominator}" if number.denominator > 1 else ""
            return f"{number.numerator}{divided}"
        if number.numerator != 1 or words[0] == "/":
            words = ["*", str(number.numerator), *words]
        if number.denominator > 1:
            words += ["/", str(number.denominator)]
        return " ".join(words[1:])

    def _power(self) -> tuple[Fraction, str]:
        """A number, or the text of something else."""
        number, word = self._factor()
        if self._next() != "**":
            return number, word
        self.tokens.pop()
        power, named = self._factor()
        if named or power.denominator != 1 or not 1 <= power <= _MOST:
            raise _Exponent("a size has no such power: declare a symbol for the size itself")
        times = int(power)
        return (number**times, "") if not word else (number, " * ".join([word] * times))

    def _factor(self) -> tuple[Fraction, str]:
        token = self.tokens.pop() if self.tokens else ""
        if token == "(":
            inside = self._sum()
            if not self.tokens or self.tokens.pop() != ")":
                raise ValueError("a bracket is not closed")
            alone = re.fullmatch(r"[0-9]+|[a-z]\w*", inside)
            return self._read(inside) if alone else (Fraction(1), f"({inside})")
        return self._read(token)

    def _read(self, token: str) -> tuple[Fraction, str]:
        if re.fullmatch(r"[a-z]\w*", token):
            return Fraction(1), token
        return Fraction(token.replace("_", "")), ""
