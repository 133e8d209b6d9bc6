"""Words for whether an input may be left out of a call, which `mask` says."""

from __future__ import annotations

from typing import Any

from perceiver_graph.spec.around import at
from perceiver_graph.spec.elsewhere import folded
from perceiver_graph.spec.spans import Path

_MAY = {
    *("optional", "is_optional", "nullable", "missing", "may_be_missing", "can_be_missing"),
    *("allow_missing", "missing_ok", "allow_none", "may_be_absent", "droppable", "skippable"),
}
_MUST = {"required", "is_required", "mandatory", "needed", "always_present", "must_be_given"}
_NO = {"false", "no", "never", "off", "0", "none"}


def presence(word: str, value: Any, parent: Path, data: Any) -> str | None:
    """What to write for `optional: true` or `required: true` of an input; None for any other word."""
    here = folded(word)
    if parent[:1] != ("inputs",) or len(parent) != 2 or here not in _MAY | _MUST:
        return None
    if (here in _MAY) != (folded(value) in _NO):
        return "write `mask: optional`: a learned token stands for the input where a call leaves it out"
    if isinstance(at(data, ("join",)), dict):
        return "write `mask: never`: where there is a `join`, inputs may be left out otherwise"
    return "leave it out: inputs are required unless they say `mask: optional`"
