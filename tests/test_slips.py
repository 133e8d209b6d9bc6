"""One slip of a finger in any key of the language, at any place of a spec, is answered with that key."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import yaml
from pydantic import BaseModel

from perceiver_graph.diagnostics import DiagnosticError
from perceiver_graph.diagnostics.model import Diagnostic
from perceiver_graph.spec.absent import absent
from perceiver_graph.spec.grammar import Schema, schema_at
from perceiver_graph.spec.loader import parse_spec
from perceiver_graph.spec.models import Spec
from perceiver_graph.spec.models.base import Model, all_models

BASE: dict[str, Any] = {
    "perceiver": 1,
    "name": "example",
    "inputs": {"image": {"shape": {"height": 16, "width": 16, "channel": 3}}},
    "latents": {"count": 8, "width": 16},
    "process": {"layers": 1},
    "outputs": {"label": {"query": {"learned": {}}}},
}
NAMES = {"inputs": "image", "outputs": "label"}

Place = tuple[str | int, ...]


def places(schema: Schema, path: Place = (), around: tuple[int, ...] = ()) -> Iterator[Any]:
    """Every mapping with keys of the language: where it stands, its schema, and its tag."""
    if id(schema.node) in around:
        return
    around = (*around, id(schema.node))
    if schema.kind == "model":
        yield path, schema
        for key in schema.keys:
            if child := schema.child(key):
                yield from places(child, (*path, key), around)
    elif schema.kind == "dict" and (values := schema.child("NAME")):
        yield from places(values, (*path, NAMES.get(str(path[-1]), "n")), around)
    elif schema.kind == "list" and (items := schema.child(0)):
        yield from places(items, (*path, 0), around)
    elif schema.kind == "tagged-union":
        for tag in schema.tags:
            if one := schema.child(tag):
                yield from places(one, (*path, tag), around)


def slips(key: str) -> Iterator[str]:
    """Two letters exchanged, one left out, one written twice."""
    for i in range(len(key)):
        yield key[:i] + key[i + 1 :]
        yield key[: i + 1] + key[i:]
        if i + 1 < len(key):
            yield key[:i] + key[i + 1] + key[i] + key[i + 2 :]


def filled(schema: Schema | None) -> Any:
    """Some value with what has to be there."""
    if schema is None:
        return 1
    if schema.kind == "model":
        return {key: filled(schema.child(key)) for key in schema.required}
    if schema.kind == "tagged-union":
        one = schema.child(schema.tags[0])
        return filled(one)
    values = {"dict": {"x": 1}, "list": [1], "str": "text", "bool": True}
    return schema.choices[0] if schema.choices else values.get(schema.kind, 1)


def with_at(data: Any, path: Place, value: Any) -> Any:
    """`data` with a value at a place; what is on the way is made."""
    if not path:
        return value
    first, rest = path[0], path[1:]
    if isinstance(first, str) and first.startswith("<"):
        return with_at(data, rest, value)
    if isinstance(first, int):
        return [with_at(None, rest, value)]
    data = dict(data) if isinstance(data, dict) else {}
    data[first] = with_at(data.get(first), rest, value)
    return data


ROOT = schema_at(Spec, ())
assert ROOT is not None


def own_keys(model: type[BaseModel]) -> Iterator[tuple[str, str]]:
    """The keys of a model, each with the name of the class that declares it."""
    for key in model.model_fields:
        declaring = [one for one in model.__mro__ if key in vars(one).get("__annotations__", {})]
        yield declaring[0].__name__, key


# A key is asked about once, wherever it may stand.
CASES: dict[str, dict[str, tuple[Place, Schema]]] = {}
for _path, _schema in places(ROOT):
    for _declaring, _key in own_keys(_schema.node["cls"]):
        CASES.setdefault(_declaring, {}).setdefault(_key, (_path, _schema))


def answers(path: Place, schema: Schema, key: str, slip: str) -> tuple[Diagnostic, ...]:
    """What a spec is answered in which a key is written so, and all that must be there is."""
    here = filled(schema)
    tag = str(path[-1]).strip("<>") if path else ""
    if tag in schema.keys:
        here.setdefault(tag, filled(schema.child(tag)))
    if not path:
        here = BASE | here
    value = here.pop(key, None) or filled(schema.child(key))
    data = with_at(BASE, path, {slip: value} | here)
    with pytest.raises(DiagnosticError) as caught:
        parse_spec(yaml.safe_dump(data, sort_keys=False))
    return caught.value.diagnostics


@pytest.mark.parametrize("name", CASES)
def test_a_slip_in_a_key_is_answered_with_the_key(name: str) -> None:
    for key, (path, schema) in CASES[name].items():
        for slip in dict.fromkeys(slips(key)):
            if not slip or slip in schema.keys or absent(slip, ("encode",)):
                continue
            found = answers(path, schema, key, slip)
            told = [str(one.help) for one in found if f"`{slip}`" in one.message]
            asked = [one for one in told if one.startswith("did you mean ") and f"`{key}`" in one]
            # Or the whole line, where the value has to be written otherwise, too: `padding: 1`.
            assert asked or [one for one in told if one.startswith(f"write `{key}: {{height: ")], (
                path,
                key,
                slip,
                told,
            )
            # What was misspelt is not asked for besides, nor what another form would need.
            place = ".".join(str(part) for part in path if not str(part).startswith("<"))
            assert not [
                one for one in found if one.code == "PG102" and f"`{place}` lacks" in one.message
            ], (path, key, slip)


@pytest.mark.parametrize(
    ("slip", "value", "help"),
    [
        ("vocabulry", 10, "did you mean `vocabulary`?"),
        ("vocabulry", {"a": 3}, "did you mean `vocabulary`?"),
    ],
)
def test_a_value_that_is_taken_is_not_told_in_another_form(
    slip: str, value: Any, help: str
) -> None:
    data = with_at(BASE, ("inputs", "image", "steps"), [{"embedding": {slip: value, "width": 8}}])
    with pytest.raises(DiagnosticError) as caught:
        parse_spec(yaml.safe_dump(data, sort_keys=False))
    assert [one.help for one in caught.value.diagnostics if slip in one.message] == [help]


def test_every_key_is_asked_about() -> None:
    for model in all_models(Model).values():
        ours = model.__module__.startswith(("perceiver_graph.spec.models", "perceiver_graph.media"))
        if ours and "what" not in vars(model):
            for declaring, key in own_keys(model):
                assert key in CASES[declaring]


def test_a_slip_that_two_keys_are_near_asks_for_the_one_that_is_not_there() -> None:
    both = BASE | {"ecode": {}}
    texts = {"`encode` or `decode`": both, "`encode`": both | {"decode": {}}}
    for wanted, data in texts.items():
        with pytest.raises(DiagnosticError) as caught:
            parse_spec(yaml.safe_dump(data))
        assert [one.help for one in caught.value.diagnostics] == [f"did you mean {wanted}?"]
