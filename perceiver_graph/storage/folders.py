"""A folder that is written whole or not at all, and replaces only what is proven to be ours."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from perceiver_graph.diagnostics import DiagnosticError, quote
from perceiver_graph.diagnostics.commands import elsewhere
from perceiver_graph.signals import Shield
from perceiver_graph.storage.claims import Claim
from perceiver_graph.storage.exchange import exchange, rename_new
from perceiver_graph.storage.files import NO_ROOM
from perceiver_graph.storage.filling import Filling
from perceiver_graph.storage.groups import keep_group
from perceiver_graph.storage.leftovers import EXCHANGE, sweep
from perceiver_graph.storage.listing import Former, NotOurs, Owned, is_empty, prove
from perceiver_graph.storage.locks import alone_in
from perceiver_graph.storage.merging import Carried, collisions, dissolve
from perceiver_graph.storage.notes import tell

Interim = Callable[[Path, str], str]
"""The text of the last file of a folder while the others lie under a path in it."""

_ATTEMPTS = 5


@dataclass(frozen=True)
class FolderKind:
    """A kind of folder that this program writes.

    `owned` recognises one. `last` is the file that makes it complete; `interim` is its text while
    all others lie elsewhere, for a kind where that is possible.
    """

    owned: Owned
    last: str
    interim: Interim | None = None


def refuse_foreign(directory: str | Path, kind: FolderKind) -> Former:
    """What of a folder is ours to replace. Raises DiagnosticError (PG407) if anything is not.

    What a dead process has left there is cleared first.
    """
    shown = quote(directory, 200)
    try:
        real = _real(directory)
        for folder in (real.parent, real):
            sweep(folder)
        if not os.path.lexists(real):
            return Former()
        if not real.is_dir():
            raise _refused(f"{shown} is a file")
        if is_empty(real):
            return Former()
        try:
            return prove(real, kind.owned)
        except NotOurs:
            with alone_in(real.parent):  # another process may have been in the middle of writing it
                return prove(real, kind.owned)
    except NotOurs as reason:
        raise _refused(f"{shown} is not replaced: {reason}") from None
    except (OSError, ValueError) as error:
        raise _not_written(directory, error) from error


@contextmanager
def staged_folder(directory: str | Path, kind: FolderKind) -> Iterator[Path]:
    """A new folder beside `directory` that takes its place when the block ends well.

    What stood there before must be proven to be ours; files of others in it are kept, and stand in
    the folder afterwards. The change is one step: a process that is killed at any moment leaves the
    old folder or the new one. Whatever ends the block early leaves what was there and no trace.
    Raises DiagnosticError (PG407).
    """
    former = refuse_foreign(directory, kind)
    made: list[Path] = []
    with Shield() as shield:
        try:
            place = _Place.of(_real(directory), kind, former, made)
        except (OSError, ValueError) as error:
            _remove_empty(made)
            raise _not_written(directory, error) from error
        try:
            with shield.opened():
                yield place.claim.stage
            place.take()
            made.clear()
        except NotOurs as reason:
            raise _refused(f"{quote(directory, 200)} is not replaced: {reason}") from None
        except OSError as error:
            raise _not_written(directory, error) from error
        finally:
            shield.close()
            place.claim.remove()
            _remove_empty(made)


class _Place:
    """Where a folder is to stand, and the claim in which it is prepared."""

    def __init__(self, path: Path, kind: FolderKind, former: Former, claim: Claim) -> None:
        self.path = path
        self.kind = kind
        self.former = former
        self.claim = claim

    @classmethod
    def of(cls, path: Path, kind: FolderKind, former: Former, made: list[Path]) -> _Place:
        """With a claim beside it, or in it where it cannot be swapped. Raises OSError."""
        _make_parents(path, made)
        if not _stays(path):
            try:
                return cls(path, kind, former, Claim.make(path.parent, path.name))
            except OSError:
                if not path.is_dir():
                    raise
        return cls(path, kind, former, Claim.make(path, path.name or "folder"))

    def take(self) -> None:
        """Put the stage in place. Raises NotOurs and OSError."""
        with alone_in(self.path.parent):
            for _ in range(_ATTEMPTS):
                if self._taken():
                    return
        raise NotOurs("another process keeps writing there")

    def _taken(self) -> bool:
        """False if another process was faster and it has to be looked at anew."""
        path, claim = self.path, self.claim
        if not os.path.lexists(path):
            return rename_new(claim.stage, path)
        if not path.is_dir():
            raise NotOurs("it is a file now")
        self.former = Former() if is_empty(path) else prove(path, self.kind.owned, self.former)
        foreign = collisions(claim.stage, path, self.former)
        if foreign:
            raise NotOurs(f"{_named(foreign)} in it would be replaced, and no manifest lists it")
        keep_group([claim.stage, *claim.stage.rglob("*")], path)
        if claim.folder.parent == path or not self._swapped():
            self._fill()
        return True

    def _swapped(self) -> bool:
        path, claim = self.path, self.claim
        if not list(path.iterdir()):
            with suppress(OSError):
                claim.stage.chmod(path.stat().st_mode & 0o7777)
                claim.stage.rename(path)
                return True
        carried = Carried(path, claim.stage, self.former)
        if not carried.complete:
            return False
        status = path.stat()
        claim.stage.chmod(status.st_mode & 0o7777)
        journal = {"kind": EXCHANGE, "target": path.name, "former": self.former.digests}
        claim.write_journal(journal | {"inode": [status.st_dev, status.st_ino]})
        if not exchange(claim.stage, path):
            carried.undo()
            return False
        left = dissolve(claim.stage, path, self.former)
        if left:
            claim.kept = True
            tell(f"{_named(left)} came while {path} was replaced, and is kept in {claim.stage}")
        return True

    def _fill(self) -> None:
        """Put the files in place one by one."""
        claim = self.claim
        if claim.folder.parent != self.path:
            inner = Claim.make(self.path, self.path.name or "folder")
            try:
                inner.stage.rmdir()
                claim.stage.rename(inner.stage)
            except BaseException:
                inner.remove()
                raise
            claim.remove()
            self.claim = claim = inner
        work = Filling.of(claim.stage, self.former, self.kind.last)
        interim = None
        if self.kind.interim is not None:
            prefix = claim.stage.relative_to(self.path).as_posix()
            interim = self.kind.interim(claim.stage, prefix)
        elif self.former.digests:
            raise NotOurs(
                "it is somebody's current folder, or its file system cannot swap folders in one step"
            )
        left = work.begin(claim, self.path, interim)
        if left:
            claim.kept = True
            raise NotOurs(
                f"{_named(left)} came while it was written: {claim.stage} has the new files"
            )


def _stays(path: Path) -> bool:
    """Whether a folder must not be moved: somebody stands in it, or another disk is mounted there."""
    if not path.name or os.path.ismount(path):
        return True
    try:
        return Path.cwd().is_relative_to(path)
    except OSError:
        return False


def _real(directory: str | Path) -> Path:
    """The place itself, where it is given by a link, or as `.`. Raises OSError and ValueError."""
    return Path(os.path.realpath(directory))


def _make_parents(path: Path, made: list[Path]) -> None:
    """Make the folders that lead to a path, and add those that were made to a list."""
    missing = []
    parent = path.parent
    while not parent.exists() and parent != parent.parent:
        missing.append(parent)
        parent = parent.parent
    for folder in reversed(missing):
        try:
            folder.mkdir()
        except FileExistsError:
            continue
        made.append(folder)


def _remove_empty(folders: list[Path]) -> None:
    for folder in reversed(folders):
        with suppress(OSError):
            folder.rmdir()


def _named(names: list[str]) -> str:
    more = f" and {len(names) - 1} more" if len(names) > 1 else ""
    return f"{quote(names[0])}{more}"


def _refused(message: str) -> DiagnosticError:
    return DiagnosticError.of(
        "PG407",
        message,
        notes=["nothing was written"],
        help=f"{elsewhere()}, or move it away first",
    )


def _not_written(directory: str | Path, error: Exception) -> DiagnosticError:
    reason = getattr(error, "strerror", None) or str(error)
    return DiagnosticError.of(
        "PG407",
        f"{quote(directory, 200)} cannot be written: {reason}",
        notes=["nothing was left behind"],
        help=f"{_mended(error)}{elsewhere()}",
    )


def _mended(error: Exception) -> str:
    """What can be done about the place itself, as the reason says."""
    number = error.errno if isinstance(error, OSError) else None
    if number in (errno.EACCES, errno.EPERM):
        return "let this user write there, or "
    return "free space, or " if number in NO_ROOM else ""
