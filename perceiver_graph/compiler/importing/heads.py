"""Replaces heads before fine-tuning: the body is kept, and a head for other classes starts anew."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from perceiver_graph import limits
from perceiver_graph.diagnostics import Diagnostic, DiagnosticError, quote
from perceiver_graph.diagnostics.words import did_you_mean

_OF_ANY_COUNT = {"audio", "classes", "labels", "scores"}
"""Kinds of media that do not ask for so many channels: a flow of 4 is none, nor is it written."""


def renew(data: dict[str, Any], classes: Mapping[str, int]) -> None:
    """Give outputs of a spec heads with so many channels, in place.

    Raises DiagnosticError (PG313) for an output that is not there or whose head has no size of its
    own, with all that is wrong.
    """
    found: list[Diagnostic] = []
    for name, count in classes.items():
        try:
            _replace(data["outputs"], name, count)
        except DiagnosticError as error:
            found.extend(error.diagnostics)
    if found:
        raise DiagnosticError(found)


def belongs_to(parameter: str, outputs: Mapping[str, int]) -> bool:
    """Whether a parameter is one of the heads of these outputs."""
    return any(parameter.startswith(f"heads.{name}.") for name in outputs)


def _replace(outputs: dict[str, Any], name: str, count: int) -> None:
    if name not in outputs:
        raise DiagnosticError.of(
            "PG313",
            f"there is no output {quote(name)} whose head could be replaced",
            notes=[f"outputs: {', '.join(outputs)}"],
            help=did_you_mean(name, list(outputs)),
        )
    if not 1 <= count <= limits.SIZE:
        raise DiagnosticError.of(
            "PG313", f"a head of {count} classes for {quote(name)}: at least 1 is needed"
        )
    head = outputs[name].get("head") or {}
    if "linear" in head:
        former, head["linear"] = head["linear"], count
    elif "mlp" in head:
        former, head["mlp"]["channels"] = head["mlp"]["channels"], count
    else:
        raise DiagnosticError.of(
            "PG313",
            f"the head of {quote(name)} cannot be replaced: its size is that of the vocabulary",
            help="heads that can be replaced are `linear` and `mlp`",
        )
    media = outputs[name].pop("media", {})
    if "scores" in media and count > 1:
        media = {"classes": {}}
    for kind in media.values():
        kind.pop("names", None)  # those of the former classes
    if count == former or media.keys() & _OF_ANY_COUNT:
        outputs[name]["media"] = media
