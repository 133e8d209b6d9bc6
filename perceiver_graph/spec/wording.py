"""How paths, values and near misses are put into words in messages about a spec."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from perceiver_graph.diagnostics.text import quote
from perceiver_graph.diagnostics.words import joined
from perceiver_graph.spec.spans import Path


def dotted(path: Path) -> str:
    """A path as `--set` takes it: `inputs.image.steps.0`."""
    return ".".join(str(part) for part in path)


def listed(keys: Iterable[str]) -> str:
    """`a`, `b` and `c`."""
    return joined(map(quote, keys), "and")


def subject(path: Path) -> str:
    """A path in backquotes; the root has no path and is called by name."""
    return quote(dotted(path)) if path else "the spec"


def number(value: float) -> str:
    """A bound as a person writes it: 0 and not 0.0, 1e+30 and not thirty zeros."""
    whole = float(value).is_integer() and abs(value) < 10**15
    return f"{value:.0f}" if whole else f"{value:g}"


def found(value: Any) -> str:
    """A value of the spec in a few words."""
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return f"text '{quote(value)[1:-1]}'"
    if isinstance(value, int | float):
        return {"inf": ".inf", "-inf": "-.inf", "nan": ".nan"}.get(str(value), str(value))
    return "a list" if isinstance(value, list) else "a mapping"
