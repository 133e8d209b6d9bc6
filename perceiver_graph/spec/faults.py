"""One error that pydantic found, with what the models allow at its place, and what would be right."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from pydantic_core import ErrorDetails

from perceiver_graph.diagnostics.text import quote
from perceiver_graph.spec.forms import form, glued
from perceiver_graph.spec.grammar import Schema, one_of
from perceiver_graph.spec.hints import left_out
from perceiver_graph.spec.scalars import NumberTooLargeError, resolve
from perceiver_graph.spec.size_advice import size_help
from perceiver_graph.spec.spans import Path
from perceiver_graph.spec.wording import dotted

_SWITCHES = {"on": "true", "yes": "true", "y": "true", "off": "false", "no": "false", "n": "false"}


@dataclass(frozen=True)
class Fault:
    """One validation error with what is known about its place."""

    details: ErrorDetails
    path: Path  # in the file: without union tags
    is_key: bool  # the key itself is wrong, not its value
    rule: Schema | None  # what the models allow here
    parent: Schema | None

    @property
    def type(self) -> str:
        return self.details["type"]

    @property
    def value(self) -> Any:
        return self.details["input"]

    @property
    def context(self) -> dict[str, Any]:
        return self.details.get("ctx", {})

    @property
    def name(self) -> str:
        return dotted(self.path)


def type_help(fault: Fault, written: str, data: Any) -> str | None:
    """How to write a value of the wrong type, which the file has as `written`."""
    value = fault.value
    number = _number(value) if isinstance(value, str) else value
    if fault.type == "size":
        if type(number) is int and number > 0 and isinstance(value, str):
            return f"remove the quotes: `{value}`"
        return size_help(value, str(fault.path[-1])) or form(fault.rule, fault.path, data)
    return _type_help(fault, number, written, data)


def _type_help(fault: Fault, number: Any, written: str, data: Any) -> str | None:
    """The same for what is no size; `number` is what it would be without quotes."""
    kind, value = fault.rule.kind if fault.rule else "", fault.value
    if type(number) is float and kind == "int" and number.is_integer() and number < 1e15:
        return f"write `{number:.0f}`"
    if (
        type(number) in (int, float)
        and isinstance(value, str)
        and kind in (type(number).__name__, "float")
    ):
        return f"remove the quotes: `{value}`"
    if kind == "bool" and isinstance(value, str) and value.lower() in _SWITCHES:
        return f"write `{_SWITCHES[value.lower()]}`"
    if kind == "str" and isinstance(value, int | float):
        return f'put it in quotes: "{written}"'
    better = form(fault.rule, fault.path, data)
    if kind == "list" and not better and fault.type != "counted":
        if value and isinstance(value, dict):
            return "make it a list by putting `- ` before each entry"
        return f"write a list: `{fault.path[-1]}: [...]`"
    if kind == "model" and (apart := glued(value)):
        return apart
    if better:
        return better
    if kind == "model" and fault.rule and isinstance(value, str):
        keys = f"its keys are {', '.join(map(quote, fault.rule.keys))}"
        return left_out(fault.value, fault.path, fault.parent) or f"write a mapping; {keys}"
    if kind == "model" and fault.rule and (value is None or value is True):
        required = fault.rule.required
        return (
            f"give it the key {one_of(required[:1])}" if required else "write `{}` for the defaults"
        )
    return None


def _number(text: str) -> Any:
    """What a text would be without its quotes."""
    try:
        return resolve(text)
    except NumberTooLargeError:
        return text
