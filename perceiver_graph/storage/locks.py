"""Locks that end with their process, where the system and the file system have them."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

try:
    import fcntl
except ImportError:  # without them nothing is known to be left by the dead, and nobody waits
    fcntl = None  # type: ignore[assignment]

_PATIENCE = 60.0
_PAUSE = 0.02


def lock(handle: int) -> bool | None:
    """Whether this process has the lock of an open file now; None where there are no locks."""
    if fcntl is None:
        return None
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return None
    return True


@contextmanager
def alone_in(folder: Path) -> Iterator[None]:
    """A block during which others that enter it for the same folder wait, for a minute at most."""
    handle = None
    with suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
    try:
        deadline = time.monotonic() + _PATIENCE
        while handle is not None and lock(handle) is False and time.monotonic() < deadline:
            time.sleep(_PAUSE)
        yield
    finally:
        if handle is not None:
            os.close(handle)
