"""What lies at a path that is to be imported: tensors, their configuration, and which library wrote them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from perceiver_graph.compiler.importing import torch_files
from perceiver_graph.compiler.importing.preprocessing import (
    PICTURES,
    PROCESSORS,
    Preprocessing,
)
from perceiver_graph.compiler.ir.names import collapse
from perceiver_graph.compiler.weights import files, foreign, transformers
from perceiver_graph.compiler.weights.files import Tensors
from perceiver_graph.diagnostics import DiagnosticError, quote
from perceiver_graph.diagnostics.commands import command, setting


@dataclass(frozen=True)
class Source:
    """A transformers checkpoint. Names of tensors are as they stand in the file, less the prefix."""

    tensors: Tensors
    config: Mapping[str, Any]
    root: str
    """What stands before the names of `PerceiverModel`, such as `perceiver.`."""
    picture: Preprocessing = field(default_factory=lambda: Preprocessing({}))
    notes: tuple[str, ...] = ()


def is_pickle(path: Path) -> bool:
    """Whether a file is a pickle of DeepMind. What PyTorch writes is none: it is an archive."""
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
    return suffix not in foreign.PICKLES and start in {b"\x80\2", b"\x80\3", b"\x80\4", b"\x80\5"}


def open_transformers(path: Path, config: Path | Mapping[str, Any] | None, prefix: str) -> Source:
    """A folder or a .safetensors file. Raises DiagnosticError (PG301, PG306)."""
    folder = path if path.is_dir() else path.parent
    settings = _config(
        folder, config
    )  # the type of a model says more than that tensors are missing
    tensors = tensors_at(path)
    if settings is None:
        raise _no_config(path, tensors)
    kept, notes = below(tensors, prefix)
    prepared = {name: folder / name for name in (PICTURES, PROCESSORS)}
    found = {n: transformers.read_json(file) for n, file in prepared.items() if file.is_file()}
    return Source(kept, settings, _root(kept), Preprocessing.of_files(found), notes)


def tensors_at(path: Path) -> Tensors:
    """The tensors of a folder or a file. Raises DiagnosticError (PG301, PG312)."""
    if (found := torch_files.tensors_at(path)) is not None:
        return found
    return transformers.folder_tensors(path) if path.is_dir() else transformers.read_file(path)


def config_of(path: Path, given: Path | Mapping[str, Any] | None) -> Mapping[str, Any]:
    """The configuration of whatever a part belongs to, if it is given or lies in its folder. Raises
    DiagnosticError (PG301)."""
    if isinstance(given, Mapping):
        return given
    place = given or (path / transformers.CONFIG if path.is_dir() else None)
    if place is None or (given is None and not place.is_file()):
        return {}
    return transformers.read_json(place)


def _config(folder: Path, given: Path | Mapping[str, Any] | None) -> Mapping[str, Any] | None:
    """The configuration that is given, or that of a folder; None where it has none."""
    if isinstance(given, Mapping):
        return given
    place = given or folder / transformers.CONFIG
    if place.is_file():
        return transformers.read_config(place)
    if given is None:
        return None
    raise DiagnosticError.of("PG301", f"there is no file {quote(place)}")


def _no_config(path: Path, tensors: Tensors) -> DiagnosticError:
    where = "in the folder" if path.is_dir() else "beside"
    weights = "FILE" if path.is_dir() else path
    compile = command("compile", "SPEC", "--weights", weights)
    own = f"its tensors are named as those of a spec: {compile}"
    return DiagnosticError.of(
        "PG301",
        f"there is no {transformers.CONFIG} {where} {quote(path)}",
        notes=["tensors alone do not say how many heads there are, and more"],
        help=own
        if any(name.split(".")[-1] == "latents" for name in tensors.names)
        and not any(name.endswith("embeddings.latents") for name in tensors.names)
        else f"name the configuration with {setting('--config', 'FILE')}",
    )


def below(tensors: Tensors, prefix: str) -> tuple[Tensors, tuple[str, ...]]:
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
    left = [name for name in tensors.names if not name.startswith(prefix)]
    told = f"outside of `{prefix}`, not read: {', '.join(collapse(left))}"
    return Tensors(tensors.path, kept, tensors.notes), (told,) if left else ()


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
            help="choose one, for example with "
            + setting("--prefix", roots[0].removesuffix("perceiver.")),
        )
    raise DiagnosticError.of(
        "PG306",
        f"{quote(tensors.path)} holds no Perceiver as transformers names it: there is no `{end}`",
        notes=[f"it holds {_some(tensors)}"],
    )


def _some(tensors: Tensors) -> str:
    some = ", ".join(quote(name) for name in tensors.names[:5])
    return some + (" and others" if len(tensors.names) > 5 else "") if some else "no tensors"
