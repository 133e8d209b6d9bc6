"""The group of users that a file or a folder belongs to."""

from __future__ import annotations

import os
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path


def keep_group(paths: Iterable[Path], former: Path) -> None:
    """Give new paths the group of what they replace, as far as the caller may (root, a member).

    Before permissions are set: the system takes some away when the group changes.
    """
    if not hasattr(os, "chown"):  # Windows
        return
    group = former.stat().st_gid
    for path in paths:
        if path.stat().st_gid != group:
            with suppress(PermissionError):
                os.chown(path, -1, group)
