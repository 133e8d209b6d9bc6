"""Common ground of the spec models: strictness, names, sizes and keyed alternatives.

pydantic checks the *syntax* of a spec only. Whether names exist, sizes divide and widths match is
decided while the graph is built (`perceiver_graph.compiler.lowering.lower`), which can point at two places.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Discriminator, Field, StringConstraints
from pydantic.functional_validators import BeforeValidator
from pydantic.json_schema import WithJsonSchema
from pydantic_core import PydanticCustomError, PydanticKnownError

LARGEST = 2**31 - 1  # sizes and counts stay below what every index type of every backend can hold
LARGEST_NUMBER = 1e30  # a few of them can be multiplied in float32
SMALLEST_NUMBER = 1e-30  # above 0, and float32 can be divided by it
NAME_PATTERN = r"^[a-z][a-z0-9_]*$"


class Model(BaseModel):
    """Base of every spec model: unknown keys are errors, nothing is coerced, nothing changes."""

    # Fields are described by the docstrings under them, which spec/descriptions.py reads; schemas
    # are built once, with the root model. Both halve the time to start.
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, defer_build=True)


def _finite(value: Any) -> Any:
    """Infinity is worth a message of its own, before it is too large."""
    if isinstance(value, float) and not math.isfinite(value):
        raise PydanticCustomError("finite_number", "expected a finite number")
    return value


def _positive(value: Any) -> Any:
    """That 0 is too little says more than that the least float32 is more."""
    if isinstance(value, int | float) and not isinstance(value, bool) and value <= 0:
        raise PydanticKnownError("greater_than", {"gt": 0})
    return value


Name = Annotated[str, StringConstraints(pattern=NAME_PATTERN, max_length=64)]
ModelName = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]
Axis = Name
Count = Annotated[int, Field(ge=1, le=LARGEST)]
NonNegative = Annotated[int, Field(ge=0, le=LARGEST)]
Number = Annotated[float, Field(ge=-LARGEST_NUMBER, le=LARGEST_NUMBER), BeforeValidator(_finite)]
PositiveNumber = Annotated[
    float,
    Field(ge=SMALLEST_NUMBER, le=LARGEST_NUMBER),
    BeforeValidator(_positive),
    BeforeValidator(_finite),
]


_OPERAND = r"[( ]*(?:[0-9]{1,10}|[a-z][a-z0-9_]*)[ )]*"
SIZE_PATTERN = rf"^(?=.*[-+*/a-z]){_OPERAND}(?:[-+*/]{_OPERAND})*$"
"""A symbol, or arithmetic on numbers and symbols; whether brackets match is the resolver's to see."""
_LONGEST_SIZE = 200


def _size(value: Any) -> Any:
    """Accept a positive integer or an expression; one message instead of one per branch."""
    if isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= LARGEST:
        return value
    fits = isinstance(value, str) and len(value) <= _LONGEST_SIZE
    if fits and re.fullmatch(SIZE_PATTERN, value):
        return value
    raise PydanticCustomError(
        "size",
        "expected a positive integer, a symbol declared under `dims`, or arithmetic on them such as "
        "`2 * length`",
    )


Size = Annotated[
    int | str,
    BeforeValidator(_size),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "integer", "minimum": 1, "maximum": LARGEST},
                {"type": "string", "pattern": SIZE_PATTERN, "maxLength": _LONGEST_SIZE},
            ]
        }
    ),
]
"""The length of an axis: a number, or a size known only at run time: `length`, `5 * length + 1`."""


def counted(count: int, expected: str) -> BeforeValidator:
    """A list of so many items; one message for what is no list, too short or too long."""

    def check(value: Any) -> Any:
        nested = isinstance(value, list) and any(isinstance(one, list | dict) for one in value)
        if isinstance(value, list) and len(value) == count and not nested:
            return value
        raise PydanticCustomError("counted", "expected {expected}", {"expected": expected})

    return BeforeValidator(check)


def keyed(what: str, alternatives: Sequence[str]) -> Discriminator:
    """Tell alternatives apart by the key that names them, as in `{fourier: {...}}`.

    Tags are written `<key>` so that they can never be mistaken for a key of the file in the
    location of a validation error.
    """

    def tag(value: Any) -> str | None:
        if isinstance(value, dict):
            return next((f"<{key}>" for key in alternatives if key in value), None)
        fields = getattr(type(value), "model_fields", ())
        return next((f"<{key}>" for key in alternatives if key in fields), None)

    return Discriminator(
        tag,
        custom_error_type="unknown_alternative",
        custom_error_message=f"expected {what}: one of {', '.join(alternatives)}",
    )
