"""What is said of keys: those that are unknown, those that are missing, and one too many."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ValidationError

from perceiver_graph.diagnostics.model import Diagnostic, Label, make
from perceiver_graph.diagnostics.text import quote
from perceiver_graph.diagnostics.words import question, slips_of
from perceiver_graph.spec.absent import absent
from perceiver_graph.spec.around import at, flow
from perceiver_graph.spec.elsewhere import folded, meant, places_of, renamed, synonyms
from perceiver_graph.spec.faults import Fault
from perceiver_graph.spec.forms import form, glued, items_apart
from perceiver_graph.spec.grammar import Schema, one_of, schema_at
from perceiver_graph.spec.hints import apart, forms_of, instead, left_out, not_there
from perceiver_graph.spec.ids import of_ids
from perceiver_graph.spec.lists import one_of_two
from perceiver_graph.spec.preparation import prepared
from perceiver_graph.spec.presence import presence
from perceiver_graph.spec.skeletons import skeleton
from perceiver_graph.spec.spans import Path, SpanTree
from perceiver_graph.spec.tagged import as_steps, tagged
from perceiver_graph.spec.translation import (
    belonging,
    fits,
    is_theirs,
    key_here,
    of_tokens,
    translation,
)
from perceiver_graph.spec.usual import SOURCES, one_each, shown, usual
from perceiver_graph.spec.wording import listed, subject


def _with(data: Any, parent: Path, key: str, value: Any) -> Any:
    """The spec with one key more in the mapping at a place."""
    if not parent:
        return {**data, key: value}
    first, *rest = parent
    if isinstance(data, list) and isinstance(first, int):
        return [
            _with(one, tuple(rest), key, value) if n == first else one for n, one in enumerate(data)
        ]
    return {**data, first: _with(data[first], tuple(rest), key, value)}


class Keys:
    """The keys of one spec, and what is wrong with them."""

    def __init__(self, model: type[BaseModel], data: Any, spans: SpanTree) -> None:
        self.model = model
        self.data = data
        self.spans = spans

    def known(self, fault: Fault) -> tuple[str, ...]:
        """The keys known in the mapping of a fault: those of all its forms that have what is there."""
        own = fault.parent.keys if fault.parent else ()
        union = schema_at(self.model, fault.details["loc"][:-2])
        forms = union.fitting(at(self.data, fault.path[:-1])) if union else ()
        return tuple(dict.fromkeys([*own, *(key for form in forms for key in form.keys)]))

    def meant(self, fault: Fault) -> tuple[str, ...]:
        """Which of the keys known in its mapping an unknown key was meant to be."""
        key, known = str(fault.path[-1]), self.known(fault)
        if here := key_here(key, fault.path[:-1], known):
            return (here,)
        found = meant(key, known)
        exact = {*synonyms(key, known), *slips_of(key, known)}
        if not exact & {*found} and places_of(self.model, key, fault.path[:-1]):
            return ()  # it is one of our keys, at another place
        if not is_theirs(key):
            return found
        return tuple(
            one for one in found if fault.parent and fits(fault.value, fault.parent.child(one))
        )

    def missing(self, parent: Path, faults: list[Fault]) -> Diagnostic:
        keys = [str(fault.path[-1]) for fault in faults]
        rule = faults[0].parent
        about = [f"{quote(key)}: {text}" for key in keys if rule and (text := rule.describe(key))]
        children = [(key, child) for key in keys if rule and (child := rule.child(key))]
        choices = [(key, child) for key, child in children if child.alternatives]
        about += [f"{quote(key)} is one of {forms_of(child)}" for key, child in choices]
        known = []
        for key, child in children:
            said = usual((*parent, key), self.data)
            text = said or skeleton(child, parent, self.data, key)
            if text != "..." and (parent or said or text[0] != "{"):
                known.append(f"`{key}: {text}`")
        return make(
            "PG102",
            f"{subject(parent)} lacks the key{'s' if len(keys) > 1 else ''} {listed(keys)}",
            self.spans.key(parent),
            label=f"{listed(keys)} must be in here" if parent else "",
            notes=about,
            help=f"write {', '.join(known)}" if known else None,
        )

    def unknown(self, fault: Fault) -> Diagnostic:
        parent, key = fault.path[:-1], str(fault.path[-1])
        union = schema_at(self.model, fault.details["loc"][:-2])
        if union and key in union.alternatives:
            return self._second_alternative(fault, union)
        if entry := absent(key, parent):
            return not_there(key, entry, self.spans.key(fault.path))
        known, found = self.known(fault), self.meant(fault)
        # Of several that are one slip away, the one that is not there yet.
        free = [one for one in slips_of(key, found) if one not in at(self.data, parent)]
        guess = glued(key) or apart(key, fault.value, known) or question(free or found)
        place = None if {*found} & {*synonyms(key, known)} else self._place(fault, guess)
        if union and (others := union.with_key(key)):
            place = f"{quote(key)} goes with {one_of(others)}"
        if "like" in known and key in ("steps", "position"):
            place = (
                f"{quote(key)} is that of the input that this one is like: leave one of the two out"
            )
        told = (
            presence(key, fault.value, parent, self.data)
            or of_ids(key, fault.value, parent, self.data)
            or prepared(key, fault.value, parent, self.data)
            or as_steps(self.model, key, parent, self.data)
            or self._several(fault)
        )
        if told is None and guess and len(free or found) == 1:
            told = self._as_called(fault, (free or found)[0])
        if told is None and not guess:
            told = translation(self.model, key, fault.value, parent, self.data)
        keys, help = ", ".join(map(quote, known)), told or " ".join(filter(None, (guess, place)))
        nothing = f"leave it out: the keys known here are {keys}" if known else "leave it out"
        return make(
            "PG101",
            f"unknown key {quote(key)} in {subject(parent)}",
            self.spans.key(fault.path),
            notes=[f"the keys known here are {keys}"] if known and help else (),
            help=help or nothing,
        )

    def _several(self, fault: Fault) -> str | None:
        """For `cameras: [front, left]` beside the parts of a spec: inputs of these names."""
        here = fault.path[:-1] == () and folded(fault.path[-1]) in SOURCES
        several = one_each(fault.value) if here else None
        if several is None:
            return None
        if "inputs" in self.data:
            return "leave it out: each is an input of its own, `front: {like: left}` under `inputs`"
        return f"write `inputs: {several}`: each is an input of its own"

    def _as_called(self, fault: Fault, key: str) -> str | None:
        """The line with the key that was meant, where the value has to be written otherwise, too."""
        parent, value = fault.path[:-1], fault.value
        schema, path = fault.parent.child(key) if fault.parent else None, (*parent, key)
        if schema is None or (isinstance(value, dict) and schema.kind != "tagged-union"):
            return None
        switch = isinstance(value, bool) and schema.kind != "tagged-union"
        if switch or schema.kind in ("bool", "literal", "enum"):  # `false` is a value there
            return None
        data = _with(self.data, parent, key, value)
        if self._is_taken(data, path):
            return None
        nothing = left_out(value, path, fault.parent) if key == "position" else None
        if told := nothing or instead(value, path):
            return told
        if inside := tagged(schema, value, path, data):
            return f"write `{key}: {inside}`"
        if isinstance(value, dict):
            return None
        if schema.kind == "tagged-union" and (value is None or value is True):
            return shown(schema, path, data)
        told = form(schema, path, data)
        return told if told != f"write `{key}: {flow(value)}`" else None

    def _is_taken(self, data: Any, path: Path) -> bool:
        """Whether what stands at a place of a spec may stand there."""
        try:
            self.model.model_validate(data)
        except ValidationError as error:
            for details in error.errors(include_url=False, include_context=False):
                place = tuple(part for part in details["loc"] if not str(part).startswith("<"))
                if place[: len(path)] == path:
                    return False
        return True

    def _place(self, fault: Fault, guess: str | None) -> str | None:
        """Where a key belongs that is one of ours, or is called otherwise here."""
        parent, key = fault.path[:-1], str(fault.path[-1])
        told = belonging(self.model, key, fault.value, parent, self.data)
        return told or (None if guess else renamed(self.model, key, parent))

    def is_second(self, fault: Fault) -> bool:
        """Whether it is an alternative beside another one."""
        union = schema_at(self.model, fault.details["loc"][:-2])
        return union is not None and fault.path[-1] in union.alternatives

    def _second_alternative(self, fault: Fault, union: Schema) -> Diagnostic:
        parent, second = fault.path[:-1], str(fault.path[-1])
        names, here = union.alternatives, at(self.data, parent)
        first = str(fault.details["loc"][-2]).strip(
            "<>"
        )  # the tag of the alternative that was taken
        found = [
            first,
            second,
            *(one for one in here if one in names and one not in (first, second)),
        ]
        return make(
            "PG107",
            f"{subject(parent)} takes only one of {one_of(names)}, found {listed(found)}",
            self.spans.key(fault.path),
            secondary=[Label(self.spans.key((*parent, first)), "the other one")],
            help=of_tokens(second, fault.value, parent, self.data)
            or items_apart(union, parent, self.data)
            or one_of_two(union, (first, second), parent, here),
        )
