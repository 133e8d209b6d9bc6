"""What kind of file PyTorch wrote, by the words in its pickle: nothing of it is unpickled."""

from __future__ import annotations

import io
import pickletools
import zipfile
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from perceiver_graph.diagnostics import quote

_LARGEST = 1 << 26  # bytes of a pickle that are looked at; it holds names and numbers, no tensors
_STEPS = 1_000_000
_IN_A_ROW = 5  # pickles behind each other, as PyTorch wrote them before 2020

_OF_TENSORS = ("torch", "collections", "_codecs", "numpy")
"""Where the classes come from that a checkpoint of tensors and numbers needs."""

_WRITERS = (
    ("pytorch-lightning_version", "a checkpoint of Lightning"),
    ("optimizer_state_dict", "a checkpoint of a trainer"),
    ("optimizer_states", "a checkpoint of a trainer"),
    ("optimizer", "a checkpoint of a trainer"),
    ("param_groups", "the state of an optimizer"),
    ("lora_alpha", "an adapter"),
)
_AVERAGES = ("ema", "model_ema", "ema_state_dict", "state_dict_ema", "ema_model")


@dataclass(frozen=True)
class TorchFile:
    """What the words tell."""

    what: str
    notes: tuple[str, ...] = ()


def look(archive: zipfile.ZipFile, name: str) -> TorchFile:
    """Look at the pickle of a PyTorch file. What cannot be followed tells nothing."""
    if archive.getinfo(name).file_size > _LARGEST:
        return TorchFile("a file of PyTorch")
    words, classes = _words(io.BytesIO(archive.read(name)))
    what = next((what for word, what in _WRITERS if word in words), "a file of PyTorch")
    notes = []
    if averages := [word for word in _AVERAGES if word in words]:
        notes.append(f"it has averaged weights, too, under {quote(averages[0])}")
    whole = _is_module(words)
    if whole and what == "a file of PyTorch":
        what = "a whole module of PyTorch"
    if foreign := [found for found in classes if found.split(".")[0] not in _OF_TENSORS]:
        shown = ", ".join(map(quote, foreign[:3]))
        way = (
            "to load it, they have to be importable; else"
            if whole
            else "if torch.load refuses that,"
        )
        notes.append(
            f"it names {shown}: {way} save `model.state_dict()` alone where the model was trained"
        )
    return TorchFile(what, tuple(notes))


def whole_module(path: Path) -> list[str] | None:
    """The classes that a file names which holds a module, not its tensors alone; None of any other."""
    try:
        if not zipfile.is_zipfile(path):
            with path.open("rb") as file:
                words, classes = _words(file)
        else:
            with zipfile.ZipFile(path) as archive:
                names = [name for name in archive.namelist() if name.endswith("/data.pkl")]
                if not names or archive.getinfo(names[0]).file_size > _LARGEST:
                    return None
                words, classes = _words(io.BytesIO(archive.read(names[0])))
    except (OSError, zipfile.BadZipFile, ValueError, RuntimeError, NotImplementedError):
        return None  # damaged, or of another kind
    return classes if _is_module(words) else None


def _is_module(words: Collection[str]) -> bool:
    return {"_modules", "_parameters", "_buffers"}.issubset(words)


def _words(file: BinaryIO) -> tuple[set[str], list[str]]:
    """The texts of a pickle, and the classes and functions that it names, as `module.name`."""
    words: set[str] = set()
    classes: dict[str, None] = {}
    try:
        for _ in range(_IN_A_ROW):
            for count, (opcode, argument, _) in enumerate(pickletools.genops(file)):
                if opcode.name == "GLOBAL":
                    classes[str(argument).replace(" ", ".")] = None
                elif isinstance(argument, str):
                    words.add(argument)
                if count == _STEPS:
                    break
    except (ValueError, OverflowError, UnicodeError):
        pass
    return words, [name for name in classes if name.isprintable()]
