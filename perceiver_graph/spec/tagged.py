"""Mappings that say their kind by a key, `{type: fourier, bands: 16}`, and steps that stand among the keys of
an input: the line in which the kind is the key."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel

from perceiver_graph.spec.around import at, flow
from perceiver_graph.spec.elsewhere import folded, meant, synonyms
from perceiver_graph.spec.forms import step, value_of
from perceiver_graph.spec.grammar import Schema, schema_at
from perceiver_graph.spec.lists import separated
from perceiver_graph.spec.skeletons import below, skeleton
from perceiver_graph.spec.spans import Path

_TAGS = {
    *("type", "kind", "name", "mode", "method", "class", "class_name", "op", "layer", "_target_"),
    *("encoding", "variant", "which", "module"),
}


def tagged(schema: Schema | None, value: Any, path: Path, data: Any) -> str | None:
    """`{fourier: {bands: 16}}` for `{type: fourier, num_bands: 16}`; None for what says no kind."""
    if schema is None or not isinstance(value, dict) or schema.kind != "tagged-union":
        return None
    tag = next((k for k, one in value.items() if folded(k) in _TAGS and isinstance(one, str)), None)
    if tag is None:
        return None
    rest = {key: one for key, one in value.items() if key != tag}
    name = next(iter(meant(value[tag], schema.alternatives)), None)
    if name is None or below(schema, name) is None:
        return value_of(schema, value[tag], path, data)
    return _of_kind(schema, name, rest, path, data)


def _of_kind(schema: Schema, name: str, rest: Mapping[str, Any], path: Path, data: Any) -> str:
    inner, whole = below(schema, name), schema.child(f"<{name}>")
    beside = {key: flow(one) for key, one in rest.items() if whole and key in whole.keys}
    others = {key: one for key, one in rest.items() if key not in beside}
    if inner is not None and inner.kind == "model":
        said = {
            key: flow(one)
            for word, one in others.items()
            for key in ((word,) if word in inner.keys else meant(str(word), inner.keys)[:1])
        }
        lacking = {key: skeleton(inner.child(key), path, data, key) for key in inner.required}
        inside = _mapping(lacking | said)
    else:
        found = next((one for one in others.values() if not isinstance(one, bool)), None)
        told = value_of(inner, found, (*path, name), data) if found is not None and inner else None
        usual = skeleton(inner, path, data, name)
        fits = found is not None and (type(found) is int or isinstance(found, dict | list))
        inside = told or (flow(found) if fits else usual)
    return _mapping({name: inside} | beside)


def _mapping(entries: Mapping[str, str]) -> str:
    return f"{{{', '.join(f'{key}: {one}' for key, one in entries.items())}}}"


def as_steps(model: type[BaseModel], word: str, parent: Path, data: Any) -> str | None:
    """`steps: [{one_hot: 50}]` for `one_hot: 50` among the keys of an input, with all the steps that stand
    there; None for what is no step."""
    here, union = at(data, parent), schema_at(model, ("inputs", "NAME", "<shape>", "steps", 0))
    if parent[:1] != ("inputs",) or len(parent) != 2 or union is None or not isinstance(here, dict):
        return None
    own = schema_at(model, ("inputs", "NAME", "<shape>")) or schema_at(model, ("inputs", "NAME"))
    named = {key: _step(key, union) for key in here if own is None or key not in own.keys}
    if named.get(word) is None:
        return None
    said = {name: here[key] for key, name in named.items() if name}
    steps = [one for one in here.get("steps") or [] if isinstance(one, dict)]
    new = [
        step(union, part, (*parent, "steps", number), data)
        for number, part in enumerate(separated(union, said))
        if not any({*part} & {*one} for one in steps)
    ]
    if not new:  # `patch_size` may be another size than that of the patches there
        return "leave it out: `steps` has one" if word in union.alternatives else None
    return f"write `steps: [{', '.join([*new, *map(flow, steps)])}]`"


def _step(key: str, union: Schema) -> str | None:
    if key in union.alternatives or union.with_key(key):
        return key
    return next(iter(synonyms(key, union.alternatives)), None)
