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
from perceiver_graph.spec.forms import form, glued, limits
from perceiver_graph.spec.grammar import Schema, one_of
from perceiver_graph.spec.hints import left_out
from perceiver_graph.spec.preparation import share as crop_help
from perceiver_graph.spec.render import inline
from perceiver_graph.spec.scalars import NumberTooLargeError, resolve
from perceiver_graph.spec.size_advice import size_help, spelled, without_unit
from perceiver_graph.spec.skeletons import skeleton
from perceiver_graph.spec.spans import Path
from perceiver_graph.spec.usual import example, some
from perceiver_graph.spec.wording import dotted

_FILE = re.compile(r"\S+\.[a-z]{2,5}")
_SWITCHES = {"on": "true", "yes": "true", "y": "true", "off": "false", "no": "false", "n": "false"}


_LEAST_PERCENT = 5
_INFINITE = {"inf", "+inf", "-inf", "infinity", "nan", ".inf", ".nan", "-.inf"}
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
    if fault.path[:1] == ("dims",) and len(fault.path) == 2:
        return f"write `{fault.path[1]}: {limits(value)}`"
    if fault.path == ("layers",) and type(value) is int:
        return f"write `layers: {value}` under `process`; here is how all of them are built"
    if better:
        return better
    if kind == "model" and fault.rule and isinstance(value, str):
        keys = f"its keys are {', '.join(map(quote, fault.rule.keys))}"
        return left_out(fault.value, fault.path, fault.parent) or f"write a mapping; {keys}"
    if kind == "model" and fault.rule and (value is None or value is True):
        return _empty(fault.rule, fault.path, data)
    return None


def _empty(rule: Schema, path: Path, data: Any) -> str:
    """How to write a mapping of which nothing is there but its key."""
    key = str(path[-1]) if path and isinstance(path[-1], str) else ""
    if not rule.required:
        return f"write `{key}: {{}}`, for the defaults" if key else "write `{}` for the defaults"
    whole = skeleton(rule, path, data, key)
    if key and "..." not in whole:
        return f"for example `{key}: {whole}`"
    return f"give it the key {one_of(rule.required[:1])}"


def _number_help(fault: Fault, number: Any, data: Any) -> str | None:
    """How to write a number; None for what is nearly none."""
    kind, value = fault.kind, fault.value
    if type(number) is float and kind == "int" and number.is_integer() and number < 1e15:
        return f"write `{number:.0f}`"
    if type(value) is float or str(value).strip().lower() in _INFINITE:
        unlimited = fault.path[-1:] == ("max",) and not str(value).startswith("-")
        left = number_left_out(fault.path, fault.parent)
        return (left if unlimited else None) or example(fault.path, data) or left
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
    if fault.path[-3:] == ("media", "image", "crop"):
        return crop_help(value, at(data, fault.path[:-1]))
    percent = share and _LEAST_PERCENT <= value < 100
    if percent:
        return f"{value:g} % is `{value / 100:g}`"
    if told := example(fault.path, data) or number_left_out(fault.path, fault.parent):
        return told
    nearest = node.get("ge") if value < node.get("ge", value) else node.get("le")
    # What only keeps numbers from overflowing is none that anybody means.
    meant_so = nearest is not None and value != nearest and 1e-6 <= abs(nearest) <= 1e6
    return (
        f"the nearest is `{wording.number(nearest)}`" if meant_so and nearest is not None else None
    )


def number_left_out(path: Path, parent: Schema | None) -> str | None:
    """That a number may be left out, which is something else then than any number."""
    if parent is None or not path or not isinstance(path[-1], str) or path[-1] not in parent.keys:
        return None
    optional = path[-1] not in parent.required and parent.default(path[-1]) is None
    return f"leave {quote(path[-1])} out{_UNSAID.get(path[-1], '')}" if optional else None


_UNSAID = {"max": ": there is no limit then"}
"""What a number is where it is left out."""


def choice_help(fault: Fault) -> str | None:
    """What most write where one of several words belongs, and none of them was meant."""
    default = fault.parent.default(str(fault.path[-1])) if fault.parent and fault.path else None
    if default in fault.choices:
        return f"write `{fault.path[-1]}: {default}`, as it is where it is left out"
    if len(fault.choices) == 1:
        return f"write `{fault.path[-1]}: {fault.choices[0]}`"
    return f"for example `{fault.path[-1]}: {fault.choices[0]}`" if fault.choices else None


def anything(fault: Fault, data: Any) -> str | None:
    """What may stand at a place, or that nothing need, where nothing is known of what was meant."""
    if not fault.path or fault.is_key or fault.rule is None:
        return None
    key = fault.path[-1]
    if not isinstance(key, str):
        return None
    if told := example(fault.path, data):
        return told
    if fault.parent is not None and key in fault.parent.keys and key not in fault.parent.required:
        default = fault.parent.default(key)
        if isinstance(default, str | int | float):
            return f"write `{key}: {inline(default)}`, as it is where it is left out"
        return f"leave {quote(key)} out{_UNSAID.get(key, '')}"
    return some(fault.plain, fault.path, data)


def word_help(fault: Fault) -> str | None:
    """The alternative that may stand alone, as a word, and was meant."""
    words = fault.rule.words if fault.rule else ()
    return question(meant(fault.value, words)) if isinstance(fault.value, str) else None


def has(data: Any, part: str | int) -> bool:
    """Whether there is such a key, or such an item."""
    if isinstance(data, dict):
        return part in data
    return isinstance(data, list) and isinstance(part, int) and 0 <= part < len(data)
