"""What an unquoted word of YAML stands for: the core schema of YAML 1.2, section 10.3.

YAML 1.1, which PyYAML resolves by, makes `on` true, `010` eight, `12:30` 750 and leaves `1e-3` a
text.
"""

from __future__ import annotations

import math
import re

from perceiver_graph import limits

_NULL = frozenset(("", "~", "null", "Null", "NULL"))
_BOOL = {
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}
_DECIMAL = re.compile(r"[-+]?[0-9]+")
_OCTAL = re.compile(r"0o([0-7]+)")
_HEXADECIMAL = re.compile(r"0x([0-9a-fA-F]+)")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_INFINITY = re.compile(r"([-+]?)\.(inf|Inf|INF)")
_NAN = frozenset((".nan", ".NaN", ".NAN"))

Scalar = str | int | float | bool | None


class NumberTooLargeError(ValueError):
    """An integer of more than a hundred digits, or a decimal beyond the range of a float."""


def resolve(word: str) -> Scalar:
    """The value of a plain scalar. Raises NumberTooLargeError."""
    if word in _NULL:
        return None
    if word in _BOOL:
        return _BOOL[word]
    for pattern, base in ((_DECIMAL, 10), (_OCTAL, 8), (_HEXADECIMAL, 16)):
        if pattern.fullmatch(word):
            if len(word) > limits.DIGITS:
                raise NumberTooLargeError(word[: limits.DIGITS])
            return int(word, base)
    if _FLOAT.fullmatch(word):
        value = float(word)
        if math.isinf(value):
            raise NumberTooLargeError(word[: limits.DIGITS])
        return value
    if infinity := _INFINITY.fullmatch(word):
        return float(f"{infinity[1]}inf")
    if word in _NAN:
        return math.nan
    return word
