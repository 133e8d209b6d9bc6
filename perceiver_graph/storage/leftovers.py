"""Finishes or removes what runs that were killed have left, and says so."""

from __future__ import annotations

import os
from pathlib import Path

from perceiver_graph.signals import Shield
from perceiver_graph.storage import filling
from perceiver_graph.storage.claims import Claim, is_claim
from perceiver_graph.storage.listing import Former, is_plain
from perceiver_graph.storage.merging import dissolve
from perceiver_graph.storage.notes import tell

EXCHANGE = "exchange"


def sweep(folder: Path) -> None:
    """Take care of what dead processes of this machine have left in a folder.

    Only what is proven to be theirs is touched. What cannot be removed stays, and is told.
    """
    try:
        names = sorted(entry.name for entry in os.scandir(folder) if is_claim(entry.name))
    except OSError:
        return
    for name in names:
        with Shield():
            claim = Claim.left_behind(folder / name)
            if claim is None:
                continue
            try:
                done = _taken_care_of(claim, folder)
            except OSError as error:
                claim.kept = True
                done = f"cannot be removed: {error.strerror or error}"
            finally:
                claim.remove()
            tell(f"{folder / name}, which a run that was killed has left, {done}")


def _taken_care_of(claim: Claim, folder: Path) -> str:
    """Finish or undo what was going on; what became of it. Raises OSError."""
    journal = claim.journal or {}
    if journal.get("kind") == filling.KIND:
        work = filling.Filling.read(journal)
        left = work.go_on(claim, folder) if work is not None else ["journal.json"]
        claim.kept = bool(left)
        return "is kept: files of another name are in the way" if left else "was finished"
    if journal.get("kind") == EXCHANGE and _is_former(claim, journal.get("inode")):
        target, digests = journal.get("target"), journal.get("former")
        if isinstance(target, str) and is_plain(target) and isinstance(digests, dict):
            if (folder / target).is_dir():
                claim.kept = bool(dissolve(claim.stage, folder / target, Former(digests)))
            else:
                claim.kept = True
        if claim.kept:
            return "is kept: it holds files that are nowhere else"
    return "was removed"


def _is_former(claim: Claim, inode: object) -> bool:
    """Whether the stage holds the folder of before: the swap was done."""
    try:
        status = claim.stage.lstat()
    except OSError:
        return False
    return inode == [status.st_dev, status.st_ino]
