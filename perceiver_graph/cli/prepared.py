"""Artifacts of published models: imported and compiled once, and kept under a digest of what they are."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING

from perceiver_graph.choices import DeviceKind
from perceiver_graph.cli import checkpoints, screen
from perceiver_graph.diagnostics import DiagnosticError, addresses, quote
from perceiver_graph.diagnostics.commands import command, running, shell
from perceiver_graph.storage.caches import cache_folder
from perceiver_graph.storage.files import is_here

if TYPE_CHECKING:
    from perceiver_graph.compiler.importing import Snapshot


def artifact(text: str, device: DeviceKind, *, attention: bool = False) -> Path:
    """The artifact that a word on the command line stands for.

    A folder here goes first. A published model, or any after `hf://`, is downloaded, imported and
    compiled, unless that was done before. Raises DiagnosticError for a model that cannot be had.
    """
    running(Path(text) if is_here(text) else text)
    if is_here(text):
        return Path(text)
    from perceiver_graph.compiler.importing.classes import PUBLISHED
    from perceiver_graph.compiler.importing.hub import SCHEME, Snapshot, is_name
    from perceiver_graph.spec.manifest import MANIFEST_NAME

    if told := addresses.instead(text, "run"):
        raise DiagnosticError.of("PG401", f"there is no folder {quote(text, 200)}", help=told)
    if text not in PUBLISHED and not text.startswith(SCHEME):
        if is_name(text) and not Path(text).parent.is_dir():
            from perceiver_graph.runtime.nearby import what_makes_one

            meant = f"if a model of the hub is meant: {command('run', f'{SCHEME}{text}')}"
            help = f"{what_makes_one(Path(text))}; {meant}"
            raise DiagnosticError.of("PG401", f"there is no folder {text}", help=help)
        return Path(text)
    found = checkpoints.find(text, checkpoints.Hub())
    if not isinstance(found, Snapshot):
        return found
    folder = cache_folder() / _key(found, device, attention)
    if not (folder / MANIFEST_NAME).is_file():
        _compile(found, folder, device, attention)
        screen.notes(
            [f"compiled into {folder}, for the next time; {shell('rm', '-r', folder)} removes it"]
        )
    else:
        screen.notes(found.notes)
    return folder


def _key(found: Snapshot, device: DeviceKind, attention: bool) -> str:
    """The name of a folder: of the same files, release and device it is the same, of others another."""
    from perceiver_graph.spec.manifest import MANIFEST_VERSION
    from perceiver_graph.version import __version__

    # A commit is the digest of all that a repository holds.
    made_of = [found.commit, found.repository, __version__, str(MANIFEST_VERSION), device]
    made_of += ["attention"] if attention else []
    digest = hashlib.sha256("\0".join(made_of).encode()).hexdigest()
    return f"{found.model_name or 'model'}-{digest[:16]}"


def _compile(found: Snapshot, folder: Path, device: DeviceKind, attention: bool) -> None:
    from perceiver_graph.compiler import driver
    from perceiver_graph.compiler.importing import import_checkpoint

    with screen.progress() as progress:
        progress(f"reading {found.repository}")
        imported = import_checkpoint(found)
        progress(f"compiling {found.repository}")
        compiled = driver.compile(imported.spec_text, device=device, attention=attention)
        compiled.save(folder, weights=imported.weights, origin=str(found), progress=progress)
    screen.notes(imported.notes)
