"""Which files of a folder are ours: those whose digests are known, and no others."""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from perceiver_graph.storage.claims import is_claim

Digests = Mapping[str, str]
"""SHA-256 by the path of a file in its folder, with `/`."""
Owned = Callable[[Path], Digests]
"""Says which files of a folder are ours. Raises `NotOurs` for a folder that is none of ours."""

Signature = tuple[int, int, int, int]


class NotOurs(Exception):  # noqa: N818 - it is an answer
    """What stands there was not written by this program, or has been changed since: why."""


def digest(path: Path) -> str:
    """The SHA-256 of a file, with links followed. Raises OSError."""
    with open(path, "rb", opener=_at_once) as stream:
        if not stat.S_ISREG(os.fstat(stream.fileno()).st_mode):
            raise OSError(f"{path} is not a regular file")
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _at_once(path: str, flags: int) -> int:
    """Open a named pipe without waiting for somebody to write to it."""
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))


def signature(path: Path) -> Signature:
    """What changes when a file is changed or replaced. Raises OSError."""
    status = path.lstat()
    return status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns


def is_plain(name: str) -> bool:
    """Whether a path stays in the folder that it is relative to."""
    path = PurePosixPath(name)
    return path.as_posix() == name and not path.is_absolute() and ".." not in path.parts != ()


@dataclass(frozen=True)
class Former:
    """The files of a folder that are proven to be ours, and how they looked when that was proven."""

    digests: dict[str, str] = field(default_factory=dict)
    signatures: dict[str, Signature] = field(default_factory=dict)

    def has(self, folder: Path, name: str) -> bool:
        """Whether a file is, still, one that was proven to be ours."""
        if name not in self.digests:
            return False
        path = folder / name
        try:
            return (
                signature(path) == self.signatures.get(name) or digest(path) == self.digests[name]
            )
        except OSError:
            return False


def prove(folder: Path, owned: Owned, known: Former | None = None) -> Former:
    """What of a folder is ours. Files that `owned` lists and that are gone are no loss.

    `known` are earlier findings, which save reading files that nobody has touched. Raises `NotOurs`
    and OSError.
    """
    found = Former()
    for name, expected in owned(folder).items():
        path = folder / name
        try:
            seen = signature(path)
        except (FileNotFoundError, NotADirectoryError):
            continue
        trusted = known is not None and known.signatures.get(name) == seen
        if not (trusted and known is not None and known.digests[name] == expected):
            try:
                changed = digest(path) != expected
            except FileNotFoundError:  # a link that leads nowhere
                changed = True
            if changed:
                raise NotOurs(f"`{name}` in it has changed since it was written")
        found.digests[name] = expected
        found.signatures[name] = seen
    for name in _bytecode(folder, found.digests):
        found.digests[name] = digest(folder / name)
        found.signatures[name] = signature(folder / name)
    return found


def _bytecode(folder: Path, names: Iterable[str]) -> list[str]:
    """What Python has kept of modules that are ours.

    It would outlive them: to be of the same second and of as many bytes is enough for Python to run it
    in the place of a new module.
    """
    found: list[str] = []
    for module in (PurePosixPath(name) for name in names if name.endswith(".py")):
        cache = folder / module.parent / "__pycache__"
        if cache.is_dir() and not cache.is_symlink():
            kept = [path for path in cache.glob("*.pyc") if path.name.split(".")[0] == module.stem]
            found += [path.relative_to(folder).as_posix() for path in kept if path.is_file()]
    return found


def is_empty(folder: Path) -> bool:
    """Whether a folder holds nothing but what is being prepared there. Raises OSError."""
    return all(is_claim(path.name) for path in folder.iterdir())


def files_of(folder: Path) -> Iterator[str]:
    """The paths of everything in a folder that is no folder, in order. Raises OSError."""
    for path in sorted(folder.iterdir()):
        if path.is_dir() and not path.is_symlink():
            yield from (f"{path.name}/{name}" for name in files_of(path))
        else:
            yield path.name
