"""A file that is written whole or not at all, and a group of files that belong together."""

from __future__ import annotations

import errno
import os
import re
import shutil
import stat
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from os import PathLike
from pathlib import Path

from perceiver_graph.diagnostics import DiagnosticError, quote
from perceiver_graph.signals import Shield
from perceiver_graph.storage.claims import Claim, is_claim
from perceiver_graph.storage.exchange import rename_new
from perceiver_graph.storage.filling import Filling
from perceiver_graph.storage.groups import keep_group
from perceiver_graph.storage.leftovers import sweep
from perceiver_graph.storage.listing import Former
from perceiver_graph.storage.locks import alone_in


def is_here(path: str | PathLike[str]) -> bool:
    """Whether there is a file or a folder of this name."""
    try:
        return Path(path).exists()
    except (OSError, ValueError):  # a name that is too long, a NUL character
        return False


def unwritable(
    path: str | PathLike[str], fault: object, help: str | None = None
) -> DiagnosticError:
    """The diagnostic PG511 for a result; `fault` is what is wrong, or an exception."""
    if isinstance(fault, OSError) and fault.errno in NO_ROOM:
        help = "free space, or name a place where a file may be as large"
    if isinstance(fault, Exception):
        fault = getattr(fault, "strerror", None) or str(fault) or type(fault).__name__
    return DiagnosticError.of(
        "PG511",
        f"{quote(path, 200)} cannot be written: {fault}",
        help=help or "name a file in an existing folder that you may write to",
    )


NO_ROOM = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_DESCRIPTOR = re.compile(r"/dev/fd/(\d+)|/proc/self/fd/(\d+)|/dev/(stdin|stdout|stderr)")
_STANDARD = ("stdin", "stdout", "stderr")


def descriptor(path: str | PathLike[str]) -> int | None:
    """The number of an open file of this process that a path stands for."""
    found = _DESCRIPTOR.fullmatch(os.fspath(path))
    if found is None:
        return None
    return _STANDARD.index(found[3]) if found[3] else int(found[1] or found[2])


@contextmanager
def staged_file(path: str | PathLike[str], *, new: bool = False) -> Iterator[Path]:
    """A path to write to, of the same name and suffix; the file takes its place at the end.

    `new`: what is there already is an error. A link is followed; what is no regular file, and what is
    open already (a pipe, `/dev/stdout`), is written into. If the block ends with an exception, what
    was there before stays. Raises DiagnosticError (PG511), for every OSError of the block too.
    """
    number = descriptor(path)
    if number is not None:
        with _into(Path(path), partial(os.dup, number)) as temporary:
            yield temporary
        return
    try:
        place = Path(os.path.realpath(path))
        special = place.exists() and not stat.S_ISREG(place.stat().st_mode)
    except (OSError, ValueError) as error:
        raise unwritable(path, error) from error
    if place.is_dir():
        raise unwritable(path, "it is a folder")
    if not place.parent.is_dir():
        raise unwritable(path, f"there is no folder {quote(Path(path).parent, 200)}")
    if new and os.path.lexists(path):
        raise _exists(path)
    into = _into(Path(path), partial(os.open, path, os.O_WRONLY))
    with into if special else _beside(Path(path), place, new) as temporary:
        yield temporary


@contextmanager
def _beside(path: Path, place: Path, new: bool) -> Iterator[Path]:
    with Shield() as shield:
        try:
            if not any(is_claim(part) for part in place.parent.parts):
                sweep(place.parent)
            claim = Claim.make(place.parent, place.name)
        except OSError as error:
            raise unwritable(path, error) from error
        temporary = claim.stage / place.name
        try:
            with shield.opened():
                yield temporary
            if new:
                if not rename_new(temporary, place):
                    raise _exists(path)
            else:
                if place.exists():
                    keep_group([temporary], place)
                    temporary.chmod(stat.S_IMODE(place.stat().st_mode))
                temporary.replace(place)
        except OSError as error:
            raise unwritable(path, error) from error
        finally:
            shield.close()
            claim.remove()


@contextmanager
def _into(path: Path, opened: Callable[[], int]) -> Iterator[Path]:
    """For a device, a pipe or an open file: what was written goes into it."""
    try:
        with tempfile.TemporaryDirectory() as folder:
            temporary = Path(folder) / (path.name or "file")
            yield temporary
            with temporary.open("rb") as source, os.fdopen(opened(), "wb") as target:
                shutil.copyfileobj(source, target)
    except OSError as error:
        raise unwritable(path, error) from error


def _exists(path: str | PathLike[str]) -> DiagnosticError:
    return unwritable(
        path, "it exists already", "choose another name, or move or remove the file first"
    )


class Group:
    """Files that belong together, prepared in `stage` and put into a folder by `publish`."""

    def __init__(self, folder: Path, claim: Claim) -> None:
        self.stage = claim.stage
        self._folder = folder
        self._claim = claim

    def publish(self, former: Former, last: str, *, keep: bool = True) -> list[str]:
        """Put all files of the stage into the folder, `last` after the others.

        They replace only what `former` proves to be ours, of which what has no successor goes, unless
        it is to be kept. Returns the names of those that could
        not go because something else is in the way: then none is. Raises OSError.
        """
        with Shield(), alone_in(self._folder):
            work = Filling.of(self.stage, former, last, keep=keep)
            taken = work.blocked(self._claim, self._folder)
            return taken or work.begin(self._claim, self._folder)


@contextmanager
def staged_group(folder: Path, name: str) -> Iterator[Group]:
    """Files for a folder that exists and holds other things. Raises OSError.

    If the block ends without `publish`, nothing is left.
    """
    with Shield() as shield:
        sweep(folder)
        claim = Claim.make(folder, name)
        try:
            with shield.opened():
                yield Group(folder, claim)
        finally:
            shield.close()
            claim.remove()
