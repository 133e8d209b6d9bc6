"""What a caller gives in place of YAML text, as the plain values that a text could hold."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from perceiver_graph.diagnostics.arguments import wrong_kind
from perceiver_graph.spec.spans import Path
from perceiver_graph.spec.wording import dotted

_DEEPEST = 60  # deeper than a text may be nested, which then says so


def plain(value: Any, path: Path = ()) -> Any:
    """The value with mappings as dict, sequences as list and numbers of numpy as those of Python.

    Raises TypeError for anything else, naming where it stands.
    """
    if len(path) > _DEEPEST:
        raise ValueError("the spec is nested without end: does a mapping hold itself?")
    if isinstance(value, Mapping):
        return {_key(key, path): plain(item, (*path, str(key))) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item, (*path, index)) for index, item in enumerate(value)]
    if not isinstance(value, str | int | float) and getattr(value, "shape", None) == ():
        value = value.item()
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str):  # of a class derived from it, such as an enumeration, the text
        return str.__str__(value)
    if isinstance(value, int):
        return int(value)
    if isinstance(value, float):
        return float(value)
    raise wrong_kind(
        f"the spec's `{dotted(path)}`",
        "text, a number, true, false, null, a list or a mapping",
        value,
    )


def _key(key: Any, path: Path) -> Any:
    if key is None or isinstance(key, str | int | float):
        return key  # what is no text is told with its place
    raise wrong_kind(f"a key of the spec's `{dotted(path)}`", "text", key)
