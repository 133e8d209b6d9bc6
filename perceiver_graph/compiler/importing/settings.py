"""The configuration of a transformers checkpoint: only what a model class asks for is looked at.

What is wrong is collected, so that one run shows all of it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from perceiver_graph import limits
from perceiver_graph.compiler.weights.configuration import ACTIVATIONS
from perceiver_graph.compiler.weights.known_settings import DEFAULTS
from perceiver_graph.diagnostics import Report, quote


@dataclass
class Settings:
    """Typed access to a configuration; a value that cannot be used is reported (PG310)."""

    config: Mapping[str, Any]
    report: Report = field(default_factory=Report)
    notes: list[str] = field(default_factory=list)
    """What was not followed, for a person to know."""

    def count(self, key: str, least: int = 1) -> int:
        """An integer of at least `least`."""
        value = self._get(key)
        if type(value) is int and least <= value <= limits.SIZE:
            return value
        self._wrong(key, f"an integer from {least} on")
        return max(least, 1)

    def optional(self, key: str) -> int | None:
        """An integer of at least 1, or None."""
        return None if self._get(key) is None else self.count(key)

    def counts(self, key: str, length: int) -> list[int]:
        """A list of so many integers."""
        value = self._get(key)
        fits = isinstance(value, list | tuple) and len(value) == length
        if fits and all(type(n) is int and 1 <= n <= limits.SIZE for n in value):
            return list(value)
        self._wrong(key, f"a list of {length} positive integers")
        return [1] * length

    def flag(self, key: str) -> bool:
        """A boolean, or a number that stands for one."""
        value = self._get(key)
        if isinstance(value, bool | int | float):
            return bool(value)
        self._wrong(key, "true or false")
        return True

    def by_query(self) -> bool:
        """Whether cross-attention is by default as wide as what asks, not as what is read."""
        value = self._get("cross_attention_shape_for_attention")
        if value not in ("q", "kv"):
            self._wrong("cross_attention_shape_for_attention", "`q` or `kv`")
        return bool(value == "q")

    def activation(self) -> str:
        """The activation of every MLP, by the name it has in specs."""
        value = self._get("hidden_act")
        if isinstance(value, str) and value in ACTIVATIONS:
            return ACTIVATIONS[value]
        self._wrong("hidden_act", f"one of {', '.join(ACTIVATIONS)}")
        return "gelu"

    def labels(self) -> int | None:
        """How many classes there are; None where the configuration leaves it out."""
        names = self.config.get("id2label")
        if isinstance(names, dict) and names:
            return len(names)
        value = self.config.get("num_labels")
        return value if type(value) is int and 1 <= value <= limits.SIZE else None

    def label_names(self, count: int) -> list[str] | None:
        """What so many classes are called, in order; None for names that are only their numbers.

        Names that cannot be used are noted.
        """
        given = self.config.get("id2label")
        if given is None:
            return None
        names = list(given.values()) if isinstance(given, dict) else []
        if names and all(name == f"LABEL_{key}" for key, name in given.items()):
            return None
        keys = {str(key): key for key in given} if isinstance(given, dict) else {}
        ordered = [given[keys[str(i)]] for i in range(count) if str(i) in keys]
        if len(ordered) == len(names) == count and all(isinstance(n, str) for n in ordered):
            return ordered
        self.notes.append(
            f"`id2label` of the configuration does not name the {count} classes 0 to {count - 1} "
            "one by one: its names were not taken"
        )
        return None

    def text(self, key: str) -> str | None:
        value = self.config.get(key)
        return value if isinstance(value, str) else None

    def wrong(self, message: str, help: str | None = None) -> None:
        """Report that settings cannot be used together."""
        self.report.error("PG310", message, help=help)

    def _get(self, key: str) -> Any:
        return self.config.get(key, DEFAULTS[key])

    def _wrong(self, key: str, expected: str) -> None:
        self.wrong(f"`{key}` of the configuration is {quote(self._get(key))}, not {expected}")
