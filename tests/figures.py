"""What tests measured of the shipped systems, written down: the table of systems shows it.

A test says it with `record_property("difference", difference(...))`. With `--update-cases` the worst of a
run is written down, for the systems that the run measured.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Literal

FIGURES = Path(__file__).parent / "figures.json"
Reference = Literal["transformers", "equations", "backends"]
"""The classes of transformers at full size, the papers' equations and our backends in small."""
Figures = dict[str, dict[str, Any]]


def rounded_up(share: float) -> float:
    """With one digit."""
    step = 10.0 ** math.floor(math.log10(share)) if share else 1.0
    return float(f"{math.ceil(share / step) * step:.0e}")


def difference(reference: Reference, name: str, share: float, version: str = "") -> dict[str, Any]:
    """The largest difference of a system from a reference, as a share of the largest output."""
    return {"reference": reference, "name": name, "version": version, "difference": share}


def figures() -> dict[str, Figures]:
    """What was measured: by reference, then by the name of a spec."""
    found: dict[str, Figures] = json.loads(FIGURES.read_text(encoding="utf-8"))
    return found


def write_down(measured: Iterable[Mapping[str, Any]]) -> None:
    """Keep the worst of what a run measured in place of what was kept of the same systems."""
    worst: dict[tuple[str, str], Mapping[str, Any]] = {}
    for one in measured:
        key = one["reference"], one["name"]
        if key not in worst or one["difference"] > worst[key]["difference"]:
            worst[key] = one
    if not worst:
        return
    kept = figures() if FIGURES.is_file() else {}
    for (reference, name), one in worst.items():
        entry = {"version": one["version"]} if one["version"] else {}
        entry["difference"] = rounded_up(one["difference"])
        kept.setdefault(reference, {})[name] = entry
    ordered = {reference: dict(sorted(kept[reference].items())) for reference in sorted(kept)}
    FIGURES.write_text(json.dumps(ordered, indent=2) + "\n", encoding="utf-8")
