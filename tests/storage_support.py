"""A kind of folder that is quick to write, for what ends a writer at each of its steps."""

from __future__ import annotations

import json
from pathlib import Path

from perceiver_graph import storage

LAST = "list.json"
FILES = ("a", "b", "sub/c")


def owned(folder: Path) -> dict[str, str]:
    try:
        files: dict[str, str] = json.loads((folder / LAST).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        raise storage.NotOurs("it has no list") from None
    return {**files, LAST: storage.digest(folder / LAST)}


def interim(stage: Path, prefix: str) -> str:
    files = json.loads((stage / LAST).read_text(encoding="utf-8"))
    return json.dumps({f"{prefix}/{name}": found for name, found in files.items()})


KIND = storage.FolderKind(owned, LAST, interim)
PAIR = storage.FolderKind(owned, LAST)
"""The same without a way to replace it where folders cannot be swapped."""


def write(directory: str, content: str, *more: str) -> None:
    """A folder whose files all have the same content."""
    with storage.staged_folder(directory, KIND) as stage:
        (stage / "sub").mkdir()
        for name in (*FILES, *more):
            (stage / name).write_text(f"{name}: {content}", encoding="utf-8")
        files = {name: storage.digest(stage / name) for name in (*FILES, *more)}
        (stage / LAST).write_text(json.dumps(files), encoding="utf-8")


def said(folder: Path) -> str:
    """What the files of `art` say that its list names, each as often as it should."""
    place = folder / "art"
    try:
        files = json.loads((place / LAST).read_text(encoding="utf-8"))
        texts = [(place / name).read_text(encoding="utf-8") for name in files]
        sound = all(storage.digest(place / name) == found for name, found in files.items())
    except (OSError, ValueError) as error:
        return f"damaged: {error}"
    return " ".join(sorted({text.split(": ")[1] for text in texts})) if sound else "damaged"


def publish(directory: str, content: str) -> None:
    """Files with the same content, put into a folder that holds other things, as a run does."""
    folder = Path(directory)
    storage.sweep(folder)
    former = storage.prove(folder, owned) if (folder / LAST).exists() else storage.Former()
    with storage.staged_group(folder, "a") as group:
        for name in ("a", "b"):
            (group.stage / name).write_text(f"{name}: {content}", encoding="utf-8")
        files = {name: storage.digest(group.stage / name) for name in ("a", "b")}
        (group.stage / LAST).write_text(json.dumps(files), encoding="utf-8")
        if left := group.publish(former, LAST):
            raise storage.unwritable(folder / left[0], "it is in the way")
