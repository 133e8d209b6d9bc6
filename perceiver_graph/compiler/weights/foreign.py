"""What a file is that is no safetensors file, by its first bytes and its name, and what to do with it.

Nothing of such a file is loaded: of a pickle, only the words in it are looked at.
"""

from __future__ import annotations

import lzma
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from perceiver_graph import formats
from perceiver_graph.compiler.weights import trainers
from perceiver_graph.diagnostics import quote
from perceiver_graph.diagnostics.commands import code, command, shell

PICKLES = {".bin", ".ckpt", ".joblib", ".pkl", ".pickle", ".pt", ".pth", ".pystate"}

_RELEASED = {".pickle", ".pkl", ".pystate"}
"""How the files of DeepMind end."""

_HEAD = 512


@dataclass(frozen=True)
class Foreign:
    """Completes "FILE is ...", and says what would work."""

    what: str
    help: str | None = None
    notes: Sequence[str] = ()


def identify(path: Path) -> Foreign | None:
    """What a file is that could not be read as a safetensors file; None where nothing tells.

    Raises OSError where it cannot be read at all.
    """
    if path.is_dir():
        return Foreign("a folder", "name the file in it")
    if not path.is_file():
        return Foreign(
            "a pipe or a device, and weights are read from a file, in any order",
            "write it to a file first",
        )
    with path.open("rb") as file:
        head = file.read(_HEAD)
    if not head:
        return Foreign("empty", "copy or download it again")
    return _told(path, head, formats.known(head))


def _told(path: Path, head: bytes, found: formats.Format | None) -> Foreign | None:
    """By its first bytes; then by how its name ends, for what has none of its own; then by the rest."""
    if found in _BY_FORMAT:
        return _BY_FORMAT[found](path)
    if found is not None and found.kind == "compressed":
        return _compressed(path)
    lowered = head.lstrip(b"\xef\xbb\xbf \t\r\n")[:64].lower()
    if lowered.startswith((b"<!doctype html", b"<html", b"<?xml")):
        return Foreign(
            "a web page, not the file that it offers",
            "download it again; what a browser shows before a download is often saved in its place",
        )
    if _is_tar(path):
        return _archive(path, "tarfile")
    if path.suffix.lower() in BY_SUFFIX:
        return Foreign(*BY_SUFFIX[path.suffix.lower()])
    if path.suffix.lower() in PICKLES:
        return _pickle(path)
    if found == formats.JSON or lowered.startswith(b"{"):
        return Foreign(
            "JSON text, not weights",
            f"name its folder, `{path.parent}`, or the .safetensors file beside it",
        )
    what = found.name if found else "text, not weights" if formats.is_text(head) else None
    return Foreign(what, _OTHER) if what else None


def conversion(path: Path, target: Path | None = None) -> str:
    """The program that turns what PyTorch wrote into a safetensors file: it looks for the model in
    the checkpoint of a trainer, takes only tensors, and drops what wrappers put before every name.
    A module that was saved whole is loaded with its class."""
    target = target or path.with_suffix(".safetensors")
    if target.exists():
        target = target.with_name(f"{target.stem}-converted.safetensors")
    classes = trainers.whole_module(path)
    inside = (
        "for key in ('state_dict', 'model_state_dict', 'model', 'module', 'net', 'ema', 'shadow'):",
        "    found = found[key] if isinstance(found.get(key), dict) else found",
    )
    if classes is not None:
        inside = (
            "each = found.values() if isinstance(found, dict) else [found]",
            "found = next(one for one in each if isinstance(one, torch.nn.Module)).state_dict()",
        )
    # A script has its classes in no module that another program could import them from by itself.
    own = [one.partition(".")[2] for one in classes or () if one.startswith("__main__.")]
    return code(
        "if you trust where it comes from, convert it with PyTorch",
        (
            "import torch, safetensors.torch, os, re",
            *([f"from SCRIPT import {', '.join(own)}  # the program that saved it"] if own else []),
            f"found = torch.load({str(path)!r}, map_location='cpu', weights_only={classes is None})",
            *inside,
            "found = {name: t.contiguous().clone() for name, t in found.items() if torch.is_tensor(t)}",
            "assert found, 'no weights are in it: save those of the model, model.state_dict()'",
            r"prefix = re.match(r'((module|model|_orig_mod)\.)*', os.path.commonprefix(list(found)))[0]",
            "tensors = {name.removeprefix(prefix): tensor for name, tensor in found.items()}",
            f"safetensors.torch.save_file(tensors, {str(target)!r})",
        ),
    )


def _pointer(path: Path) -> Foreign:
    return Foreign(
        "a Git LFS pointer, not the weights that it stands for",
        f"fetch them: {shell('git', '-C', path.parent, 'lfs', 'pull')}, or download the file itself",
        ["a clone without Git LFS has small texts in place of the large files"],
    )


