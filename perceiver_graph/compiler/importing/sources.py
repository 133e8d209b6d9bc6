"""What lies at a path that is to be imported: tensors, their configuration, and which library wrote them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from perceiver_graph.compiler.weights import files, transformers
from perceiver_graph.compiler.weights.files import Tensors
from perceiver_graph.diagnostics import DiagnosticError, quote

PICTURES = "preprocessor_config.json"


@dataclass(frozen=True)
class Source:
    """A transformers checkpoint. Names of tensors are as they stand in the file, less the prefix."""

    tensors: Tensors
    config: Mapping[str, Any]
    root: str
    """What stands before the names of `PerceiverModel`, such as `perceiver.`."""
    picture: Mapping[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


def is_pickle(path: Path) -> bool:
    """Whether a file is to be read as a pickle. What PyTorch writes is not: it is refused later."""
    suffix = path.suffix.lower()
    try:
        with path.open("rb") as file:
            start = file.read(2)
    except OSError as error:
        raise files.unreadable(path, error) from None
    if start == b"PK" or suffix == ".safetensors":
        return False
    if suffix in {".pickle", ".pkl", ".pystate"}:
        return True
    return suffix not in files.PICKLES and start in {b"\x80\2", b"\x80\3", b"\x80\4", b"\x80\5"}


def open_transformers(path: Path, config: Path | Mapping[str, Any] | None, prefix: str) -> Source:
    """A folder or a .safetensors file. Raises DiagnosticError (PG301, PG306)."""
    folder = path if path.is_dir() else path.parent
    settings = _config(path, folder, config)
    tensors = transformers.folder_tensors(path) if path.is_dir() else files.read_tensors(path)
    kept, notes = _below(tensors, prefix)
    picture = folder / PICTURES
    found = transformers.read_json(picture) if picture.is_file() else {}
    return Source(kept, settings, _root(kept), found, notes)


def _config(path: Path, folder: Path, given: Path | Mapping[str, Any] | None) -> Mapping[str, Any]:
    if isinstance(given, Mapping):
        return given
    place = given or folder / transformers.CONFIG
    if not place.is_file():
        what = f"there is no {transformers.CONFIG} " + (
            "in the folder" if path.is_dir() else "beside"
        )
        raise DiagnosticError.of(
            "PG301",
            f"there is no file {quote(place)}" if given else f"{what} {quote(path)}",
            notes=["tensors alone do not say how many heads there are, and more"],
            help="name the configuration with `--config FILE`",
        )
    return transformers.read_config(place)


def _below(tensors: Tensors, prefix: str) -> tuple[Tensors, tuple[str, ...]]:
    """The tensors whose names begin with a prefix, without it."""
    if not prefix:
        return tensors, ()
    prefix = prefix if prefix.endswith(".") else f"{prefix}."
    kept = {n.removeprefix(prefix): t for n, t in tensors.tensors.items() if n.startswith(prefix)}
    if not kept:
        raise DiagnosticError.of(
            "PG306",
            f"no tensor of {quote(tensors.path)} has a name that begins with {quote(prefix)}",
            notes=[f"it holds {_some(tensors)}"],
        )
    left = len(tensors.tensors) - len(kept)
    return Tensors(tensors.path, kept), (
        (f"{left} tensors outside of `{prefix}` were not read",) if left else ()
    )


def _root(tensors: Tensors) -> str:
    """What stands before the latents. Raises DiagnosticError (PG306) for none or several."""
    end = "embeddings.latents"
    roots = [n.removesuffix(end) for n in tensors.names if n == end or n.endswith(f".{end}")]
    if len(roots) == 1:
        return roots[0]
    if roots:
        raise DiagnosticError.of(
            "PG306",
            f"{quote(tensors.path)} holds {len(roots)} models",
            notes=[f"latents: {', '.join(quote(root + end) for root in roots[:8])}"],
            help=f"choose one, for example with `--prefix {roots[0].removesuffix('perceiver.')}`",
        )
    raise DiagnosticError.of(
        "PG306",
        f"{quote(tensors.path)} holds no Perceiver as transformers names it: there is no `{end}`",
        notes=[f"it holds {_some(tensors)}"],
    )


def _some(tensors: Tensors) -> str:
    some = ", ".join(quote(name) for name in tensors.names[:5])
    return some + (" and others" if len(tensors.names) > 5 else "") if some else "no tensors"
