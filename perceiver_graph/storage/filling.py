"""New files put into a folder that stays where it is, in steps that another process can finish.

For folders that cannot be swapped as a whole: a mount point, the current folder of a shell, a file
system without exchange; and for folders that are not ours, into which a run puts its results.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Self

from perceiver_graph.storage.claims import Claim
from perceiver_graph.storage.listing import Former, digest, files_of, is_plain

_COPY, _INTERIM = "copy", "interim"
KIND = "fill"


@dataclass(frozen=True)
class Filling:
    """What is to be done with the stage of a claim: the journal of this work.

    Files go to their places one by one, `last` after all others. Where `interim` is set, `last` is
    first replaced by a text that refers to the files in the stage, so that the folder is complete
    at every moment; they are linked to their places then, and not moved.
    """

    files: Mapping[str, str]
    """The new files with their digests."""
    former: Mapping[str, str]
    """The files that they take the place of, with theirs."""
    last: str
    interim: bool = False
    kind: str = KIND
    obsolete: Sequence[str] = field(default=())

    @classmethod
    def of(cls, stage: Path, former: Former, last: str, *, keep: bool = False) -> Self:
        """Everything in a stage. `keep`: files of before that have no successor stay.

        Raises OSError.
        """
        files = {name: digest(stage / name) for name in files_of(stage)}
        gone = () if keep else tuple(name for name in former.digests if name not in files)
        return cls(files, dict(former.digests), last, obsolete=gone)

    @classmethod
    def read(cls, data: Mapping[str, Any]) -> Self | None:
        """What a journal says; None if it says nothing that can be done."""
        try:
            found = cls(**data)
            names = [*found.files, *found.former, *found.obsolete, found.last]
            return found if all(is_plain(name) for name in names) else None
        except (TypeError, AttributeError):
            return None

    def begin(self, claim: Claim, folder: Path, interim: str | None = None) -> list[str]:
        """Write the journal and do the work; see `go_on`."""
        work = type(self)(**{**asdict(self), "interim": interim is not None})
        claim.write_journal(asdict(work))
        if interim is not None:
            text = claim.folder / _INTERIM
            text.write_text(interim, encoding="utf-8")
            text.replace(folder / self.last)
        return work.go_on(claim, folder)

    def go_on(self, claim: Claim, folder: Path) -> list[str]:
        """Do what is not done yet. Returns the files that had to stay in the stage: where they
        would go, there is something that is not ours. Raises OSError."""
        names = sorted(self.files, key=lambda name: name == self.last)
        foreign = self.blocked(claim, folder)
        if foreign and self.interim:
            return foreign  # the folder is complete as it is
        for name in names:
            staged = claim.stage / name
            if name in foreign or not staged.exists():
                continue
            place = folder / name
            place.parent.mkdir(parents=True, exist_ok=True)
            if self.interim:
                staged = _duplicate(staged, claim.folder / _COPY)
            staged.replace(place)
        for name in self.obsolete:
            if Former({name: self.former[name]}).has(folder, name):
                (folder / name).unlink()
                _prune(folder, name)
        return foreign

    def blocked(self, claim: Claim, folder: Path) -> list[str]:
        """The files in whose places there is something that is not ours."""
        return [name for name in self.files if not self._may_go(claim, folder, name)]

    def _may_go(self, claim: Claim, folder: Path, name: str) -> bool:
        """Whether a place is free, or holds what was proven to be ours, or has the new file."""
        place = folder / name
        if not os.path.lexists(place) or (self.interim and name == self.last):
            return True
        if not (claim.stage / name).exists():
            return True  # it is there already
        known = {self.files[name], self.former.get(name, "")}
        try:
            return digest(place) in known
        except OSError:
            return False


def _duplicate(path: Path, copy: Path) -> Path:
    """A second name for a file, or a copy of it."""
    copy.unlink(missing_ok=True)
    try:
        os.link(path, copy)
    except OSError:
        shutil.copy2(path, copy)
    return copy


def _prune(folder: Path, name: str) -> None:
    """Remove the folders of a file that is gone, where they are empty now."""
    for parent in (folder / name).parents:
        if parent == folder:
            return
        try:
            parent.rmdir()
        except OSError:
            return
