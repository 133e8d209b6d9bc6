"""Two folders and the files in them that are not ours: carried along, and never removed."""

from __future__ import annotations

import os
import shutil
from contextlib import suppress
from pathlib import Path

from perceiver_graph.storage.claims import is_claim
from perceiver_graph.storage.exchange import rename_new
from perceiver_graph.storage.listing import Former


def collisions(stage: Path, folder: Path, former: Former, prefix: str = "") -> list[str]:
    """Files of `folder` that are not ours and stand where one of the stage is to go."""
    found: list[str] = []
    for entry in sorted(os.scandir(stage), key=lambda entry: entry.name):
        name = f"{prefix}{entry.name}"
        there = folder / name
        if entry.is_dir(follow_symlinks=False) and there.is_dir() and not there.is_symlink():
            found += collisions(Path(entry.path), folder, former, f"{name}/")
        elif os.path.lexists(there) and not former.has(folder, name):
            found.append(name)
    return found


class Carried:
    """Hard links in a new folder to what the folder before it holds and is not ours."""

    def __init__(self, source: Path, target: Path, former: Former) -> None:
        self._former = former
        self._links: list[Path] = []
        self._folders: list[Path] = []
        self.complete = True
        """Whether everything could be linked; if not, nothing is."""
        try:
            self._carry(source, target, "")
        except OSError:  # no hard links here, or not of files that belong to somebody else
            self.complete = False
            self.undo()

    def _carry(self, source: Path, target: Path, prefix: str) -> None:
        for entry in list(os.scandir(source)):
            name, place = f"{prefix}{entry.name}", target / entry.name
            if entry.is_dir(follow_symlinks=False):
                if not prefix and is_claim(entry.name):
                    continue  # another process is at work there: it goes along by itself
                fresh = not place.exists()
                if fresh:
                    place.mkdir()
                    self._folders.append(place)
                self._carry(Path(entry.path), place, f"{name}/")
                if fresh and list(os.scandir(entry.path)) and not list(os.scandir(place)):
                    place.rmdir()  # everything in it was ours
                elif fresh:
                    shutil.copystat(entry.path, place)
            elif name not in self._former.digests:
                os.link(entry.path, place, follow_symlinks=False)
                self._links.append(place)

    def undo(self) -> None:
        """Remove the links again."""
        for path in self._links:
            path.unlink(missing_ok=True)
        for folder in reversed(self._folders):
            with suppress(OSError):
                folder.rmdir()


def dissolve(old: Path, new: Path, former: Former, prefix: str = "") -> list[str]:
    """Remove a folder whose place `new` has taken, but for what is neither ours nor in `new`.

    That goes into `new`, if its name is free there. Returns the paths of what has to stay.
    """
    here = old / prefix if prefix else old
    left: list[str] = []
    try:
        here.chmod(0o700)  # files in it cannot be removed otherwise
        entries = list(os.scandir(here))
    except OSError:
        return [prefix.rstrip("/")]
    for entry in entries:
        name = f"{prefix}{entry.name}"
        if entry.is_dir(follow_symlinks=False) and not (not prefix and is_claim(entry.name)):
            left += dissolve(old, new, former, f"{name}/")
        elif not _gone(old, new, name, former):
            left.append(name)
    if not left:
        try:
            here.rmdir()
        except OSError:
            left.append(prefix.rstrip("/"))
    return left


def _gone(old: Path, new: Path, name: str, former: Former) -> bool:
    """Whether a file could be removed from the old folder without losing anything."""
    path, place = old / name, new / name
    try:
        twin = os.path.lexists(place) and os.path.samestat(path.lstat(), place.lstat())
        if twin or former.has(old, name):
            path.unlink()
            return True
        place.parent.mkdir(parents=True, exist_ok=True)
        return rename_new(path, place)
    except OSError:
        return False
