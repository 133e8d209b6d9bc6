"""Specs of Perceivers that are parts of other systems: the shipped spec of the kind, with the sizes that
the shapes of the tensors tell. What no shape tells is as the configuration says, or as published.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from perceiver_graph.compiler.importing.draft import Data, Draft
from perceiver_graph.compiler.weights.files import Tensors
from perceiver_graph.compiler.weights.system_tables import Found, find
from perceiver_graph.compiler.weights.systems import Bands, Heads, Map, Numbered, Seen, System
from perceiver_graph.diagnostics import DiagnosticError, quote
from perceiver_graph.diagnostics.commands import option
from perceiver_graph.diagnostics.model import Source
from perceiver_graph.spec.loader import SHIPPED
from perceiver_graph.spec.overrides import apply_override
from perceiver_graph.spec.yaml12 import parse_yaml


def recognise(tensors: Tensors) -> System | None:
    """The system that such tensors are part of. Raises DiagnosticError (PG306) where it stands below a
    name, beside other tensors."""
    found = find(tensors.names)
    at_root = [one.system for one in found if not one.prefix]
    if at_root or not found:
        return at_root[0] if at_root else None
    raise DiagnosticError.of(
        "PG306",
        f"{quote(tensors.path)} holds {_listed(found)}",
        help=f"did you mean {option('--prefix', found[0].prefix)}?",
    )


def _listed(found: Sequence[Found]) -> str:
    places = [f"{one.system.source} below `{one.prefix.removesuffix('.')}`" for one in found]
    return ", ".join(places[:8]) + (f" and {len(places) - 8} more" if len(places) > 8 else "")


def draft(
    system: System, tensors: Tensors, config: Mapping[str, Any], settings: Sequence[str]
) -> Draft:
    """The shipped spec of a system in the sizes of these tensors, with what `settings` (`KEY=VALUE`)
    say. Raises DiagnosticError (PG214)."""
    source = Source(system.spec, (SHIPPED / f"{system.spec}.yaml").read_text(encoding="utf-8"))
    data, spans = parse_yaml(source)
    made = Draft({key: value for key, value in data.items() if key not in _OWN})
    for key, size in system.sizes.items():
        if isinstance(size, Map) and size.tensor not in tensors.tensors:
            continue
        value = _value(system, size, tensors, config)
        made.data = _with(made.data, key.split("."), value)
        if isinstance(size, Heads) and _told(size, config) is None:
            remark = (
                f"no tensor tells {key.split('.')[-1]}: {size.each} channels each, as published"
            )
            made.remarks[tuple(key.split(".")[:1])] = remark
    for key, tensor in system.only_with.items():
        if tensor not in tensors.tensors:
            made.data = _without(made.data, key.split("."))
    _tell_hidden(made.data)
    for setting in settings:
        made.data, spans = apply_override(setting, made.data, spans)
    return made


_OWN = ("perceiver", "name", "summary")
"""Keys that every import has its own values for."""


def _value(system: System, seen: Seen, tensors: Tensors, config: Mapping[str, Any]) -> Any:
    """What is seen; tensors that are absent are reported when the weights are fitted."""
    if isinstance(seen, Numbered):
        rest = (n.removeprefix(seen.before) for n in tensors.names if n.startswith(seen.before))
        return len({name.split(".")[0] for name in rest}) or 1
    if isinstance(seen, Bands):
        assert system.fourier is not None
        return system.fourier.bands(_size(tensors, seen.tensor, -1)) or 1
    if isinstance(seen, Map):
        return [{"linear": _size(tensors, seen.tensor, 0)}]
    if isinstance(seen, Heads):
        found = _size(tensors, seen.tensor, seen.axis)
        return _told(seen, config) or (1 if found % seen.each else found // seen.each)
    there = seen.tensor in tensors.tensors or not seen.otherwise
    return _size(tensors, seen.tensor if there else seen.otherwise, seen.axis)


def _size(tensors: Tensors, name: str, axis: int) -> int:
    tensor = tensors.tensors.get(name)
    there = tensor is not None and -len(tensor.shape) <= axis < len(tensor.shape)
    return tensor.shape[axis] if tensor is not None and there else 1


def _with(data: Any, path: Sequence[str], value: Any) -> Any:
    """A copy with a value at a path."""
    if not path:
        return value
    if isinstance(data, list):
        at = int(path[0])
        return [*data[:at], _with(data[at], path[1:], value), *data[at + 1 :]]
    return {**data, path[0]: _with(data.get(path[0], {}), path[1:], value)}


def _without(data: Any, path: Sequence[str]) -> Any:
    """A copy without what is at a path, and without a step or a mapping that is empty then."""
    if isinstance(data, list):
        at = int(path[0])
        inner = _without(data[at], path[1:]) if path[1:] else None
        return [*data[:at], *([inner] if inner else []), *data[at + 1 :]]
    rest = {key: value for key, value in data.items() if key != path[0]}
    inner = _without(data[path[0]], path[1:]) if path[1:] and path[0] in data else None
    return {**rest, path[0]: inner} if inner else rest


def _tell_hidden(data: Data) -> None:
    """The hidden width under `encode` alone, as a multiple where it is one."""
    hidden = data["encode"].pop("hidden", None)
    if hidden is None:
        return
    width = data["latents"]["width"]
    for part in (data["encode"], data.get("layers", {})):
        for key in ("hidden", "widening"):
            part.pop(key, None)
    key, value = ("hidden", hidden) if hidden % width else ("widening", hidden // width)
    data["encode"][key] = value


def _told(heads: Heads, config: Mapping[str, Any]) -> int | None:
    """What the configuration says of heads."""
    value: Any = config
    for key in heads.setting:
        value = value.get(key) if isinstance(value, dict) else None
    return value if type(value) is int and value > 0 else None
