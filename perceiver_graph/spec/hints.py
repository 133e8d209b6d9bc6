"""Pieces of advice that several kinds of errors about a spec give."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from perceiver_graph.diagnostics.model import Diagnostic, Label, Span, make
from perceiver_graph.diagnostics.text import quote
from perceiver_graph.spec.absent import Absent
from perceiver_graph.spec.grammar import Schema
from perceiver_graph.spec.spans import Path

_TURNED = {"rotary", "rope", "rotary_embedding", "rotary_position_embedding"}
_SWITCHES: dict[tuple[str | int, bool], str] = {
    (
        "mask",
        True,
    ): "`mask: optional` says that the modality may be left out, and `mask: never` that it is always "
    "there; a mask of single tokens is `attention_mask: true`",
    (
        "weights",
        False,
    ): "leave it out: layers have weights of their own, unless `share` says otherwise",
    (
        "weights",
        True,
    ): "leave it out: layers have weights of their own, unless `share` says otherwise",
}
_NOTHING = {"none", "no", "null", "false", "off"}


def apart(key: str, value: Any, known: Iterable[str]) -> str | None:
    """For `{count 32}`, which is one key in YAML: the same with a colon."""
    word, _, rest = key.partition(" ")
    fits = value is None and word in known and bool(rest)
    return f"write `{word}: {rest.strip()}`, with a colon" if fits else None


def left_out(value: Any, path: Path, parent: Schema | None) -> str | None:
    """What to do instead of `position: none`."""
    if parent is None or not path or str(value).casefold() not in _NOTHING:
        return None
    optional = path[-1] in parent.keys and path[-1] not in parent.required
    rule = parent.child(str(path[-1]))
    if rule is not None and "none" in rule.words:
        return f"write `{path[-1]}: none`"
    return f"leave {quote(path[-1])} out" if optional else None


def instead(value: Any, path: Path) -> str | None:
    """What to write instead of a value that means something else here than elsewhere, or nothing."""
    return _meant_by_switch(value, path) or _turned(value, path) or _of_classes(path, value)


def _meant_by_switch(value: Any, path: Path) -> str | None:
    """What to write for `true` or `false` where there are more than two ways."""
    return _SWITCHES.get((path[-1], value)) if path and isinstance(value, bool) else None


def _turned(value: Any, path: Path) -> str | None:
    """What to do instead of `position: rotary`."""
    word = str(value).casefold().replace("-", "_")
    if path[-1:] != ("position",) or word not in _TURNED:
        return None
    return (
        "leave `position` out and write `rotary: true` under `layers`: attention then turns by the number "
        "of each token, or by its places, `rotary: {of: [height, width]}`. `position: {rotary: {given: "
        "[time]}}` is for coordinates that come with the tokens"
    )


def _of_classes(path: Path, value: Any) -> str | None:
    """What to write for a number of classes: it is that of the channels of the output."""
    if path[:1] != ("outputs",) or path[2:] not in (("classes",), ("media", "classes")):
        return None
    if type(value) is not int:
        return None
    return (
        f"write `head: {{linear: {value}}}` under `{path[0]}.{path[1]}`, which makes {value} classes, and "
        "`media: {classes: {}}` to have them shown as such"
    )


def forms_of(schema: Schema | None) -> str:
    """The alternatives as they are written: `{mean: ...}`, `latents`."""
    names = schema.alternatives if schema else ()
    words = schema.words if schema else ()
    return ", ".join(f"`{name}`" if name in words else f"`{{{name}: ...}}`" for name in names)


def in_a_head(entry: Absent, path: Path, value: Any) -> Absent:
    """For `head: {softmax: 5}`: the entry with the head that has as many channels."""
    if path[:1] != ("outputs",) or path[2:] != ("head",) or type(value) is not int or value < 1:
        return entry
    return replace(entry, instead=f"write `head: {{linear: {value}}}`; {entry.instead}")


def not_there(word: str, entry: Absent, span: Span) -> Diagnostic:
    """PG111 for a word that the language does not have."""
    yet = " (yet)" if entry.yet else ""
    message = f"{quote(word)} is not in the language{yet}: {entry.what}"
    return make("PG111", message, span, help=entry.instead)


def once(diagnostics: Iterable[Diagnostic]) -> Iterable[Diagnostic]:
    """The diagnostics with those that say the same of several places made one."""
    groups: dict[object, list[Diagnostic]] = {}
    for one in diagnostics:
        same = (one.code, one.message) if one.code == "PG111" else id(one)
        groups.setdefault(same, []).append(one)
    for first, *others in groups.values():
        places = (Label(one.primary.span, "here, too") for one in others if one.primary)
        yield replace(first, secondary=(*first.secondary, *places))
