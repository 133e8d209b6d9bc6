"""Specs of Perceivers that are parts of other systems: the shipped spec of the kind, with the sizes that
the shapes of the tensors tell. What no shape tells is as the configuration says, or as published.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from perceiver_graph.compiler.importing.draft import Draft
from perceiver_graph.compiler.weights.files import Tensors
from perceiver_graph.compiler.weights.system_tables import Found, find
from perceiver_graph.compiler.weights.systems import (
    Bands,
    Heads,
    Hidden,
    Map,
    Numbered,
    Published,
    Seen,
    Size,
    System,
    Waves,
)
from perceiver_graph.diagnostics import DiagnosticError, quote
from perceiver_graph.diagnostics.commands import setting
from perceiver_graph.diagnostics.model import Source
from perceiver_graph.spec.loader import SHIPPED
from perceiver_graph.spec.overrides import apply_override
from perceiver_graph.spec.yaml12 import parse_yaml


def recognise(tensors: Tensors, prefix: str = "") -> System | None:
    """The system that such tensors, from below a prefix, are part of. Raises DiagnosticError (PG306)
    where it stands below a name, beside other tensors."""
    found = find(tensors.names)
    at_root = [one.system for one in found if not one.prefix]
    if at_root or not found:
        return at_root[0] if at_root else None
    around = f"{prefix.removesuffix('.')}." if prefix else ""
    raise DiagnosticError.of(
        "PG306",
        f"{quote(tensors.path)} holds {_listed(found)}",
        help=f"did you mean {setting('--prefix', around + found[0].prefix)}?",
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
    told = [setting.partition("=")[0].split(".") for setting in settings]
    for key, size in system.sizes.items():
        if isinstance(size, Map | Waves) and size.tensor not in tensors.tensors:
            continue
        path = key.split(".")
        if isinstance(size, Hidden):
            made.data = _with_hidden(made.data, path[:-1], size, tensors)
            continue
        value = _value(system, size, tensors, config)
        made.data = _with(made.data, path, value)
        remark = _remark(size, path[-1], value, tensors, config)
        if remark and not any(path[: len(one)] == one for one in told):
            made.remarks[tuple(path[:-1])] = remark
    for key, tensor in system.only_with.items():
        if tensor not in tensors.tensors:
            made.data = _without(made.data, key.split("."))
    for key, tensor in system.only_without.items():
        if tensor in tensors.tensors:
            made.data = _without(made.data, key.split("."))
    for override in settings:
        made.data, spans = apply_override(override, made.data, spans)
    return made


def heads(system: System, data: Mapping[str, Any]) -> dict[str, int]:
    """How many heads a spec has, by the keys that cuts of a system name."""
    found = {}
    for key in {cut.heads for cut in system.cuts if cut.heads}:
        value: Any = data
        for word in key.split("."):
            value = value.get(word) if isinstance(value, dict) else None
        if type(value) is int and value > 0:
            found[key] = value
    return found


_OWN = ("perceiver", "name", "summary")
"""Keys that every import has its own values for."""


def _value(system: System, seen: Seen, tensors: Tensors, config: Mapping[str, Any]) -> Any:
    """What is seen; tensors that are absent are reported when the weights are fitted."""
    if isinstance(seen, Numbered):
        rest = (n.removeprefix(seen.before) for n in tensors.names if n.startswith(seen.before))
        return len({name.split(".")[0] for name in rest}) or 1
    if isinstance(seen, Published):
        if seen.part_of is None or isinstance(seen.value, str):
            return seen.value
        whole = _size(tensors, seen.part_of.tensor, seen.part_of.axis)
        return max(whole // seen.value, 1) + seen.more
    if isinstance(seen, Bands) and seen.axes:
        return max((_size(tensors, seen.tensor, -1) // seen.axes - 1) // 2, 1)
    if isinstance(seen, Bands):
        assert system.fourier is not None
        return system.fourier.bands(_size(tensors, seen.tensor, -1)) or 1
    if isinstance(seen, Map):
        return [{"linear": _size(tensors, seen.tensor, 0)}]
    if isinstance(seen, Waves):
        return seen.lengths(tensors.get(seen.tensor))
    if isinstance(seen, Heads):
        found = _size(tensors, seen.tensor, seen.axis)
        normed = seen.norm in tensors.tensors
        each = _size(tensors, seen.norm, -1) if normed else seen.each
        if seen.pairs in tensors.tensors:
            each = 2 * _size(tensors, seen.pairs, 0)
        return _told(seen, config) or (1 if found % each else found // each)
    assert isinstance(seen, Size)
    there = seen.tensor in tensors.tensors or not seen.otherwise
    return _size(tensors, seen.tensor if there else seen.otherwise, seen.axis)


def _remark(
    seen: Seen, key: str, value: Any, tensors: Tensors, config: Mapping[str, Any]
) -> str | None:
    """What a reader should know of a value that no tensor tells."""
    if isinstance(seen, Published) and not seen.more:
        said = value if isinstance(value, str) else f"{value:,}"
        return f"no tensor tells {key}: {said}, as published"
    if (
        isinstance(seen, Heads)
        and not {seen.norm, seen.pairs} & tensors.tensors.keys()
        and not _told(seen, config)
    ):
        return f"no tensor tells {key}: {seen.each} channels each, as published"
    return None


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


def _with_hidden(data: Any, path: Sequence[str], seen: Hidden, tensors: Tensors) -> Any:
    """With the hidden width of a part, as a multiple where it is one, and said there alone."""
    hidden, width = (_size(tensors, seen.tensor, axis) for axis in (seen.axis, 1 - seen.axis))
    for part in (path, ["layers"]):
        for key in ("hidden", "widening"):
            data = _without(data, [*part, key])
    key, value = ("hidden", hidden) if hidden % width else ("widening", hidden // width)
    return _with(data, [*path, key], value)


def _told(heads: Heads, config: Mapping[str, Any]) -> int | None:
    """What the configuration says of heads."""
    value: Any = config
    for key in heads.setting:
        value = value.get(key) if isinstance(value, dict) else None
    return value if type(value) is int and value > 0 else None
