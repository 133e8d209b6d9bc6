"""Coordinates that the caller gives: how many there are, what they are called, where they lie."""

from __future__ import annotations

import re
from typing import Annotated, Any

from pydantic import BeforeValidator, Discriminator, Field, Tag
from pydantic.json_schema import WithJsonSchema
from pydantic_core import PydanticCustomError

from perceiver_graph.spec.models.base import (
    NAME_PATTERN,
    Axis,
    Count,
    Name,
    Number,
    PositiveNumber,
    counted,
)

MOST = 64
"""Coordinates of a position."""


def _coordinates(value: Any) -> Any:
    """A number, names, or the channels that hold them; one message instead of one per branch."""
    if isinstance(value, dict) and list(value) == ["channel"]:
        value = value["channel"]
    if type(value) is int and 1 <= value <= MOST:
        return value
    named = isinstance(value, list) and all(_is_name(name) for name in value)
    if named and 1 <= len(value) <= MOST and len(set(value)) == len(value):
        return value
    raise PydanticCustomError(
        "coordinates", "expected the names of the coordinates, say `[x, y]`, or how many there are"
    )


def _is_name(value: Any) -> bool:
    if not isinstance(value, str) or len(value) > MOST:
        return False
    return re.fullmatch(NAME_PATTERN, value) is not None


_NAMES = {
    "type": "array",
    "items": {"type": "string", "pattern": NAME_PATTERN, "maxLength": 64},
    "minItems": 1,
    "maxItems": MOST,
    "uniqueItems": True,
}
_COUNT = {"type": "integer", "minimum": 1, "maximum": MOST}

Coordinates = Annotated[
    int | list[str],
    BeforeValidator(_coordinates),
    WithJsonSchema(
        {
            "anyOf": [
                _NAMES,
                _COUNT,
                {
                    "type": "object",
                    "properties": {"channel": _COUNT},
                    "required": ["channel"],
                    "additionalProperties": False,
                },
            ]
        }
    ),
]
"""What the caller gives of a position: names, in the order of the channels, or their number."""


_ENDS = {"min", "max", "least", "greatest", "low", "high", "from", "to", "start", "end", "stop"}


def _all_or_each(kinds: tuple[type, ...], expected: str) -> Discriminator:
    """Tells a value for all from a mapping with one for each."""

    def tag(value: Any) -> str | None:
        if isinstance(value, dict):
            ends = value and list in kinds and _ENDS.issuperset(map(str, value))
            return (
                None if ends and not any(isinstance(v, list) for v in value.values()) else "<each>"
            )
        return "<all>" if type(value) in kinds else None

    return Discriminator(
        tag, custom_error_type="all_or_each", custom_error_message=f"expected {expected}"
    )


Resolution = Annotated[
    Annotated[PositiveNumber, Tag("<all>")] | Annotated[dict[Axis, PositiveNumber], Tag("<each>")],
    _all_or_each((int, float), "a positive number, or one for each axis"),
]
"""A number for all axes or coordinates, or one for each by name."""

Longest = Annotated[
    Annotated[Count, Tag("<all>")] | Annotated[dict[Axis, Count], Tag("<each>")],
    _all_or_each((int,), "a positive number, or one for each axis"),
]
"""How many places there are along the axis, or along each by name."""

Vocabulary = Annotated[
    Annotated[Count, Tag("<all>")]
    | Annotated[dict[Name, Count], Tag("<each>"), Field(min_length=1)],
    _all_or_each((int,), "how many ids there are, or that of each table by its name"),
]
"""How many ids there are, or that of each of several by name."""

Bounds = Annotated[
    list[Number],
    Field(min_length=2, max_length=2),
    counted(2, "the least and the greatest value, say `[0, 24]`"),
]

Range = Annotated[
    Annotated[Bounds, Tag("<all>")] | Annotated[dict[Axis, Bounds], Tag("<each>")],
    _all_or_each((list,), "the least and the greatest value, say `[0, 24]`, or a pair for each"),
]
"""The least and the greatest value of all coordinates, or of each by name."""

Lengths = Annotated[
    list[PositiveNumber],
    Field(min_length=2, max_length=2),
    counted(2, "the shortest and the longest wavelength, say `[0.01, 720]`"),
]
"""The shortest and the longest wave."""

Wavelengths = Annotated[
    Annotated[Lengths, Tag("<all>")] | Annotated[dict[Axis, Lengths], Tag("<each>")],
    _all_or_each(
        (list,), "the shortest and the longest wavelength, say `[0.01, 720]`, or a pair for each"
    ),
]
"""The shortest and the longest wave along all axes or coordinates, or along each by name."""
