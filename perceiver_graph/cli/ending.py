"""A process that is told to end cleans up first: SIGTERM and SIGHUP, as Ctrl-C does."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from perceiver_graph.signals import ENDING, Shield, answered

_WORDS = {"SIGINT": "interrupted", "SIGTERM": "terminated", "SIGHUP": "hung up"}
WORDS = {128 + number: _WORDS[number.name] for number in ENDING}
"""What is said of an exit code that stands for a signal."""


@contextmanager
def orderly() -> Iterator[None]:
    """In this block signals are `answered`.

    What processes have prepared and not put in place is removed at the end.
    """
    with answered():
        try:
            yield
        finally:
            if storage := sys.modules.get("perceiver_graph.storage"):
                with Shield():
                    storage.abandon()
