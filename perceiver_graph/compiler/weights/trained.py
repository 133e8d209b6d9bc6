"""Where the weights of an artifact come from, and that trained ones are not lost as one is written anew."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol, TypeAlias, runtime_checkable

from perceiver_graph.compiler.weights.folders import OWN_WEIGHTS
from perceiver_graph.diagnostics import DiagnosticError, quote
from perceiver_graph.diagnostics.commands import either, elsewhere, option, setting
from perceiver_graph.diagnostics.words import joined
from perceiver_graph.spec.manifest import MANIFEST_NAME


@runtime_checkable
class _Module(Protocol):
    """What a torch.nn.Module has."""

    def state_dict(self) -> Mapping[str, Any]: ...


_INITIAL = re.compile(r"seed [0-9]+")


Weights: TypeAlias = str | Path | Mapping[str, Any] | _Module
"""A file or folder of weights, arrays by the names of the parameters, or the module that `to_torch` gave."""


_WRAPPERS = ("state_dict", "model_state_dict", "model", "module", "net")
_AVERAGES = ("ema", "model_ema", "ema_state_dict", "state_dict_ema", "ema_model", "shadow")
"""What trainers call the state of a model in a checkpoint, and its average over the steps."""


def state_of(weights: Weights | None) -> str | Path | Mapping[str, Any] | None:
    """Weights as they are read: of a module, its state, and so of what a trainer has put around one.

    Raises ValueError where there are several.
    """
    if isinstance(weights, _Module) and not isinstance(weights, type):
        return weights.state_dict()
    if not isinstance(weights, Mapping) or any(hasattr(one, "shape") for one in weights.values()):
        return weights  # type: ignore[return-value]
    inside = {
        name: weights[name]
        for name in (*_WRAPPERS, *_AVERAGES)
        if isinstance(weights.get(name), Mapping | _Module)
    }
    if len(inside) > 1:
        names = joined(map(quote, inside), "and")
        ways = joined([f"`WEIGHTS[{name!r}]`" for name in inside], "or")
        raise ValueError(f"weights hold several models, {names}: give one of them, {ways}")
    return state_of(*inside.values()) if inside else weights


def origin(weights: str | Path | Mapping[str, Any] | None, seed: int) -> str:
    """Where weights come from, as the manifest says it."""
    if weights is None:
        return f"seed {seed}"
    return "arrays given in Python" if isinstance(weights, Mapping) else Path(weights).name


def refuse_loss(
    directory: Path,
    weights: str | Path | Mapping[str, Any] | None,
    seed: int | None,
    backends: Sequence[str],
) -> None:
    """Raise DiagnosticError (PG407) where an artifact would be written over one with trained weights and
    these would be gone: for initial ones, unless a seed asks for them, or as the file of them that is
    there. `directory` is proven to be an artifact."""
    data = json.loads((directory / MANIFEST_NAME).read_text(encoding="utf-8"))
    found = str(data.get("weights", ""))
    if _INITIAL.fullmatch(found):
        return
    has_file = OWN_WEIGHTS in data["files"]
    if weights is None and seed is None:
        again = directory if has_file else Path("PATH")
        keep = either(option("--weights", again), f"`weights={str(again)!r}`")
        drop = setting("--seed", 0)
        raise _refused(
            directory,
            f"its weights come from {quote(found)}, and initial ones would take their place",
            f"keep them with {keep}; {drop} says that they may go; or {elsewhere()}",
        )
    if has_file and "torch" not in backends and _is_within(weights, directory):
        both = setting("--backend", "all", 'backends=["onnx", "torch"]')
        raise _refused(
            directory,
            f"`{OWN_WEIGHTS}` in it, which is read, would be gone: only the torch backend has it",
            f"add {both}, or {elsewhere()}",
        )


def _is_within(weights: object, directory: Path) -> bool:
    """Whether weights are read from the folder that is to be replaced."""
    if not isinstance(weights, str | Path):
        return False
    return Path(weights).resolve().is_relative_to(directory.resolve())


def _refused(directory: Path, reason: str, help: str) -> DiagnosticError:
    message = f"{quote(directory, 200)} is not replaced: {reason}"
    return DiagnosticError.of("PG407", message, notes=["nothing was written"], help=help)
