"""Folders in which a process prepares what it writes, and how those of a dead process are recognised.

`.NAME.TOKEN.perceiver-graph` lies beside the file or the folder NAME (or in it) and holds `owner.json`,
on which its process has a lock for as long as it lives: no process id can be taken for another's.
"""

from __future__ import annotations

import json
import os
import re
import secrets
import shutil
import socket
import stat
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Self

from perceiver_graph.diagnostics import escape
from perceiver_graph.storage.locks import lock

SUFFIX = ".perceiver-graph"
_OWNER, _JOURNAL, _STAGE = "owner.json", "journal.json", "new"
_NAME = re.compile(r"\..*\.([0-9a-f]{8})" + re.escape(SUFFIX), re.DOTALL)
_NAME_BYTES = 100
_ATTEMPTS = 20


def is_claim(name: str) -> bool:
    """Whether a folder of this name is one of these."""
    return _NAME.fullmatch(name) is not None


@dataclass(eq=False)
class Claim:
    """A folder of this process in `folder.parent`, or one that a dead process left there."""

    folder: Path
    _handle: int = field(repr=False)
    kept: bool = False
    """Whether it holds something that nobody may remove."""
    process: int = field(default_factory=os.getpid)

    living: ClassVar[set[Claim]] = set()
    """Those of this process."""

    @classmethod
    def make(cls, parent: Path, name: str) -> Self:
        """A new one with an empty `stage`, for what is to be called `name`. Raises OSError."""
        short = os.fsencode(name)[:_NAME_BYTES].decode("utf-8", "ignore")
        for _ in range(_ATTEMPTS):
            folder = parent / f".{short}.{secrets.token_hex(4)}{SUFFIX}"
            try:
                folder.mkdir(0o700)
                handle = os.open(folder / _OWNER, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600)
            except (FileExistsError, FileNotFoundError):
                if not parent.is_dir():
                    raise
                continue  # the name is taken, or another process took the folder for a leftover
            except OSError:
                with suppress(OSError):
                    folder.rmdir()
                raise
            claim = cls(folder, handle)
            cls.living.add(claim)
            try:
                if lock(handle) is not False and (folder / _OWNER).exists():
                    os.write(
                        claim._handle, escape.json(_this_process(), indent=None, end="").encode()
                    )
                    claim.stage.mkdir()
                    return claim
            except BaseException:
                claim.remove()
                raise
            claim.remove()
        raise FileExistsError(f"nothing new can be made in {parent}")

    @classmethod
    def left_behind(cls, folder: Path) -> Self | None:
        """The claim of a process that is dead, now this one's; None if it may be alive, or unknown.

        What is not known to be a claim is not touched.
        """
        try:
            status = folder.lstat()
            if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.geteuid():
                return None
            names = [path.name for path in folder.iterdir()]
            if not names:  # it died between two calls; an empty folder is nobody's loss
                folder.rmdir()
                return None
            handle = os.open(folder / _OWNER, os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK)
        except OSError:
            return None
        claim = cls(folder, handle)
        if lock(handle) and claim._is_dead(names):
            cls.living.add(claim)
            return claim
        os.close(handle)
        return None

    @property
    def stage(self) -> Path:
        """The folder for what is being written."""
        return self.folder / _STAGE

    @property
    def journal(self) -> dict[str, Any] | None:
        """What was about to be done with the stage, if that was said; None too if it is damaged."""
        try:
            found = json.loads((self.folder / _JOURNAL).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return None
        return found if isinstance(found, dict) else None

    def write_journal(self, data: dict[str, Any]) -> None:
        """Say what is about to be done, so that another process can finish it. Raises OSError."""
        half = self.folder / f"{_JOURNAL}.half"
        half.write_text(escape.json(data, indent=None, end=""), encoding="utf-8")
        half.replace(self.folder / _JOURNAL)

    def remove(self) -> None:
        """Remove the folder, the proof of whose it is last of all; harmless if it is gone."""
        if self not in self.living or self.process != os.getpid():  # a fork has a copy of this
            return
        if not self.kept:
            for path in (self.stage, *self._others()):
                _remove(path)
            (self.folder / _OWNER).unlink(missing_ok=True)
            with suppress(OSError):
                self.folder.rmdir()
        self.living.discard(self)
        os.close(self._handle)

    def _others(self) -> list[Path]:
        try:
            return [path for path in self.folder.iterdir() if path.name != _OWNER]
        except OSError:
            return []

    def _is_dead(self, names: list[str]) -> bool:
        """Whether the process was one of this machine; that it holds no lock is known already."""
        try:
            written = os.read(self._handle, 4096)
            if not written:  # it died before it wrote anything
                return names == [_OWNER]
            owner = json.loads(written)
            here = _this_process()
            same = ("boot", "host") if owner["boot"] else ("host",)
            # A lock may not reach from one machine of a network to another. After a restart of
            # the machine no process of before is alive.
            return owner["tool"] == here["tool"] and any(owner[key] == here[key] for key in same)
        except (OSError, ValueError, TypeError, KeyError):
            return False


def _this_process() -> dict[str, str]:
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        boot = ""
    return {
        "tool": "perceiver-graph",
        "host": socket.gethostname(),
        "boot": boot,
        "process": str(os.getpid()),
    }


def _remove(path: Path) -> None:
    """Remove a file, a link or a whole folder, as far as that goes."""
    with suppress(OSError):
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)


def abandon() -> None:
    """Remove what this process has not put in place: the last thing that a command does."""
    for claim in tuple(Claim.living):
        claim.remove()
