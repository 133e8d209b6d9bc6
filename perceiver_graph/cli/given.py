"""How a model is given what it runs on, said to who gives it by an option: `--text hi`, `-i a.png`."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from perceiver_graph.diagnostics.commands import command, option
from perceiver_graph.storage.files import is_here

_GIVEN = """
i f in input file files text texts prompt sentence image images picture video audio sound clip data path
input-file input_file image-path image_path
"""
"""What other programs call such an option."""
_ARRAYS = (".npz", ".npy")
_LARGEST = 2**24  # bytes of a manifest that is looked at


def without_option(ctx: Any, name: str, words: Sequence[str]) -> str | None:
    """The command that gives it, for an option that a command does not have; None for what is no such."""
    arguments = [one for one in ctx.command.params if one.param_type_name == "argument"]
    if not arguments or arguments[-1].nargs != -1 or len(arguments) == 1:
        return None
    flag, equals, value = next((w for w in words if w.split("=")[0] == name), name).partition("=")
    after = [*words[words.index(name) + 1 :]] if name in words else []
    if not equals:
        value = after[0] if after and not after[0].startswith("-") else "FILE"
    artifact = words[0] if words and words[0] not in (flag, value) else "ARTIFACT"
    artifact = "ARTIFACT" if artifact.startswith("-") else artifact
    inputs, word = inputs_of(artifact), flag.lstrip("-")
    named = ctx.info_name == "run"  # a batch takes what each input is for from a table
    if named and word in inputs:
        return (
            f"an input is given by its name: {command(ctx.info_name, artifact, f'{word}={value}')}"
        )
    if word not in _GIVEN.split() or value.endswith(_ARRAYS):
        return None
    read = inputs_of(artifact, of_files=True) or inputs
    if named and len(read) > 1:
        value = f"{read[0]}={value}"
    return f"what it runs on is given as it is: {command(ctx.info_name, artifact, value)}"


def inputs_of(artifact: str, *, of_files: bool = False) -> list[str]:
    """The inputs of an artifact, as far as its manifest says them; or those that are read from files."""
    from perceiver_graph.spec.manifest import MANIFEST_NAME

    try:
        with Path(artifact, MANIFEST_NAME).open("rb") as file:
            entries = json.loads(file.read(_LARGEST))["inputs"]
        return [
            str(name)
            for name, entry in entries.items()
            if entry.get("mask") != "always" and (entry.get("media") or not of_files)
        ]
    except (OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError):
        return []


def archive_of(ctx: Any, words: Sequence[str]) -> tuple[str, str] | None:
    """What is wrong with `--inputs NAME=FILE`, and the command that gives one input; None for an archive."""
    if ctx.info_name != "run" or "--inputs" not in words:
        return None
    place = words.index("--inputs")
    value = next(iter(words[place + 1 :]), "")
    name, equals, file = value.partition("=")
    if not equals or not name.isidentifier() or not file or is_here(value):
        return None
    others = [*words[:place], *words[place + 2 :]]
    taken = 0 if not others or others[0][:1] == "-" else 1
    after = [*others[:taken], value, *others[taken:]]
    message = f"`--inputs` takes an archive of arrays, and {option(value)} is one input"
    return message, f"it stands alone: {command(ctx.info_name, *after)}"
