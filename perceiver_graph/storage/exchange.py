"""Renames that Python has no function for: two paths swapped at once, and one that never replaces."""

from __future__ import annotations

import ctypes
import errno
import os
import platform
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path

_HERE = -100  # AT_FDCWD: paths are relative to the current folder
_NO_REPLACE, _EXCHANGE = 1, 2
_APPLE_SWAP, _APPLE_EXCLUSIVE = 2, 4
_SYSTEM_CALLS = {"x86_64": 316, "aarch64": 276}  # renameat2, where the C library lacks it

_Rename = Callable[[bytes, bytes, int], int]


def exchange(left: Path, right: Path) -> bool:
    """Swap what lies at two paths of one file system, in one step.

    False where that cannot be done: the system or the file system does not know of it, one of them
    is a mount point, or one is not there.
    """
    return _renamed(left, right, _EXCHANGE) == 0


def rename_new(source: Path, target: Path) -> bool:
    """Rename, unless something lies at the target already: then False. Raises OSError."""
    fault = _renamed(source, target, _NO_REPLACE)
    if fault in (errno.EINVAL, errno.ENOSYS, errno.ENOTSUP, errno.EPERM):
        if os.path.lexists(target):
            return False
        try:
            source.rename(target)  # of a folder, never onto one that holds something
        except OSError as error:
            if error.errno in (errno.ENOTEMPTY, errno.EEXIST):
                return False
            raise
    elif fault == errno.EEXIST:
        return False
    elif fault:
        raise OSError(fault, os.strerror(fault), str(source), None, str(target))
    return True


def _renamed(source: Path, target: Path, flags: int) -> int:
    """0, or the error number of the system call."""
    rename = _system_call()
    if rename is None:
        return errno.ENOSYS
    # The rest of the library hears of renames through os; this one has to say it itself.
    sys.audit("os.rename", source, target, -1, -1)
    return 0 if rename(os.fsencode(source), os.fsencode(target), flags) == 0 else ctypes.get_errno()


@cache
def _system_call() -> _Rename | None:
    if sys.platform == "win32":
        return None
    library = ctypes.CDLL(None, use_errno=True)
    if sys.platform == "darwin":
        apple = getattr(library, "renamex_np", None)
        flags = {_EXCHANGE: _APPLE_SWAP, _NO_REPLACE: _APPLE_EXCLUSIVE}
        return apple and (lambda source, target, flag: apple(source, target, flags[flag]))
    direct = getattr(library, "renameat2", None)
    if direct is not None:
        return lambda source, target, flag: direct(_HERE, source, _HERE, target, flag)
    number = _SYSTEM_CALLS.get(platform.machine())
    if number is None:
        return None
    return lambda source, target, flag: library.syscall(number, _HERE, source, _HERE, target, flag)
