"""One error that pydantic found, with what the models allow at its place, and what would be right."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from pydantic_core import ErrorDetails

from perceiver_graph.diagnostics.text import quote
from perceiver_graph.diagnostics.words import question
from perceiver_graph.spec import wording
from perceiver_graph.spec.around import at
from perceiver_graph.spec.elsewhere import meant
from perceiver_graph.spec.forms import form, glued
from perceiver_graph.spec.grammar import Schema, one_of
from perceiver_graph.spec.hints import left_out
from perceiver_graph.spec.scalars import NumberTooLargeError, resolve
from perceiver_graph.spec.size_advice import size_help, spelled, without_unit
from perceiver_graph.spec.spans import Path
from perceiver_graph.spec.usual import example
from perceiver_graph.spec.wording import dotted

_FILE = re.compile(r"\S+\.[a-z]{2,5}")
_SWITCHES = {"on": "true", "yes": "true", "y": "true", "off": "false", "no": "false", "n": "false"}


BOUNDS = {
    "greater_than": ("more than", "gt"),
    "greater_than_equal": ("at least", "ge"),
    "less_than": ("less than", "lt"),
    "less_than_equal": ("at most", "le"),
    "multiple_of": ("a multiple of", "multiple_of"),
}
LENGTHS = {
    "too_short": "min_length",
    "string_too_short": "min_length",
    "too_long": "max_length",
    "string_too_long": "max_length",
}


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

    @property
    def choices(self) -> tuple[Any, ...]:
        """The words among which one is to be chosen."""
        return self.rule.choices if self.rule else ()

    @property
    def kind(self) -> str:
        """The kind of value that belongs here; where a number may be for all or each, that for all."""
        return self.plain.kind if self.plain else ""

    @property
    def plain(self) -> Schema | None:
        """What the models allow here; where a number may be for all or each, what that for all may be."""
        one = self.rule.child("<all>") if self.rule and "<each>" in self.rule.tags else None
        return one if one and one.takes_number else self.rule


def type_help(fault: Fault, written: str, data: Any) -> str | None:
    """How to write a value of the wrong type, which the file has as `written`."""
    value = fault.value
    number = _number(value) if isinstance(value, str) else value
    if fault.type == "size":
        if type(number) is int and number > 0 and isinstance(value, str):
            return f"remove the quotes: `{value}`"
        if told := without_unit(value, at(data, ("dims",))):
            return told
        return size_help(value, str(fault.path[-1])) or form(fault.rule, fault.path, data)
    return _type_help(fault, number, written, data)


def _type_help(fault: Fault, number: Any, written: str, data: Any) -> str | None:
    """The same for what is no size; `number` is what it would be without quotes."""
    kind, value = fault.kind, fault.value
    if kind in ("int", "float") and (told := _number_help(fault, number, data)):
        return told
    if kind == "bool" and isinstance(value, str) and value.lower() in _SWITCHES:
        return f"write `{_SWITCHES[value.lower()]}`"
    if kind == "str" and isinstance(value, int | float):
        return f'put it in quotes: "{written}"'
    better = form(fault.rule, fault.path, data)
    if kind == "list" and not better and fault.type != "counted":
        if value and isinstance(value, dict):
            return "make it a list by putting `- ` before each entry"
        told = f"write a list: `{fault.path[-1]}: [...]`"
        is_file = isinstance(value, str) and _FILE.fullmatch(value)
        return f"{told}; what is in a file is not read here" if is_file else told
    if kind == "model" and (apart := glued(value)):
        return apart
    if fault.path == ("layers",) and type(value) is int:
        return f"write `layers: {value}` under `process`; here is how all of them are built"
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


def _number_help(fault: Fault, number: Any, data: Any) -> str | None:
    """How to write a number; None for what is nearly none."""
    kind, value = fault.kind, fault.value
    if type(number) is float and kind == "int" and number.is_integer() and number < 1e15:
        return f"write `{number:.0f}`"
    if not isinstance(value, str):
        return example(fault.path, data) if isinstance(value, bool) else None
    if type(number) in (int, float) and kind in (type(number).__name__, "float"):
        return f"remove the quotes: `{value}`"
    found = spelled(value)
    if found is None or (kind == "int" and found.denominator != 1):
        return left_out(value, fault.path, fault.parent) or example(fault.path, data)
    node = fault.plain.node if fault.plain else {}
    allowed = node.get("ge", found) <= found <= node.get("le", found)
    allowed = allowed and not (
        found <= node.get("gt", found - 1) or found >= node.get("lt", found + 1)
    )
    return f"write `{found if kind == 'int' else f'{float(found):g}'}`" if allowed else None


def _number(text: str) -> Any:
    """What a text would be without its quotes."""
    try:
        return resolve(text)
    except NumberTooLargeError:
        return text


def expected_range(fault: Fault) -> str:
    """The limit that is passed, and the one at the other end."""
    if fault.type not in BOUNDS:
        return "a finite number"
    words, key = BOUNDS[fault.type]
    node = fault.rule.node if fault.rule else {}
    other = ("lt", "le") if key in ("gt", "ge") else ("gt", "ge")
    limits = {key: f"{words} {wording.number(fault.context[key])}"} | {
        limit: f"{word} {wording.number(node[limit])}"
        for word, limit in BOUNDS.values()
        if limit in other and limit in node
    }
    return " and ".join(limits[limit] for limit in sorted(limits))


def expected_length(fault: Fault) -> str:
    """How long it must be, and is."""
    limit = fault.context[LENGTHS[fault.type]]
    words = "at least" if LENGTHS[fault.type] == "min_length" else "at most"
    unit = "character" if isinstance(fault.value, str) else "entry"
    units = unit if limit == 1 else {"character": "characters", "entry": "entries"}[unit]
    return f"{quote(fault.name)} must have {words} {limit} {units}, found {len(fault.value)}"


def out_of_range_help(fault: Fault, data: Any) -> str | None:
    """How a share is written that was given in percent; else a number that is in the range."""
    node, value = fault.rule.node if fault.rule else {}, fault.value
    share = 1 in (node.get("lt"), node.get("le")) and type(value) in (int, float)
    percent = share and 1 < value < 100 and value == int(value)
    if percent:
        return f"{value:g} % is `{value / 100:g}`"
    if told := example(fault.path, data):
        return told
    nearest = node.get("ge") if value < node.get("ge", value) else node.get("le")
    return (
        None
        if nearest is None or value == nearest
        else f"the nearest is `{wording.number(nearest)}`"
    )


def choice_help(fault: Fault) -> str | None:
    """What most write where one of several words belongs, and none of them was meant."""
    default = fault.parent.default(str(fault.path[-1])) if fault.parent and fault.path else None
    if default in fault.choices:
        return f"write `{fault.path[-1]}: {default}`, as it is where it is left out"
    if len(fault.choices) == 1:
        return f"write `{fault.path[-1]}: {fault.choices[0]}`"
    return None


def word_help(fault: Fault) -> str | None:
    """The alternative that may stand alone, as a word, and was meant."""
    words = fault.rule.words if fault.rule else ()
    return question(meant(fault.value, words)) if isinstance(fault.value, str) else None


def has(data: Any, part: str | int) -> bool:
    """Whether there is such a key, or such an item."""
    if isinstance(data, dict):
        return part in data
    return isinstance(data, list) and isinstance(part, int) and 0 <= part < len(data)
