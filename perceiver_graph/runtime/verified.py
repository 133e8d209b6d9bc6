"""Which files were already read and found right, by any process of this user: `load(PATH, verify="once")`.

Reading every byte of a large artifact takes longer than making its session ready. Whoever trusts the
folder since it was first checked need not do so again: a file counts as the same as long as its inode,
size and times do, of which the time of change is set by the system alone.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path

from perceiver_graph.diagnostics import escape
from perceiver_graph.spec.manifest import FileEntry
from perceiver_graph.storage.caches import Cache

Identity = tuple[int, ...]
"""Shows, without reading a file again, that it is the one that was read."""

_CACHE = Cache("verified", 4 * 2**20)


def known(place: Path, files: Mapping[str, FileEntry]) -> dict[str, Identity]:
    """What the files of a folder were when they were found to be these; those not known are left out."""
    try:
        kept = json.loads(_CACHE.read(_key(place)) or b"{}")
        found = {name: (tuple(identity), digest) for name, (identity, digest) in kept.items()}
    except (ValueError, TypeError, AttributeError):  # another release wrote it
        return {}
    return {
        name: found[name][0]
        for name, entry in files.items()
        if name in found and found[name][1] == entry.sha256
    }


def keep(place: Path, files: Mapping[str, FileEntry], checked: Mapping[str, Identity]) -> None:
    """Remember files that were found to be these."""
    kept = {name: (identity, files[name].sha256) for name, identity in checked.items()}
    _CACHE.keep(_key(place), escape.json(kept, indent=None).encode())


def _key(place: Path) -> str:
    return hashlib.sha256(str(place).encode("utf-8", "surrogateescape")).hexdigest()
