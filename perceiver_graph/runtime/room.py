"""Whether this machine has the memory for an array, asked before it is made.

Most systems promise memory that they do not have, and end the process that uses it.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from functools import cache
from math import prod
from pathlib import Path
from typing import Any

import numpy as np

from perceiver_graph.diagnostics import DiagnosticError
from perceiver_graph.runtime.chunks import format_size

_LIMIT = Path("/sys/fs/cgroup/memory.max")


def require_room(shape: Sequence[int], dtype: str | np.dtype[Any], what: str, help: str) -> None:
    """Raise DiagnosticError (PG603) for an array that is larger than the memory of the machine."""
    needed, there = prod(shape) * np.dtype(dtype).itemsize, memory()
    if needed > there:
        sizes = " x ".join(map(str, shape))
        raise DiagnosticError.of(
            "PG603",
            f"{what} is {sizes} of {dtype}, {format_size(needed)}, and this machine has "
            f"{format_size(there)}",
            help=help,
        )


@cache
def memory() -> int:
    """Bytes of memory that this process may use at most."""
    try:
        there = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError, OSError):  # not on this operating system
        there = 2**46
    try:
        return min(there, int(_LIMIT.read_text(encoding="ascii")))
    except (OSError, ValueError):  # no such file; or `max`, which is no limit
        return there
