"""`--set KEY=VALUE`, and `overrides=["KEY=VALUE"]` in Python: values of a spec replaced before anything
is checked."""

from __future__ import annotations

import re
from dataclasses import replace
from functools import cache
from typing import Any

from perceiver_graph import limits
from perceiver_graph.diagnostics import escape
from perceiver_graph.diagnostics.commands import either, setting
from perceiver_graph.diagnostics.errors import DiagnosticError
from perceiver_graph.diagnostics.model import Source
from perceiver_graph.diagnostics.text import quote
from perceiver_graph.diagnostics.words import nearest
from perceiver_graph.spec import override_keys
from perceiver_graph.spec.models.base import Model, all_models
from perceiver_graph.spec.spans import Path, SpanTree
from perceiver_graph.spec.wording import dotted, found
from perceiver_graph.spec.yaml12 import parse_yaml

_TYPED, _CALLED = "--set ", "override "
_EXAMPLE, _CALL = "latents.count=392", 'overrides=["latents.count=392"]'
_INDEX = re.compile("[0-9]{1,9}")


@cache
def _known() -> frozenset[str]:
    """Every key of the language: none of them is a slip for another."""
    return frozenset(key for model in all_models(Model).values() for key in model.model_fields)


class _NoPlaceError(Exception):
    """The path of an override leads nowhere; the arguments are what is wrong and what would help.

    `better` is a key that leads somewhere."""

    better: str | None = None


def apply_override(override: str, data: Any, spans: SpanTree) -> tuple[Any, SpanTree]:
    """The data and spans with one value replaced; the given ones stay as they are.

    `latents.count=392`: list entries are counted from 0 (`steps.0` or `steps[0]`), mappings on the
    way that do not exist are made, the value is YAML. The new spans point into a source named
    `--set latents.count=392`, or in Python `override latents.count=392`.
    Raises DiagnosticError (PG214).
    """
    source = Source(f"{either(_TYPED, _CALLED)}{override}", override)
    key, equals, text = override.partition("=")
    parts = override_keys.parts_of(key)
    meant = override_keys.with_points(key, text) if equals else override_keys.with_sign(override)
    if isinstance(data, dict) and (each := override_keys.several(override, data)):
        words = " ".join(f"--set {escape.shell(one)}" for one in each)
        raise DiagnosticError.of(
            "PG214",
            f"{quote(source.path)} is several settings in one",
            help=f"give each alone: {either(f'`{words}`', f'`overrides={each!r}`')}",
        )
    if meant:
        form = setting("--set", meant, f"overrides=[{meant!r}]")
        raise DiagnosticError.of(
            "PG214", f"{quote(source.path)} is not of the form KEY=VALUE", help=f"write {form}"
        )
    if not equals or not all(parts) or len(parts) > limits.SPEC_DEPTH or not text.strip():
        raise DiagnosticError.of(
            "PG214",
            f"{quote(source.path)} is not of the form KEY=VALUE",
            help=f"write for example {setting('--set', _EXAMPLE, _CALL)}",
        )
    key_span = source.span(0, len(key))
    try:
        value, value_spans = parse_yaml(source, len(key) + 1)
        path, changed = _replaced(data, (), parts, value)
    except DiagnosticError as error:
        raise DiagnosticError(replace(d, code="PG214") for d in error.diagnostics) from None
    except _NoPlaceError as error:
        message, help = error.args
        if error.better:
            meant = f"{error.better}={text}"
            help = f"write {setting('--set', meant, f'overrides=[{meant!r}]')}"
        raise DiagnosticError.of("PG214", message, key_span, help=help) from None
    return changed, spans.replaced(path, replace(value_spans.root, key=key_span))


def as_option(source: Source) -> str | None:
    """The option that a source is, whoever gave it; None for a file."""
    for start in (_TYPED, _CALLED):
        if source.path == f"{start}{source.text}":
            return f"{_TYPED}{source.text}"
    return None


def _replaced(data: Any, done: Path, parts: list[str], value: Any) -> tuple[Path, Any]:
    """The whole path with its list indices as numbers, and `data` with `value` at the rest of it."""
    if not parts:
        return done, value
    part, rest = parts[0], parts[1:]
    if isinstance(data, list):
        if not _INDEX.fullmatch(part) or int(part) >= len(data):
            known = f"entries 0 to {len(data) - 1}" if data else "no entries"
            fault = _NoPlaceError(
                f"{quote(dotted(done))} has no entry {quote(part)}", f"it has {known}"
            )
            fault.better = override_keys.into_entry(data, done, parts)
            raise fault
        index = int(part)
        path, inner = _replaced(data[index], (*done, index), rest, value)
        return path, [*data[:index], inner, *data[index + 1 :]]
    if data is None:
        data = {}
    if not isinstance(data, dict):
        raise _NoPlaceError(f"{quote(dotted(done))} is {found(data)} and has no keys", None)
    if rest and part not in {*data, *_known()} and (guess := nearest(part, data)):
        raise _NoPlaceError(
            f"there is no {quote(dotted((*done, part)))}", f"did you mean {quote(guess)}?"
        )
    path, inner = _replaced(data.get(part), (*done, part), rest, value)
    return path, {**data, part: inner}
