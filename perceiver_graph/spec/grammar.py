"""What the models allow at a place of the spec, for error messages that say what would be right.

A validation error names its place but not what is allowed there. That is found by walking pydantic's
core schema along the same place, union tags included.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from pydantic import BaseModel

from perceiver_graph.diagnostics.words import joined
from perceiver_graph.spec.descriptions import descriptions
from perceiver_graph.spec.models.base import STALE

_Node = Mapping[str, Any]


@dataclass(frozen=True)
class Schema:
    """The core schema at one place, seen through its wrappers (defaults, validators, optional values)."""

    node: _Node
    definitions: Mapping[str, _Node]

    @property
    def kind(self) -> str:
        return str(self.node["type"])

    def child(self, part: str | int) -> Schema | None:
        """The schema one segment further along the location of an error; None where it is not known."""
        node: _Node | None = None
        if self.kind == "model":
            node = _unwrap(self.node["schema"], self.definitions).get("fields", {}).get(part)
        elif self.kind == "dict":
            node = self.node.get("values_schema")
        elif self.kind == "list":
            node = self.node.get("items_schema")
        elif self.kind == "tagged-union":
            node = self.node["choices"].get(part)
        return Schema(_unwrap(node, self.definitions), self.definitions) if node else None

    @property
    def keys(self) -> tuple[str, ...]:
        """The keys of a mapping with fixed keys, in the order in which the models declare them."""
        return tuple(self._model.model_fields) if self._model else ()

    @property
    def required(self) -> tuple[str, ...]:
        """Those of its keys that have no default."""
        fields = self._model.model_fields if self._model else {}
        return tuple(name for name, info in fields.items() if info.is_required())

    @property
    def alternatives(self) -> tuple[str, ...]:
        """The names among which a mapping with one key chooses: tags without their angle brackets."""
        return tuple(tag.strip("<>") for tag in self.tags)

    @property
    def words(self) -> tuple[str, ...]:
        """Those of the alternatives that may stand alone, as `latents` for `{latents: all}`."""
        return tuple(tag for tag in self._choices if not tag.startswith("<"))

    def with_key(self, key: str) -> tuple[str, ...]:
        """Those of the alternatives that a key stands beside."""
        tags = ((tag, self.child(tag)) for tag in self.tags)
        return tuple(tag.strip("<>") for tag, one in tags if one and key in one.keys)

    def fitting(self, present: Iterable[str]) -> tuple[Schema, ...]:
        """Those of the alternatives that have all the keys of `present` which any of them has."""
        found = [one for tag in self.tags if (one := self.child(tag))]
        known = {key for one in found for key in one.keys} & {*present}
        return tuple(one for one in found if known <= {*one.keys})

    @property
    def tags(self) -> tuple[str, ...]:
        """The same as `child` takes them: with their angle brackets."""
        return tuple(tag for tag in self._choices if tag.startswith("<"))

    @property
    def takes_number(self) -> bool:
        """Whether a number may stand here: alone, or as one of several kinds of value."""
        kinds = (one["type"] for one in self.node.get("choices", ()) if isinstance(one, Mapping))
        return self.kind in ("int", "float") or (self.kind == "union" and "int" in kinds)

    @property
    def choices(self) -> tuple[Any, ...]:
        """The values of a `Literal`."""
        return tuple(self.node["expected"]) if self.kind == "literal" else ()

    def default(self, key: str) -> Any:
        """What one of the keys is where it is left out."""
        info = self._model.model_fields.get(key) if self._model else None
        return info.default if info else None

    def describe(self, key: str) -> str | None:
        """What the models say about one of the keys."""
        text = descriptions(self._model).get(key) if self._model else None
        return " ".join(text.split()) if text else None

    @property
    def expected(self) -> str | None:
        """What it allows in words: "a positive integer"."""
        if self.kind in {"int", "float"}:
            noun = "integer" if self.kind == "int" else "number"
            if self.node.get("ge", 0) >= 1 or self.node.get("gt", -1) >= 0:
                return f"a positive {noun}"
            if self.node.get("ge") == 0:
                return f"a non-negative {noun}"
            return f"{'an' if self.kind == 'int' else 'a'} {noun}"
        if self.kind == "literal":
            return one_of(self.choices)
        words = {"str": "text", "bool": "true or false", "list": "a list", "dict": "a mapping"}
        return words.get(self.kind, "a mapping" if self.kind == "model" else None)

    @property
    def _choices(self) -> tuple[str, ...]:
        return tuple(self.node["choices"]) if self.kind == "tagged-union" else ()

    @property
    def _model(self) -> type[BaseModel] | None:
        found: type[BaseModel] | None = self.node["cls"] if self.kind == "model" else None
        return found


def schema_at(model: type[BaseModel], location: Iterable[str | int]) -> Schema | None:
    """The schema at the location of a validation error of `model`."""
    schema: Schema | None = _root(model)
    for part in location:
        if schema is None:
            return None
        schema = schema.child(part)
    return schema


def one_of(values: Iterable[Any]) -> str:
    """`a`, `b` or `c`."""
    return joined(f"`{value}`" for value in values)


@cache
def _root(model: type[BaseModel]) -> Schema:
    schema: _Node = model.__pydantic_core_schema__
    definitions: dict[str, _Node] = {}
    if schema["type"] == "definitions":
        definitions = {node["ref"]: node for node in schema["definitions"]}
        schema = schema["schema"]
    return Schema(_unwrap(schema, definitions), definitions)


STALE.append(_root.cache_clear)


def _unwrap(node: _Node, definitions: Mapping[str, _Node]) -> _Node:
    while True:
        if node["type"] == "definition-ref":
            node = definitions[node["schema_ref"]]
        elif node["type"] != "model" and isinstance(node.get("schema"), dict):
            node = node["schema"]
        else:
            return node
