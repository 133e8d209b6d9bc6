"""Keys of overrides in other notations, and what is meant where one leads nowhere."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

_BRACKETS = re.compile(r"""\.?\[(?:"([^"\]]+)"|'([^'\]]+)'|([^"'\[\]]+))\]""")
_SEVERAL = re.compile(r"[,;]\s*([A-Za-z_]\w*(?:\.\w+)+)\s*=\s*")
_SIGNLESS = re.compile(r"\s*([A-Za-z_][\w.\[\]]*)\s*[:\s]\s*(\S.*)", re.S)


def parts_of(key: str) -> list[str]:
    """The parts of a key: `steps[0].patch` and `inputs["x"]` are `steps.0.patch` and `inputs.x`."""
    return _BRACKETS.sub(lambda found: f".{found[1] or found[2] or found[3]}", key.strip()).split(
        "."
    )


def with_sign(override: str) -> str | None:
    """`a.b: 3` and `a.b 3` as `a.b=3`."""
    found = _SIGNLESS.fullmatch(override)
    return f"{found[1]}={found[2].strip()}" if found else None


def with_points(key: str, text: str) -> str | None:
    """`a/b=3` as `a.b=3`."""
    meant = key.strip("/ ").replace("/", ".")
    return f"{meant}={text}" if "/" in key and "." not in key else None


def several(override: str, data: Any) -> list[str]:
    """The overrides that were joined by commas into one; empty for a single one."""
    keys = [one for one in _SEVERAL.findall(override) if one.partition(".")[0] in data]
    if not keys:
        return []
    found: list[str] = []
    rest = override
    for key in keys:
        before, _, rest = rest.partition(key)
        found.append(before.rstrip(" ,;"))
        rest = f"{key}{rest.replace(' = ', '=', 1)}"
    return [*found, rest]


def into_entry(data: Sequence[Any], done: Sequence[Any], rest: Sequence[str]) -> str | None:
    """The key with the number of the entry that has what comes next; `steps.patch` is `steps.0.patch`."""
    numbers = [
        number
        for number, entry in enumerate(data)
        if isinstance(entry, Mapping) and rest[0] in entry
    ]
    if len(numbers) != 1:
        return None
    return ".".join(map(str, (*done, numbers[0], *rest)))
