"""Common ground of the spec models: strictness, names, sizes and keyed alternatives.

pydantic checks the *syntax* of a spec only. Whether names exist, sizes divide and widths match is
decided while the graph is built (`perceiver_graph.compiler.lowering.lower`), which can point at two places.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from typing import Annotated, Any, ClassVar

from pydantic import BaseModel, ConfigDict, Field, StringConstraints
from pydantic.annotated_handlers import GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic.functional_validators import BeforeValidator
from pydantic.json_schema import JsonSchemaValue, WithJsonSchema
from pydantic_core import PydanticCustomError, PydanticKnownError, core_schema

from perceiver_graph import limits
from perceiver_graph.extensions import is_other

LARGEST = limits.SIZE
LARGEST_NUMBER = 1e30  # a few of them can be multiplied in float32
SMALLEST_NUMBER = 1e-30  # above 0, and float32 can be divided by it
NAME_PATTERN = r"^[a-z][a-z0-9_]*$"


class Model(BaseModel):
    """Base of every spec model: unknown keys are errors, nothing is coerced, nothing changes."""

    # Fields are described by the docstrings under them, which spec/descriptions.py reads; schemas
    # are built once, with the root model. Both halve the time to start.
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, defer_build=True)


class Form(Model):
    """One of the forms that a value may have, told apart by the key that names it: `{patch: {...}}`.

    A class that says `what` it is a family of, say "a step", may be the type of a field. Each class
    derived from it is a form: its first field is the key, and defining it is all that it takes. One
    derived from several families is a form of each. Where the key has a default, it may stand alone, as
    a word: `latents` is `{latents: all}`.
    """

    what: ClassVar[str] = ""
    forms: ClassVar[dict[str, type[Form]]] = {}
    """Of a family: each form by its key, in order of definition."""
    key: ClassVar[str] = ""
    is_built: ClassVar[bool] = False
    """Of a family: whether pydantic has made a schema of its forms."""

    @classmethod
    def __pydantic_init_subclass__(cls, **keywords: Any) -> None:
        super().__pydantic_init_subclass__(**keywords)
        if "what" in vars(cls):
            cls.forms, cls.is_built = {}, False
            return
        above = [base for base in cls.__mro__ if issubclass(base, Form) and base is not Form]
        families = [base for base in above if "forms" in vars(base)]
        shared = {name for family in families for name in family.model_fields}
        cls.key = next(name for name in cls.model_fields if name not in shared)
        for family in families:
            before = family.forms.get(cls.key)
            if before and is_other(before, cls):
                raise TypeError(f"{family.what} `{cls.key}` is there already")
            family.forms[cls.key] = cls
            if family.is_built:
                _build_anew()

    @classmethod
    def is_word(cls) -> bool:
        """Whether the key of this form may stand alone."""
        return not cls.model_fields[cls.key].is_required()

    @classmethod
    def __get_pydantic_json_schema__(
        cls, schema: core_schema.CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        """Its key is always there, even if it has a default: it tells the form."""
        found = handler(schema)
        own = handler.resolve_ref_schema(found)
        if cls.key in own.get("properties", {}) and cls.key not in own.get("required", []):
            own["required"] = [cls.key, *own.get("required", [])]
        return found

    @classmethod
    def __get_pydantic_core_schema__(
        cls, source: Any, handler: GetCoreSchemaHandler
    ) -> core_schema.CoreSchema:
        """Of a family: that one of its forms is there.

        Tags are written `<key>` so that they can never be mistaken for a key of the file in the
        location of a validation error. The tag of a word is the word, below which nothing stands.
        """
        if "forms" not in vars(cls):
            return handler(source)
        forms, cls.is_built = cls.forms, True
        words = {key: form for key, form in forms.items() if form.is_word()}

        def tag(value: Any) -> str | None:
            if isinstance(value, dict):
                return next((f"<{key}>" for key in forms if key in value), None)
            if isinstance(value, str):
                return value if value in words else None
            return f"<{value.key}>" if isinstance(value, cls) else None

        choices: dict[str, core_schema.CoreSchema] = {
            f"<{key}>": handler.generate_schema(form) for key, form in forms.items()
        }
        return core_schema.tagged_union_schema(
            choices | {key: _written_as(key, form) for key, form in words.items()},
            tag,
            custom_error_type="unknown_alternative",
            custom_error_message=f"expected {cls.what}: one of {', '.join(forms)}",
        )


def _written_as(word: str, form: type[Form]) -> core_schema.CoreSchema:
    """A form with its defaults, for its key alone."""
    return core_schema.no_info_after_validator_function(
        lambda _: form(), core_schema.literal_schema([word])
    )


def _build_anew() -> None:
    """Let a model whose schema was built already know of a form that was defined since."""
    for model in all_models(Model).values():
        if model.__pydantic_complete__:
            model.model_rebuild(force=True)
    for forget in STALE:
        forget()


STALE: list[Callable[[], object]] = []
"""Forget what was found out about the schema of the models."""


def all_models(model: type[BaseModel]) -> dict[str, type[BaseModel]]:
    """A model and everything derived from it, by class name."""
    found = {model.__name__: model}
    for derived in model.__subclasses__():
        found |= all_models(derived)
    return found


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
MODEL_NAME_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$"
ModelName = Annotated[str, Field(pattern=MODEL_NAME_PATTERN)]
Axis = Name
Count = Annotated[int, Field(ge=1, le=LARGEST)]
NonNegative = Annotated[int, Field(ge=0, le=LARGEST)]
Number = Annotated[float, Field(ge=-LARGEST_NUMBER, le=LARGEST_NUMBER), BeforeValidator(_finite)]
Fraction = Annotated[float, Field(ge=0, lt=1), BeforeValidator(_finite)]
PositiveFraction = Annotated[
    float, Field(gt=0, le=1), BeforeValidator(_positive), BeforeValidator(_finite)
]
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
        "expected a whole number from 1 to {most}, a symbol declared under `dims`, or arithmetic on them "
        "such as `2 * length`",
        {"most": LARGEST},
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
