"""What was meant by a path that is no artifact, or the command that makes one of what is there."""

from __future__ import annotations

from itertools import islice
from pathlib import Path

from perceiver_graph.diagnostics.commands import command
from perceiver_graph.diagnostics.words import closest, nearest, question
from perceiver_graph.runtime.paths import is_path
from perceiver_graph.spec.manifest import MANIFEST_NAME

_SPECS = {".yaml", ".yml"}
_WEIGHTS = {".safetensors", ".pt", ".pth", ".bin", ".ckpt"}
_MOST = 3  # artifacts that are named
_MOST_BESIDE = 1000  # entries of a folder that are looked at
_LONGEST = 200  # characters of a path


def what_makes_one(given: Path) -> str:
    """What was meant by what was given (a file of an artifact, the folder around it, its name), or the
    command that leads from there (a spec, its name) to an artifact."""
    from perceiver_graph.spec.loader import shipped_names

    is_folder = is_path(str(given)) and given.is_dir()
    is_file = is_path(str(given)) and not is_folder
    if is_file and is_path(str(given.parent / MANIFEST_NAME)):
        return f"give the folder: {given.parent}"
    if meant := () if is_file else _meant(given, is_folder):
        return str(question(meant, _LONGEST))
    if is_file and given.suffix in _WEIGHTS:
        made = command("compile", "SPEC", "--weights", given, "-o", "build/NAME")
        return f"weights and their spec make one: {made}"
    spec: str | Path = "SPEC"
    if is_folder:
        spec = min((one for one in _inside(given) if one.suffix in _SPECS), default=spec)
    elif given.suffix in _SPECS:
        spec = given
    elif is_path(f"{given}.yaml"):
        spec = given.with_name(f"{given.name}.yaml")
    elif shipped := nearest(given, shipped_names()):
        spec = shipped
    name = "NAME" if spec == "SPEC" else Path(spec).stem
    return f"an artifact is made with {command('compile', spec, '-o', f'build/{name}')}"


def _meant(given: Path, is_folder: bool) -> tuple[str, ...]:
    """Artifacts in this folder, or those beside it and in `build` whose names are like this one."""
    around = [given] if is_folder else [given.parent, Path("build")]
    inside = [one for place in around for one in _inside(place)]
    found = {one.name: str(one) for one in inside if is_path(str(one / MANIFEST_NAME))}
    names = sorted(found) if is_folder else closest(given.name, found, _MOST)
    return tuple(found[name] for name in names[:_MOST])


def _inside(folder: Path) -> list[Path]:
    try:
        return list(islice(folder.iterdir(), _MOST_BESIDE))
    except OSError:
        return []
