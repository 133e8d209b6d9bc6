"""The targets by name: each module here has a class `Target`."""

from __future__ import annotations

from functools import cache
from importlib import import_module
from pathlib import Path

from tests.fuzz.case import Target

NAMES = tuple(
    sorted(
        p.stem for p in Path(__file__).parent.glob("*.py") if p.stem not in ("__init__", "models")
    )
)


@cache
def target(name: str) -> Target:
    """The target of a name, with its bases."""
    found: Target = import_module(f"tests.fuzz.targets.{name}").Target()
    return found
