"""What fields of a manifest are made of: names, numbers, sizes."""

from __future__ import annotations

import re
from typing import Annotated, Any

from pydantic import BeforeValidator, Field
from pydantic_core import PydanticCustomError

from perceiver_graph import limits
from perceiver_graph.spec.models.base import Axis

Dotted = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_.]{0,159}$")]
"""A name of the spec, or one made of it: `image.position`, `image_queries`."""
WholeNumber = Annotated[int, Field(ge=0, le=2**62)]
Words = Annotated[str, Field(max_length=10_000)]
"""A text for people, or the name of a tensor."""
_MANY_DIGITS = re.compile(r"[0-9]{16}")


def _size(value: Any) -> Any:
    """A number, or an expression of symbols that is quick to compute."""
    if isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= limits.SIZE:
        return value
    if isinstance(value, str) and len(value) <= 1000 and not _MANY_DIGITS.search(value):
        return value
    raise PydanticCustomError(
        "size", f"expected a size, 1 to {limits.SIZE}, or an expression of symbols"
    )


Size = Annotated[int | str, BeforeValidator(_size)]
Shape = Annotated[list[Size], Field(max_length=16)]
Axes = Annotated[list[Axis], Field(max_length=16)]
