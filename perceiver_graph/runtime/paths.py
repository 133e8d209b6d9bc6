"""Whether what somebody typed is a path: it may also be a text, of any length."""

from __future__ import annotations

from pathlib import Path


def is_path(value: str) -> bool:
    """Whether something exists under this path; False for what can be no path at all, nothing too."""
    try:
        return bool(value) and Path(value).exists()
    except (OSError, ValueError):  # too long, or with a NUL in it
        return False
