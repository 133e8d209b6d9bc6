"""A spec whose keys are wrong as it was most likely meant, so that the rest of it is checked as well.

What is misspelt gets its name, and what is unknown is left out; nothing else is made good.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, ValidationError

from perceiver_graph.spec.around import at
from perceiver_graph.spec.faults import Fault
from perceiver_graph.spec.grammar import schema_at
from perceiver_graph.spec.spans import Path, SpanTree


@dataclass(frozen=True)
class Mended:
    """A model that holds the rest."""

    model: Any
    spans: SpanTree
    left_out: tuple[Path, ...]
    """Keys whose meaning is not known: what depends on them may seem wrong, and be right."""


def mended(
    model: type[BaseModel],
    data: Any,
    spans: SpanTree,
    faults: Iterable[Fault],
    meant: Callable[[Fault], tuple[str, ...]],
) -> Mended | None:
    """The spec without its unknown keys; None where more than these is wrong with it."""
    left_out: list[Path] = []
    for fault in faults:
        if fault.type == "missing":  # what was misspelt may be it
            continue
        if fault.type != "extra_forbidden":
            return None
        union = schema_at(model, fault.details["loc"][:-2])
        key, parent = fault.path[-1], fault.path[:-1]
        if union and key in union.alternatives:
            return None
        here = at(data, parent)
        if not isinstance(here, dict):  # a part of what was renamed before
            return None
        free = [one for one in meant(fault) if one not in here]
        if len(free) == 1:
            spans = spans.moved(fault.path, free[0])
        else:
            left_out.append(fault.path)
        name = free[0] if len(free) == 1 else None
        made = {name if one == key else one: value for one, value in here.items()}
        data = _replaced(data, parent, {one: made[one] for one in made if one is not None})
    try:
        return Mended(model.model_validate(data), spans, tuple(left_out))
    except ValidationError:
        return None


def _replaced(data: Any, path: Path, value: Any) -> Any:
    if not path:
        return value
    inner = _replaced(data[path[0]], path[1:], value)
    if isinstance(data, list):
        return [inner if number == path[0] else one for number, one in enumerate(data)]
    return {**data, path[0]: inner}
