"""What a server takes."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Limits:
    """Bytes of a request, seconds for its answer, and how many may be inside at once."""

    request_bytes: int = 64 << 20
    seconds: float = 60.0
    waiting: int = 256
    states: int = 0
    """How many states of a model are kept; 0: it is not asked in two."""
    state_seconds: float = 300.0
    """How long one is kept that is not used."""
