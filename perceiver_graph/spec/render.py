"""A spec as YAML text: what `new` and the artifact's `spec.yaml` contain."""

from __future__ import annotations

import re
from collections.abc import Mapping
from math import inf
from typing import Any

import yaml

from perceiver_graph.spec.models import PARTS, Spec
from perceiver_graph.spec.scalars import NumberTooLargeError, resolve
from perceiver_graph.spec.spans import Path


def resolved_data(spec: Spec, derived: Mapping[Path, Any]) -> dict[str, Any]:
    """The spec with every default written out and every derived value filled in.

    Lowering the result gives the same graph as lowering the spec.
    """
    data: dict[str, Any] = spec.model_dump(mode="json", exclude={"layers"}, exclude_none=True)
    for part in PARTS:
        data[part] = spec.attention(part).model_dump(mode="json", exclude_none=True)
    if spec.process.within is not None:
        within = spec.attention("within")
        data["process"]["within"] = within.model_dump(mode="json", exclude_none=True)
    for path, value in derived.items():
        place: Any = data
        for key in path[:-1]:
            place = place[key] if isinstance(key, int) else place.setdefault(key, {})
        place[path[-1]] = value
    ordered = Spec.model_validate(data)  # which also gives every key its usual place
    return ordered.model_dump(mode="json", exclude_none=True)


def render_yaml(data: Mapping[str, Any], comment: str = "") -> str:
    """YAML text in the order of the mapping; short collections stand on one line.

    It reads back as the same data, by the rules of YAML 1.2 and by those of 1.1.
    """
    lines = f"# {one_line(comment)}\n" if comment else ""
    return lines + yaml.dump(
        data,
        Dumper=_Dumper,
        sort_keys=False,
        default_flow_style=None,
        width=100,
        allow_unicode=True,
    )


def inline(value: Any) -> str:
    """A value as one line of YAML: `{time: 2, height: 4}`."""
    text = yaml.dump(value, Dumper=_Dumper, sort_keys=False, default_flow_style=True, width=inf)
    return text.removesuffix("\n").removesuffix("\n...")


def one_line(text: str) -> str:
    """A text as a YAML comment can hold it: what is not printable is escaped."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


class _Dumper(yaml.SafeDumper):
    """PyYAML's dumper without anchors: a value that occurs twice is written twice.

    It follows YAML 1.1, in which `1e3` and `0o7` are texts: whatever is not a text in both
    versions, or not printable in both, is put in quotes.
    """

    def ignore_aliases(self, data: Any) -> bool:
        return True

    def represent_text(self, data: str) -> yaml.ScalarNode:
        """A text, in double quotes where it could be taken for anything else."""
        plain = _ORDINARY.fullmatch(data) is not None and _is_text(data)
        return self.represent_scalar(_TEXT, data, None if plain else '"')


_TEXT = "tag:yaml.org,2002:str"
_ORDINARY = re.compile(r"[ -~\xa1-\u1fff\u2030-\u205e\u3001-\ud7ff]+")
"""What every reader takes as it stands: no line ends, nothing invisible, nothing beyond U+FFFF."""
_Dumper.add_representer(str, _Dumper.represent_text)


def _is_text(word: str) -> bool:
    try:
        return isinstance(resolve(word), str)
    except NumberTooLargeError:
        return False
