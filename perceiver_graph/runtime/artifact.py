"""Opens artifacts: nothing in one is used before its manifest and every file it lists are checked.

An artifact may come from anywhere, so the manifest names no path out of its folder. A file may be a
link, as in the cache of a hub: what it leads to is used only if it has the digest of the manifest.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any

from pydantic import ValidationError

from perceiver_graph import limits
from perceiver_graph.choices import Verify
from perceiver_graph.diagnostics import DiagnosticError, Report, quote
from perceiver_graph.diagnostics.commands import setting
from perceiver_graph.extensions import LOADED, load_installed
from perceiver_graph.runtime.consistency import check_programs
from perceiver_graph.runtime.contents import Contents, Progress
from perceiver_graph.runtime.external import check_references
from perceiver_graph.runtime.nearby import what_makes_one
from perceiver_graph.runtime.paths import is_path
from perceiver_graph.spec.glance import Glance, Glanced
from perceiver_graph.spec.manifest import MANIFEST_NAME, MANIFEST_VERSION, Manifest

_PICKLES = {".ckpt", ".joblib", ".pickle", ".pkl", ".pt", ".pth"}
_NOT_EDITED = "artifacts are written by `perceiver-graph compile`, not by hand: compile again"


@dataclass(frozen=True, repr=False)
class Artifact(Glanced):
    """A folder whose files are those that its manifest describes.

    `directory` is its path as given; it stays open where that led when it was opened.
    """

    directory: Path
    manifest: Manifest
    _contents: Contents

    def _glance(self) -> Glance:
        found = self.manifest._glance()
        return Glance(f"Artifact {self.directory}: {found.heading}", found.rows)

    def file(self, name: str) -> Path:
        """Where a file that the manifest lists lies. Raises KeyError for any other."""
        if name not in self.manifest.files:
            raise KeyError(name)
        return self.place / name

    @property
    def place(self) -> Path:
        """The folder itself: an absolute path, whatever link or working directory led there."""
        return self._contents.place

    @property
    def digest(self) -> str:
        """What tells an artifact from others: its manifest has the digests of all files."""
        return hashlib.sha256(self.manifest.model_dump_json().encode()).hexdigest()

    def require_unchanged(self) -> None:
        """Check files again that may not be those that were opened. Raises DiagnosticError (PG402)."""
        self._contents.require_unchanged()


def open_artifact(
    path: str | Path, *, progress: Progress | None = None, verify: Verify = "always"
) -> Artifact:
    """Open a compiled folder and check it.

    Files are hashed piece by piece, so that memory does not grow with them; `verify="once"` leaves out
    those that were, and have not changed since. Raises DiagnosticError (PG401 to PG406) with everything
    that is wrong.
    """
    directory = Path(path)
    manifest = _manifest(_manifest_text(directory), directory / MANIFEST_NAME)
    report = Report()
    check_programs(manifest, report)
    sound = {
        name: entry
        for name, entry in manifest.files.items()
        if _lies_within(directory, name, report)
    }
    contents = Contents.check(directory, sound, report, progress, verify)
    report.raise_if_errors()
    check_references(directory, manifest, report)
    report.raise_if_errors()
    return Artifact(directory, manifest, contents)


def _manifest_text(directory: Path) -> str:
    path = directory / MANIFEST_NAME
    if not is_path(str(directory)):
        raise DiagnosticError.of(
            "PG401", f"there is no folder {directory}", help=what_makes_one(directory)
        )
    if not path.is_file():
        kind = f"has no {MANIFEST_NAME}" if directory.is_dir() else "is a file, not a folder"
        raise DiagnosticError.of(
            "PG401",
            f"{directory} is not an artifact: it {kind}",
            help=what_makes_one(directory),
        )
    try:
        if path.stat().st_size > limits.MANIFEST_BYTES:
            raise _unusable(f"{path} is too large to be one")
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise _unusable(f"{path} is not UTF-8 text") from error
    except OSError as error:
        reason = error.strerror or str(error)
        raise DiagnosticError.of("PG401", f"{path} cannot be read: {reason}") from error


def _unusable(message: str, *notes: str) -> DiagnosticError:
    return DiagnosticError.of("PG403", message, notes=notes, help=_NOT_EDITED)


class _DuplicateKeyError(ValueError):
    """A JSON object has a key twice."""


def _without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        keys = [key for key, _ in pairs]
        twice = next(key for key in keys if keys.count(key) > 1)
        raise _DuplicateKeyError(f"{quote(twice)} is listed twice")
    return found


def _require_extensions(data: Any, directory: Path) -> None:
    """Load the extensions that read or write media, without which the manifest cannot be read."""
    used = data.get("extensions") if isinstance(data, dict) else None
    entries = used.items() if isinstance(used, dict) else ()
    needed = {name: e for name, e in entries if isinstance(e, dict) and e.get("needed") is True}
    if needed:
        load_installed()
    file = setting("--extension", "FILE.py", 'pg.extend("FILE.py")')
    for name in needed.keys() - {one.name for one in LOADED.values()}:
        package = needed[name].get("package")
        raise DiagnosticError.of(
            "PG702",
            f"{directory} needs the extension {quote(name)}, which is not here",
            notes=[f"it was in the package {quote(package)}"] if package else (),
            help="install the package" if package else f"name its file: {file}",
        )


def _manifest(text: str, path: Path) -> Manifest:
    try:
        data = json.loads(text, object_pairs_hook=_without_duplicates)
    except _DuplicateKeyError as error:
        raise _unusable(f"{path}: {error}") from error
    except (ValueError, RecursionError) as error:
        raise _unusable(f"{path} is not valid JSON", str(error)) from error
    version = data.get("format") if isinstance(data, dict) else None
    if isinstance(version, int) and version > MANIFEST_VERSION:
        raise DiagnosticError.of(
            "PG405",
            f"{path.parent} has format {version}, and this release reads up to {MANIFEST_VERSION}",
            notes=[f"it was written by {quote(data.get('tool', 'an unnamed tool'))}"],
            help="update the package, or compile the artifact's spec.yaml again with this release",
        )
    _require_extensions(data, path.parent)
    try:
        return Manifest.model_validate_json(text)
    except ValidationError as error:
        report = Report()
        for fault in error.errors(include_url=False, include_input=False):
            place = ".".join(str(part) for part in fault["loc"]) or "the whole"
            what = fault["msg"][:1].lower() + fault["msg"][1:]
            report.error("PG403", f"{path}: {quote(place)}: {what}", help=_NOT_EDITED)
        raise DiagnosticError(report.diagnostics) from error


def _lies_within(directory: Path, name: str, report: Report) -> bool:
    """Whether the path of a file is plain and within the folder; what is wrong is reported."""
    windows = PureWindowsPath(name)
    path = PurePosixPath(name)
    if path.is_absolute() or windows.drive or windows.root or ".." in windows.parts:
        report.error(
            "PG404",
            f"{quote(name)}, which the manifest lists, does not lie in {directory}",
            help="do not use this artifact: it tries to read files that are none of its own",
        )
        return False
    if path.as_posix() != name or "\\" in name or "\0" in name or name in (".", MANIFEST_NAME):
        report.error("PG403", f"{quote(name)} is no plain path of a file", help=_NOT_EDITED)
        return False
    if path.suffix.lower() in _PICKLES:
        report.error(
            "PG403",
            f"{quote(name)} looks like a pickle, which could run code: artifacts have none",
            help="compile again; weights are kept as ONNX data or safetensors",
        )
        return False
    return True
