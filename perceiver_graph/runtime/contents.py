"""The files of an artifact: those that the manifest describes, when it is opened and ever after.

Programs are opened long after the check, and again where another shape or process needs a session. The
folder may have been replaced by then, for example by compiling into it anew.
"""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from perceiver_graph.choices import Verify
from perceiver_graph.diagnostics import DiagnosticError, Report, quote
from perceiver_graph.runtime import verified
from perceiver_graph.runtime.verified import Identity
from perceiver_graph.spec.manifest import FileEntry

Progress = Callable[[int, int], None]
"""Called with how much is done (bytes checked, chunks decoded) and how much there is to do."""

_BLOCK = 2**20
_AGAIN = "copy the whole folder again, or compile again"


@dataclass(frozen=True)
class Contents:
    """The files of a folder as they were checked. `place` is an absolute path without links."""

    place: Path
    _files: Mapping[str, FileEntry]
    _checked: dict[str, Identity]

    @classmethod
    def check(
        cls,
        directory: Path,
        files: Mapping[str, FileEntry],
        report: Report,
        progress: Progress | None = None,
        verify: Verify = "always",
    ) -> Contents:
        """Read every file; what is missing (PG401) or differs from its entry (PG402) is reported.
        With `once`, those are not read again that were, and have not changed since."""
        place = directory.resolve()
        before = verified.known(place, files) if verify == "once" else {}
        contents = cls(place, files, dict(before))
        contents._read(directory, report, progress)
        if verify == "once" and contents._checked != before:
            verified.keep(place, files, contents._checked)
        return contents

    def require_unchanged(self) -> None:
        """Read those files again that are no longer the same ones. Raises DiagnosticError (PG402)."""
        report = Report()
        self._read(self.place, report)
        if report.has_errors:
            raise DiagnosticError.of(
                "PG402",
                f"{self.place} is not the artifact that was loaded: it has changed since",
                notes=[found.message for found in report.diagnostics],
                help="load it again",
            )

    def _read(self, directory: Path, report: Report, progress: Progress | None = None) -> None:
        """Check the files that are not known. `directory` is what it is called in messages."""
        total, done = sum(entry.bytes for entry in self._files.values()), 0

        def advance(count: int) -> None:
            nonlocal done
            done += count
            if progress is not None:
                progress(done, total)

        for name, entry in self._files.items():
            try:
                status = (self.place / name).stat()
                if self._checked.get(name) == _identity(status):
                    continue
                fault = _fault(self.place / name, status, entry, advance)
            except FileNotFoundError:
                message = f"{quote(name)}, which the manifest lists, is not in {directory}"
                report.error("PG401", message, help=_AGAIN)
            except OSError as error:
                message = f"{directory / name} cannot be read: {error.strerror or error}"
                report.error("PG401", message, help=_AGAIN)
            else:
                if fault:
                    report.error("PG402", f"{directory / name} {fault}", help=_AGAIN)
                else:
                    self._checked[name] = _identity(status)


def _identity(status: os.stat_result) -> Identity:
    return (
        status.st_dev,
        status.st_ino,
        status.st_size,
        status.st_mtime_ns,
        status.st_ctime_ns,  # which nobody can set back
    )


def _fault(
    path: Path, status: os.stat_result, entry: FileEntry, advance: Callable[[int], None]
) -> str | None:
    """What sets a file apart from its entry; one of the wrong size need not be read."""
    if not stat.S_ISREG(status.st_mode):
        return "is not a regular file"
    if status.st_size != entry.bytes:
        return f"has {status.st_size} bytes, and the manifest says {entry.bytes}"
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while block := stream.read(_BLOCK):
            digest.update(block)
            advance(len(block))
    if digest.hexdigest() != entry.sha256:
        return "has changed since it was compiled: its SHA-256 is not that of the manifest"
    return None
