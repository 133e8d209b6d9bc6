"""Commands as other programs call them, and the command that does it here."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import takewhile
from pathlib import Path

from perceiver_graph.diagnostics.commands import command
from perceiver_graph.storage.files import is_here

_SPECS = (".yaml", ".yml")
_VERBS = {
    "validate verify lint test typecheck": ("check", "SPEC"),
    "build make convert emit to-onnx codegen compile-onnx": ("compile", "SPEC"),
    "quantize quantise": ("compile", "SPEC", "--precision", "int8"),
    "optimize optimise simplify": ("compile", "SPEC", "-O", "2"),
    "predict infer inference eval evaluate execute forward classify embed": (
        "run",
        "ARTIFACT",
        "FILE",
    ),
    "generate complete chat write": ("run", "ARTIFACT", "TEXT", "--generate", "100"),
    "attention explain-attention": ("run", "ARTIFACT", "FILE", "--attention", "DIR"),
    "benchmark bench profile time perf speed cost": ("inspect", "SPEC", "-O", "2"),
    "summary summarize info describe show stats params parameters flops size sizes count print": (
        "inspect",
        "SPEC",
    ),
    "visualize visualise plot draw view render viz diagram picture": ("graph", "SPEC"),
    "compare": ("diff", "SPEC", "SPEC"),
    "init create start scaffold template": ("new", "NAME"),
    "download pull fetch get load from-pretrained": ("import", "CHECKPOINT"),
    "start up deploy server host api http": ("serve", "ARTIFACT"),
    "models specs ls zoo examples": ("list",),
    "errors error code codes why doc docs": ("explain",),
    "jsonschema json-schema": ("schema",),
    "completion completions": ("--show-completion",),
    "man usage commands": ("--help",),
}
"""What they call it, and our command with an example of what it takes."""
_TRAIN = "train fit finetune fine-tune training learn"
_SAVE = "save dump publish push push-to-hub upload"


def called_otherwise(word: str, after: Sequence[str]) -> str | None:
    """The command that does what one of another program's does; None for no such command.

    What stands after it is kept up to the first option, which may be none of ours."""
    word = word.casefold().replace("_", "-")
    given: list[str] = []
    for one in after:
        if one[:1] == "-":
            break
        given.append(one)
    if word in _TRAIN.split():
        made = command("compile", *(given[:1] or ["SPEC"]), "--backend", "torch")
        return f"training is done in PyTorch, on a module that {made} writes;"
    if word in _SAVE.split():
        return f"did you mean {command('export', *(given[:1] or ['SOURCE']))}?"
    if word == "convert" and given and Path(given[0]).suffix not in _SPECS:
        return f"did you mean {command('import', given[0])}?"
    for names, (name, *rest) in _VERBS.items():
        if word in names.split():
            takes = [*takewhile(str.isupper, rest)]
            filled = [*given, *takes[len(given) :]] if takes or name == "explain" else []
            return f"did you mean {command(name, *_specs(filled, takes), *rest[len(takes) :])}?"
    return None


def _specs(given: Sequence[str], takes: Sequence[str]) -> list[str | Path]:
    """An artifact where a spec is wanted has one."""
    from perceiver_graph.spec.manifest import SPEC_NAME

    if takes[:1] != ["SPEC"]:
        return [*given]
    return [Path(one, SPEC_NAME) if is_here(Path(one, SPEC_NAME)) else one for one in given]
