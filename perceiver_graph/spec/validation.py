"""pydantic's verdict on a spec in our words: every error with a code, a place in the file and what
would work."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from perceiver_graph.diagnostics.errors import DiagnosticError, Report
from perceiver_graph.diagnostics.model import Diagnostic, make
from perceiver_graph.diagnostics.text import quote
from perceiver_graph.diagnostics.words import question, slips_of
from perceiver_graph.spec.absent import absent
from perceiver_graph.spec.elsewhere import meant, places_of
from perceiver_graph.spec.faults import (
    BOUNDS,
    LENGTHS,
    Fault,
    anything,
    choice_help,
    expected_length,
    expected_range,
    has,
    out_of_range_help,
    type_help,
    word_help,
)
from perceiver_graph.spec.forms import form, glued, items_apart
from perceiver_graph.spec.grammar import one_of, schema_at
from perceiver_graph.spec.hints import forms_of, in_a_head, instead, left_out, not_there, once
from perceiver_graph.spec.keys import Keys
from perceiver_graph.spec.mending import Mended, mended
from perceiver_graph.spec.preparation import of_a_step, prepared
from perceiver_graph.spec.render import inline
from perceiver_graph.spec.skeletons import filled, grid_of, of_an_input, skeleton
from perceiver_graph.spec.spans import Path, SpanTree
from perceiver_graph.spec.tagged import tagged
from perceiver_graph.spec.translation import of_tokens
from perceiver_graph.spec.usual import at_key, example, shown
from perceiver_graph.spec.wording import found, subject

MAX_ERRORS = 100
_SHORT = 40  # characters of a list that a message repeats


ModelT = TypeVar("ModelT", bound=BaseModel)


def validate(model: type[ModelT], data: Any, spans: SpanTree) -> ModelT:
    """`data` as a `model`. Raises DiagnosticError with all that is wrong (PG101 to PG111), and what can be
    looked at further."""
    try:
        return model.model_validate(data)
    except ValidationError as error:
        details = error.errors(include_url=False)
    translator = _Translator(model, data, spans)
    wrong = DiagnosticError(translator.translate(details))
    wrong.rest = translator.rest(details)
    raise wrong


class _Translator:
    """Turns the validation errors of one spec into diagnostics."""

    def __init__(self, model: type[BaseModel], data: Any, spans: SpanTree) -> None:
        self.model = model
        self.data = data
        self.spans = spans
        self.keys = Keys(model, data, spans)

    def translate(self, errors: Sequence[ErrorDetails]) -> tuple[Diagnostic, ...]:
        report = Report()
        faults = [self._fault(details) for details in errors[:MAX_ERRORS]]
        missing: dict[Path, list[Fault]] = {}
        guesses: set[Path] = set()  # keys that are missing only because they are misspelt
        several: set[Path] = set()  # mappings with more than one of alternatives
        wishes: set[Path] = set()  # mappings that ask for something else than what they lack
        for fault in faults:
            if fault.type == "missing":
                missing.setdefault(fault.path[:-1], []).append(fault)
                continue
            if fault.type == "extra_forbidden" and fault.parent:
                key, parent = str(fault.path[-1]), fault.path[:-1]
                found = self.keys.meant(fault)
                guesses.update((*parent, guess) for guess in found)
                # A key of another form: what this one lacks is not missing.
                others = absent(key, parent) or of_tokens(key, fault.value, parent, self.data)
                if others or not {*found} <= {*fault.parent.keys}:
                    wishes.add(parent)
                if self.keys.is_second(fault):  # all of one mapping are told at once
                    if parent in several:
                        continue
                    several.add(parent)
            report.add(self._diagnostic(fault))
        for parent, group in missing.items():
            wanted = [fault for fault in group if fault.path not in guesses]
            if wanted and parent not in wishes:
                report.add(self.keys.missing(parent, wanted))
        report = Report(once(report.diagnostics))
        if len(errors) > MAX_ERRORS:
            more = f"{len(errors) - MAX_ERRORS} more errors are not shown"
            report.add(make("PG103", more, severity="note"))
        return report.diagnostics

    def rest(self, errors: Sequence[ErrorDetails]) -> Mended | None:
        """What is left to be checked, where no more than keys are wrong."""
        faults = [self._fault(details) for details in errors[: MAX_ERRORS + 1]]
        few = len(faults) <= MAX_ERRORS
        return mended(self.model, self.data, self.spans, faults, self.keys.meant) if few else None

    def _fault(self, details: ErrorDetails) -> Fault:
        location = details["loc"]
        path: list[str | int] = []
        here = self.data
        for part in location:
            if has(here, part):
                path.append(part)
                here = here[part]
            elif isinstance(here, dict) and part != "[key]" and not str(part).startswith("<"):
                path.append(part)
                here = None
        rule, parent = schema_at(self.model, location), schema_at(self.model, location[:-1])
        return Fault(details, tuple(path), "[key]" in location, rule, parent)

    def _diagnostic(self, fault: Fault) -> Diagnostic:
        kind = fault.type
        rules: list[tuple[bool, Callable[[Fault], Diagnostic]]] = [
            (kind == "extra_forbidden", self.keys.unknown),
            (
                kind in {"unknown_alternative", "union_tag_invalid", "union_tag_not_found"},
                self._alternative,
            ),
            (kind in {"literal_error", "enum"}, self._choice),
            (kind in BOUNDS or kind == "finite_number", self._out_of_range),
            (kind in LENGTHS, self._length),
            (kind == "string_pattern_mismatch", self._bad_name),
        ]
        told = next((rule for applies, rule in rules if applies), self._wrong_type)(fault)
        return told if told.help else replace(told, help=anything(fault, self.data))

    def _alternative(self, fault: Fault) -> Diagnostic:
        names = fault.rule.alternatives if fault.rule else ()
        what = fault.details["msg"].split(":")[0]  # "expected a step"
        note = f"write one of {forms_of(fault.rule)}"
        span = self.spans.value(fault.path)
        if not isinstance(fault.value, dict):
            if isinstance(fault.value, str) and (entry := absent(fault.value, fault.path)):
                return not_there(fault.value, entry, span)
            return make(
                "PG103",
                f"{quote(fault.name)}: {what}, found {self._found(fault)}",
                span,
                notes=[note],
                help=self._nested(fault)
                or left_out(fault.value, fault.path, fault.parent)
                or instead(fault.value, fault.path)
                or glued(fault.value)
                or word_help(fault)
                or form(fault.rule, fault.path, self.data)
                or shown(fault.rule, fault.path, self.data),
            )
        if not fault.value:
            message = f"{quote(fault.name)}: {what}, found an empty mapping"
            return make(
                "PG107", message, span, notes=[note], help=shown(fault.rule, fault.path, self.data)
            )
        for key in fault.value:
            if entry := absent(key, fault.path):
                entry = in_a_head(entry, fault.path, fault.value[key])
                told = of_a_step(key, fault.value[key], fault.path, self.data)
                entry = replace(entry, instead=told) if told else entry
                return not_there(key, entry, self.spans.key((*fault.path, key)))
        guesses = {key: guess for key in fault.value if (guess := meant(key, names))}
        key = next(iter(guesses), next(iter(fault.value)))
        place = places_of(self.model, key)
        if fault.rule and (others := fault.rule.with_key(key)):
            one = fault.rule.child(f"<{others[0]}>")
            lacking = skeleton(one.child(others[0]) if one else None, fault.path, self.data)
            place = f"{quote(key)} goes with {one_of(others)}: add `{others[0]}: {lacking}`"
        return make(
            "PG106",
            f"{quote(fault.name)}: {what}, found {quote(key)}",
            self.spans.key((*fault.path, key)),
            notes=[note],
            help=glued(key)
            or self._tagged(fault)
            or prepared(key, fault.value[key], fault.path, self.data)
            or of_an_input(fault.value, fault.path, self.data)
            or (question(slips) if (slips := slips_of(key, guesses.get(key, ()))) else None)
            or grid_of(fault.value, fault.path, names)
            or (self._question(fault, key, guesses[key]) if guesses else place)
            or shown(fault.rule, fault.path, self.data),
        )

    def _nested(self, fault: Fault) -> str | None:
        """For a list in a list of steps: all of them in one."""
        value, union = fault.value, fault.rule
        if not isinstance(value, list) or not value or union is None:
            return None
        pair = len(value) == 2 and value[0] in union.alternatives and not isinstance(value[1], str)
        steps = pair or all(isinstance(one, dict) for one in value)
        return items_apart(union, fault.path, self.data) if steps else None

    def _tagged(self, fault: Fault) -> str | None:
        told = tagged(fault.rule, fault.value, fault.path, self.data)
        return f"write `{at_key(fault.path)}{told}`" if told else None

    def _question(self, fault: Fault, key: str, guesses: tuple[str, ...]) -> str | None:
        """Whether something like it was meant; of another library's word, the line with ours."""
        if len(guesses) > 1 or len(fault.value) > 1:
            return question(guesses)
        one = fault.rule.child(f"<{guesses[0]}>") if fault.rule else None
        schema, value = one.child(guesses[0]) if one else None, fault.value[key]
        number = type(value) is int and value > 0 and schema is not None and schema.kind == "int"
        if number or (schema is not None and schema.kind == "model" and value in ({}, None)):
            inside = (
                inline(value) if number else skeleton(schema, fault.path, self.data, guesses[0])
            )
            return f"write `{at_key(fault.path)}{{{guesses[0]}: {inside}}}`"
        return question(guesses)

    def _choice(self, fault: Fault) -> Diagnostic:
        choices = fault.rule.choices if fault.rule else ()
        expected = one_of(choices) if choices else fault.context.get("expected", "another value")
        if (
            fault.path == ("perceiver",)
            and type(fault.value) is int
            and fault.value > max(choices, default=0)
        ):
            return make(
                "PG108",
                f"the spec is of version {fault.value}, and this release reads version {choices[0]}",
                self.spans.value(fault.path),
                help="install a newer release of perceiver-graph",
            )
        # `true` and `false` stand for a word, too.
        word = str(fault.value) if isinstance(fault.value, str | bool) else None
        guesses = meant(word, choices) if word is not None else ()
        guess = next(iter(guesses), None)
        whole = guess and word and guess.startswith(word)
        entry = None if whole else absent(fault.value, fault.path)
        if entry and isinstance(fault.value, str):
            return not_there(fault.value, entry, self.spans.value(fault.path))
        return make(
            "PG104",
            f"{quote(fault.name)}: expected {expected}, found {self._found(fault)}",
            self.spans.value(fault.path),
            help=instead(fault.value, fault.path)
            or (f"did you mean {quote(guess)}?" if guess else choice_help(fault)),
        )

    def _out_of_range(self, fault: Fault) -> Diagnostic:
        return make(
            "PG105",
            f"{quote(fault.name)}: expected {expected_range(fault)}, found {self._found(fault)}",
            self.spans.value(fault.path),
            help=out_of_range_help(fault, self.data),
        )

    def _length(self, fault: Fault) -> Diagnostic:
        span = self.spans.key(fault.path) if fault.is_key else self.spans.value(fault.path)
        text = expected_length(fault)
        empty = not fault.value and not isinstance(fault.value, str)
        return make(
            "PG110",
            text,
            span,
            help=(filled(fault.rule, fault.path, self.data) or example(fault.path, self.data))
            if empty
            else None,
        )

    def _bad_name(self, fault: Fault) -> Diagnostic:
        pattern = str(fault.context.get("pattern", ""))
        better = re.sub(r"[^a-z0-9]+", "_", str(fault.value).lower()).strip("_0123456789")
        fits = bool(better) and re.search(pattern, better) is not None
        lower_only = "A-Z" not in pattern
        rule = (
            "lower-case letters, digits and underscores, beginning with a letter"
            if lower_only
            else "letters, digits, dots, hyphens and underscores, beginning with a letter or a digit"
        )
        return make(
            "PG109",
            f"{quote(fault.value) if fault.value else 'an empty text'} is not a valid name",
            self.spans.key(fault.path) if fault.is_key else self.spans.value(fault.path),
            notes=[f"a name here is made of {rule}"],
            help=glued(fault.value) or (f"for example {quote(better)}" if fits else None),
        )

    def _wrong_type(self, fault: Fault) -> Diagnostic:
        message = fault.details["msg"]
        custom = message.removeprefix("expected ") if message.startswith("expected ") else None
        expected = custom or (fault.rule.expected if fault.rule else None)
        is_number = type(fault.value) in (int, float) and custom is not None
        return make(
            "PG105" if is_number else "PG103",
            f"{subject(fault.path)}: expected {expected}, found {self._found(fault)}"
            if expected
            else f"{subject(fault.path)}: {message}",
            self.spans.value(fault.path),
            help=instead(fault.value, fault.path) or self._type_help(fault),
        )

    def _type_help(self, fault: Fault) -> str | None:
        told = example(fault.path, self.data)
        if fault.path[-1:] != ("shape",):
            told = filled(fault.rule, fault.path, self.data) or told
        if fault.value is None and told:
            return told
        return type_help(fault, self.spans.value(fault.path).text, self.data)

    def _found(self, fault: Fault) -> str:
        """The value in a few words; a number as it is written in the file."""
        written = self.spans.value(fault.path).text
        if type(fault.value) in (int, float):
            return written
        short = len(written) <= _SHORT and "\n" not in written
        return written if fault.type == "counted" and short else found(fault.value)
