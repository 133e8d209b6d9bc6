"""What Prometheus is told of the calls of a model, beside the seconds that KServe measures."""

from __future__ import annotations

from functools import cache
from importlib import import_module
from typing import Any

_SIZES = (1, 2, 4, 8, 16, 32, 64, 128, 256)


class Watch:
    """Is told what happens to calls, and does nothing with it."""

    def waits(self, change: int) -> None:
        """So many more requests, or fewer, wait for others to go with or for a thread."""

    def goes(self, elements: int) -> None:
        """The program is called, with so many batch elements."""


class Measured(Watch):
    """Keeps it for Prometheus."""

    def __init__(self, model: str) -> None:
        waiting, elements = _metrics()
        self._waiting, self._elements = waiting.labels(model), elements.labels(model)

    def waits(self, change: int) -> None:
        """As `Watch.waits`."""
        self._waiting.inc(change)

    def goes(self, elements: int) -> None:
        """As `Watch.goes`."""
        self._elements.observe(elements)


@cache
def _metrics() -> tuple[Any, Any]:
    prometheus: Any = import_module("prometheus_client")
    label = ["model_name"]
    waiting = "requests that wait for others to go with, or for a thread"
    return (
        prometheus.Gauge("perceiver_graph_requests_waiting", waiting, label),
        prometheus.Histogram(
            "perceiver_graph_call_elements", "batch elements of a call", label, buckets=_SIZES
        ),
    )
