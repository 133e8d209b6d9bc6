"""Which file of a folder holds the weights; and, where none does, what kind of folder it is."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from perceiver_graph.compiler.weights import foreign
from perceiver_graph.compiler.weights.files import unreadable
from perceiver_graph.diagnostics import DiagnosticError, quote
from perceiver_graph.diagnostics.commands import command, shell
from perceiver_graph.diagnostics.words import joined

WEIGHTS = "model.safetensors"
OWN_WEIGHTS = "weights.safetensors"
"""The file of weights in folders that this package writes."""
INDEX = "model.safetensors.index.json"

_VARIANT = re.compile(
    r"(?:model\.(?P<whole>[a-z0-9_]+)\.safetensors"
    r"|model\.safetensors\.index\.(?P<index>[a-z0-9_]+)\.json)"
)
_STEP = re.compile(r"(?:checkpoint|global_step|step|epoch)[-_=]?([0-9]+)")
_ADAPTER = "adapter_config.json"
_SPEC = "spec.yaml"
_ARTIFACT = {"manifest.json", _SPEC}
_MOST = 2000  # entries of a folder that are looked at
_DEPTH = 4  # of folders in it


@dataclass(frozen=True)
class Place:
    """The file to read, or an index that names several; and what a person should know of it."""

    file: Path
    is_index: bool = False
    notes: tuple[str, ...] = ()


def place_of_weights(folder: Path) -> Place:
    """Where the tensors of a folder are. Raises DiagnosticError (PG301) that says what it is."""
    try:
        names = _names(folder)
        if _ADAPTER in names:
            raise adapter(folder)
        if WEIGHTS in names:
            return Place(folder / WEIGHTS)
        if INDEX in names:
            return Place(folder / INDEX, is_index=True)
        variants = {name: found for name in names if (found := _VARIANT.fullmatch(name))}
        if len(variants) == 1:
            name, found = next(iter(variants.items()))
            kind = found["whole"] or found["index"]
            note = f"{name} was read, the `{kind}` variant: there is no {WEIGHTS} in {folder}"
            return Place(folder / name, found["index"] is not None, (note,))
        if variants:
            raise _error(
                folder,
                f"holds {len(variants)} variants of the weights and no {WEIGHTS}",
                f"copy one to {WEIGHTS}, or name it: {_choice([folder / name for name in variants])}",
            )
        raise _nothing(folder, names)
    except OSError as error:
        raise unreadable(folder, error) from None


def adapter(path: Path) -> DiagnosticError:
    """For weights that are only differences to those of another model (PG301)."""
    return DiagnosticError.of(
        "PG301",
        f"{quote(path)} is an adapter (LoRA or the like): what it adds to a model, not the model",
        help="merge it where it was trained: `merge_and_unload()` of peft, then "
        "`save_pretrained(folder)`; and name that folder",
    )


def constants(path: Path) -> DiagnosticError | None:
    """For a file of an artifact that holds what its programs compute with (PG301); None of any other."""
    folder = path.parent
    if path.name != "constants.safetensors" or not (folder / "manifest.json").is_file():
        return None
    anew = f"name those that it was compiled with; {_compiled(folder)} writes those of a seed"
    beside = folder / OWN_WEIGHTS
    return DiagnosticError.of(
        "PG301",
        f"{quote(path)} is a part of an artifact, and holds what its programs compute with, not weights",
        help=f"the weights are beside it: `{beside}`" if beside.is_file() else anew,
    )


def _compiled(folder: Path) -> str:
    return command("compile", folder / _SPEC, "--backend", "torch", "-o", "DIR")


def _nothing(folder: Path, names: list[str]) -> DiagnosticError:
    """What a folder is that holds no weights."""
    if not names:
        return _error(folder, "is empty", "copy or download it again")
    if snapshots := _snapshots(folder):
        return _error(
            folder,
            "is the cache of a hub, which keeps a model under snapshots/REVISION",
            f"name the revision: {_choice(snapshots)}",
        )
    if steps := _steps(folder, names):
        return _error(
            folder,
            f"holds the checkpoints of a training run ({len(steps)}), one folder each",
            f"name one of them: {_choice(list(reversed(steps)))}",
        )
    if {_SPEC, OWN_WEIGHTS}.issubset(names):
        compile = command("compile", folder / _SPEC, "--weights", folder, "-o", "DIR")
        return _error(
            folder,
            f"holds {OWN_WEIGHTS} and their {_SPEC}: nothing needs to be imported",
            f"compile it: {compile}",
        )
    if _ARTIFACT.issubset(names):
        return _error(
            folder,
            "is an artifact, and holds what its programs compute with, not the weights",
            f"name the weights that it was compiled with; {_compiled(folder)} writes those of a seed",
        )
    if any(name.endswith(".distcp") for name in names):
        module = "torch.distributed.checkpoint.format_utils"
        join = shell("python", "-m", module, "dcp_to_torch", folder, "model.pt")
        return _error(
            folder,
            "is a distributed checkpoint of PyTorch, whose tensors lie in pieces",
            f"join them: {join}, and name model.pt",
        )
    if "zero_to_fp32.py" in names:
        join = shell("python", folder / "zero_to_fp32.py", folder, "DIR", "--safe_serialization")
        return _error(
            folder,
            "is a checkpoint of DeepSpeed, whose tensors lie in pieces",
            f"join them: {join}, and name DIR",
        )
    return _other(folder, names)


def _other(folder: Path, names: list[str]) -> DiagnosticError:
    message = f"the folder {quote(folder)} has no {WEIGHTS}"
    tensors = [folder / name for name in names if name.endswith(".safetensors")]
    models = [name for name in names if Path(name).suffix in _PICKLES and name not in _BESIDE]
    notes = [f"it has {', '.join(models[:8])}: pickles, which are not read"] if models else []
    if tensors:
        help = f"name the file: {_choice(tensors)}"
    elif len(models) == 1:
        stem = "model" if models[0] == "pytorch_model.bin" else Path(models[0]).stem
        help = foreign.conversion(folder / models[0], folder / f"{stem}.safetensors")
    else:
        help = _ANEW
    if tensors or models:
        return DiagnosticError.of("PG301", message, notes=notes, help=help)
    for name in names:
        kind = foreign.BY_NAME.get(name) or foreign.BY_SUFFIX.get(Path(name).suffix)
        if kind:
            notes = [f"{name} is {kind[0]}"]
            return DiagnosticError.of("PG301", message, notes=notes, help=kind[1])
    below = list(islice(_below(folder, _DEPTH), 3))
    return DiagnosticError.of(
        "PG301",
        message,
        notes=[f"it has {', '.join(names[:8])}{' and others' if len(names) > 8 else ''}"],
        help=f"did you mean {_choice(below)}?" if below else _ANEW,
    )


_ANEW = "load the model with transformers and write it anew: `model.save_pretrained(folder)`"
_PICKLES = {".bin", ".ckpt", ".pt", ".pth"}
_BESIDE = {"optimizer.pt", "scheduler.pt", "training_args.bin", "scaler.pt", "rng_state.pth"}
"""What a trainer saves beside a model."""


def _names(folder: Path) -> list[str]:
    return sorted(entry.name for entry in islice(folder.iterdir(), _MOST))


def _snapshots(folder: Path) -> list[Path]:
    """The revisions in the cache of a hub, that which `main` stands for first."""
    root = folder / "snapshots" if (folder / "snapshots").is_dir() else folder
    if root.name != "snapshots":
        return []
    found = [root / name for name in _names(root) if (root / name).is_dir()]
    main = root.parent / "refs" / "main"
    current = main.read_text(encoding="utf-8", errors="replace").strip() if main.is_file() else ""
    return sorted(found, key=lambda path: path.name != current)


def _steps(folder: Path, names: list[str]) -> list[Path]:
    """The folders `checkpoint-500` and the like, in the order of training."""
    found = [(int(match[1]), name) for name in names if (match := _STEP.fullmatch(name))]
    return [folder / name for _, name in sorted(found) if (folder / name).is_dir()]


def _below(folder: Path, depth: int) -> Iterator[Path]:
    """What might be meant in the folders of a folder: folders with weights, files with tensors."""
    names = _names(folder) if depth else []
    if _ARTIFACT.issubset(names):  # other tensors of an artifact are no weights
        yield from [folder] if OWN_WEIGHTS in names else []
        return
    for name in names:
        path = folder / name
        if path.is_dir() and not path.is_symlink():
            if (path / WEIGHTS).is_file() or (path / INDEX).is_file():
                yield path
            else:
                yield from _below(path, depth - 1)
        elif path.suffix in {".safetensors", ".ckpt", ".pth", ".pystate"} and name != WEIGHTS:
            yield path


def _choice(paths: list[Path]) -> str:
    """Up to three paths in backquotes, whole: they are to be copied."""
    return joined(f"`{path}`" for path in paths[:3])


def _error(folder: Path, what: str, help: str) -> DiagnosticError:
    return DiagnosticError.of("PG301", f"the folder {quote(folder)} {what}", help=help)
