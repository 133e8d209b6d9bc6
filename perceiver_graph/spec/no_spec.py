"""What is meant by a file or a name that is no spec: weights, a program, a model of a hub."""

from __future__ import annotations

from pathlib import Path

from perceiver_graph.diagnostics import addresses
from perceiver_graph.diagnostics.commands import command
from perceiver_graph.diagnostics.text import quote

_WEIGHTS = {
    *(".safetensors", ".pt", ".pth", ".bin", ".ckpt", ".pkl", ".pickle", ".pystate", ".h5", ".npz"),
    ".msgpack",
}
_SPEC = "spec.yaml"


def of_a_file(file: Path | None) -> str:
    """What to do with a binary file where a spec is wanted."""
    if file is not None:
        beside = file.with_name(_SPEC)
        if beside.is_file():
            return f"did you mean {quote(beside, 400)}, the spec beside it?"
        if file.suffix.casefold() in _WEIGHTS:
            own = command("compile", "SPEC", "--weights", file)
            theirs = command("import", file)
            return f"weights go with a spec: {own}; {theirs} makes one for those of another library"
        if file.suffix.casefold() == ".onnx":
            made = command("new", "NAME")
            return f"it is made of a spec, and none is made of it: {made} writes one to start from"
    return f"name a spec, as `model.yaml`: {command('new', 'NAME')} writes one to start from"


def of_a_name(given: str) -> str | None:
    """What is meant by an address or the name of a model of a hub; None for another name."""
    if told := addresses.instead(given, "import"):
        return told
    name = addresses.of_a_hub(given)
    if name is None or (Path(given.partition("/")[0]).exists() and "://" not in given):
        return None
    made = command("import", name)
    return f"a model of the hub becomes a spec and weights by {made}"
