"""A spec as YAML text: what `new` and the artifact's `spec.yaml` contain."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import yaml

from perceiver_graph.spec.models import Spec

Path = tuple[str | int, ...]


def resolved_data(spec: Spec, derived: Mapping[Path, Any]) -> dict[str, Any]:
    """The spec with every default written out and every derived value filled in.

    Lowering the result gives the same graph as lowering the spec.
    """
    data: dict[str, Any] = spec.model_dump(mode="json", exclude_none=True)
    for path, value in derived.items():
        place: Any = data
        for key in path[:-1]:
            place = place[key] if isinstance(key, int) else place.setdefault(key, {})
        place[path[-1]] = value
    ordered = Spec.model_validate(data)  # which also gives every key its usual place
    return ordered.model_dump(mode="json", exclude_none=True)


def render_yaml(data: Mapping[str, Any], comment: str = "") -> str:
    """YAML text in the order of the mapping; short collections stand on one line."""
    lines = "".join(f"# {line}\n" for line in comment.splitlines())
    return lines + yaml.dump(
        data,
        Dumper=_Dumper,
        sort_keys=False,
        default_flow_style=None,
        width=100,
        allow_unicode=True,
    )


class _Dumper(yaml.SafeDumper):
    """PyYAML's dumper without anchors: a value that occurs twice is written twice."""

    def ignore_aliases(self, data: Any) -> bool:
        return True
