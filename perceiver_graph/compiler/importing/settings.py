"""The configuration of a transformers checkpoint: only what a model class asks for is looked at.

Defaults are those of `PerceiverConfig`, transformers 5.x. What is wrong is collected, so that one
run shows all of it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from perceiver_graph.compiler.weights.configuration import ACTIVATIONS
from perceiver_graph.diagnostics import Report, quote
from perceiver_graph.spec.models.base import LARGEST

DEFAULTS: Mapping[str, Any] = {
    "num_latents": 256,
    "d_latents": 1280,
    "d_model": 768,
    "num_blocks": 1,
    "num_self_attends_per_block": 26,
    "num_self_attention_heads": 8,
    "num_cross_attention_heads": 8,
    "qk_channels": None,
    "v_channels": None,
    "cross_attention_shape_for_attention": "kv",
    "self_attention_widening_factor": 1,
    "cross_attention_widening_factor": 1,
    "hidden_act": "gelu",
    "use_query_residual": True,
    "vocab_size": 262,
    "max_position_embeddings": 2048,
    "image_size": 56,
    "train_size": [368, 496],
    "num_frames": 16,
    "audio_samples_per_frame": 1920,
    "samples_per_patch": 16,
    "output_shape": [1, 16, 224, 224],
    "output_num_channels": 512,
    "_label_trainable_num_channels": 1024,
}


@dataclass
class Settings:
    """Typed access to a configuration; a value that cannot be used is reported (PG310)."""

    config: Mapping[str, Any]
    report: Report = field(default_factory=Report)

    def count(self, key: str, least: int = 1) -> int:
        """An integer of at least `least`."""
        value = self._get(key)
        if type(value) is int and least <= value <= LARGEST:
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
        if fits and all(type(n) is int and 1 <= n <= LARGEST for n in value):
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
        return value if type(value) is int and 1 <= value <= LARGEST else None

    def label_names(self) -> list[str] | None:
        """What the classes are called, in order; None for names that are only numbers."""
        given = self.config.get("id2label")
        if not isinstance(given, dict) or not all(re.fullmatch(r"\d{1,9}", str(k)) for k in given):
            return None
        names = {int(key): name for key, name in given.items()}
        if sorted(names) != list(range(len(names))):
            return None
        ordered = [names[i] for i in range(len(names))]
        if not all(isinstance(name, str) for name in ordered):
            return None
        return None if all(re.fullmatch(r"LABEL_\d+", name) for name in ordered) else ordered

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