def _pickle(path: Path) -> Foreign:
    """A bare pickle: of numpy or, in the format of before 2020, of PyTorch."""
    what = "a pickle or an archive, and only safetensors files are read"
    notes = ["opening a pickle runs whatever program is in it"]
    if path.suffix.lower() in _RELEASED:
        read = command("import", path, "-o", "DIR")
        return Foreign(what, f"if DeepMind released it: {read}", notes)
    return Foreign(what, conversion(path), notes)


def _zip(path: Path) -> Foreign:
    """What PyTorch, NumPy and Keras write are zip archives, too."""
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
            pickles = [name for name in names if name.endswith("/data.pkl")]
            if pickles:
                found = trainers.look(archive, pickles[0])
                return _of_torch(path, found, program="/constants.pkl" in "".join(names))
    except (zipfile.BadZipFile, OSError, ValueError, RuntimeError, NotImplementedError):
        return _pickle(path)  # damaged: what it was is told by its name at most
    if names and all(name.endswith(".npy") for name in names):
        return _numpy(path)
    if any(name.endswith(".weights.h5") for name in names):
        return Foreign(*_KERAS)
    return _archive(path, "zipfile")


def _of_torch(path: Path, found: trainers.TorchFile, program: bool) -> Foreign:
    notes = ["opening a pickle runs whatever program is in it", *found.notes]
    if program:
        save = f"safetensors.torch.save_file(tensors, {str(path.with_suffix('.safetensors'))!r})"
        lines = (
            "import torch, safetensors.torch",
            f"module = torch.jit.load({str(path)!r}, map_location='cpu')",
            "tensors = {name: t.contiguous().clone() for name, t in module.state_dict().items()}",
            save,
        )
        trust = "if you trust where it comes from, convert it with PyTorch"
        return Foreign(
            "a TorchScript program, and only safetensors files are read", code(trust, lines), notes
        )
    what = f"{found.what}, which is a pickle, and only safetensors files are read"
    return Foreign(what, conversion(path), notes)


def _numpy(path: Path) -> Foreign:
    target = str(path.with_suffix(".safetensors"))
    lines = (
        "import numpy, safetensors.numpy",
        f"tensors = dict(numpy.load({str(path)!r}))",
        f"safetensors.numpy.save_file(tensors, {target!r})",
    )
    return Foreign("a file of NumPy arrays", code("convert it", lines))


def _archive(path: Path, module: str) -> Foreign:
    unpack = shell("python", "-m", module, "-e", path, "DIR")
    return Foreign("an archive", f"unpack it, {unpack}, and name what is in it")


def _is_tar(path: Path) -> bool:
    try:
        return tarfile.is_tarfile(path)
    except (OSError, EOFError, zlib.error, lzma.LZMAError, ValueError):  # damaged where it begins
        return False


def _compressed(path: Path) -> Foreign:
    if _is_tar(path):
        return _archive(path, "tarfile")
    return Foreign("compressed", "unpack it, and name what is in it")


def _fixed(what: str, help: str) -> Callable[[Path], Foreign]:
    return lambda _: Foreign(what, help)


_OTHER = "name the .safetensors file with the weights; media are given to `run`"
_ORIGINAL = "use the checkpoint that it was made from, in safetensors"
_KERAS = (
    "a file of Keras or TensorFlow, and only safetensors files are read",
    "save its arrays with safetensors.numpy, under the names of the same model in PyTorch",
)
_FLAX = (
    "a file of Flax, and only safetensors files are read",
    "save its arrays with safetensors.flax, under the names of the same model in PyTorch",
)
_ONNX = ("an ONNX program, not the weights that it was exported from", _ORIGINAL)
_GGUF = ("a GGUF file, the format of llama.cpp", _ORIGINAL)

_BY_FORMAT: dict[formats.Format, Callable[[Path], Foreign]] = {
    formats.LFS: _pointer,
    formats.GGUF: _fixed(*_GGUF),
    formats.HDF5: _fixed(*_KERAS),
    formats.NUMPY: _fixed("one NumPy array without a name", "save all of them by name"),
    formats.ZIP: _zip,
    formats.PICKLE: _pickle,
    formats.ONNX: _fixed(*_ONNX),
}
_SPEC = (
    "YAML text, not weights",
    f"a spec is compiled: {command('compile', 'SPEC', '--weights', 'FILE')}",
)
BY_SUFFIX = {
    ".yaml": _SPEC,
    ".yml": _SPEC,
    ".onnx": _ONNX,
    ".msgpack": _FLAX,
    ".h5": _KERAS,
    ".keras": _KERAS,
    ".pb": _KERAS,
    ".index": _KERAS,
    ".gguf": _GGUF,
}
"""What files of these kinds are, and what to do."""
BY_NAME = {"flax_model": _FLAX, "checkpoint": _KERAS, "_CHECKPOINT_METADATA": _FLAX}


def described(path: Path, found: Foreign) -> str:
    """The sentence about a file."""
    return f"{quote(path)} is {found.what}"
