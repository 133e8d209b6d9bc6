"""Export as one call: a spec and its weights in, what `from_pretrained` of transformers loads out.

A configuration says what a spec says if import makes the same spec of it: that is tried, and where none
does, what differs is told.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import reduce
from typing import Any

import numpy as np

from perceiver_graph.compiler.exporting import guesses, names
from perceiver_graph.compiler.exporting.guesses import Guess, at
from perceiver_graph.compiler.exporting.labels import label_settings, picture_settings
from perceiver_graph.compiler.importing import classes
from perceiver_graph.compiler.importing.draft import Configuration
from perceiver_graph.compiler.importing.settings import Settings
from perceiver_graph.compiler.importing.specs import BUILDERS
from perceiver_graph.compiler.ir.op import Array
from perceiver_graph.compiler.ir.text import same_structure, without_starts
from perceiver_graph.compiler.lowering.lower import lower
from perceiver_graph.compiler.lowering.lowered import Lowered
from perceiver_graph.diagnostics import Diagnostic, DiagnosticError, make, quote
from perceiver_graph.diagnostics.commands import command
from perceiver_graph.spec.changes import Change, changes
from perceiver_graph.spec.loader import load_spec
from perceiver_graph.spec.render import inline, resolved_data

_MOST = 8  # differences that are told


@dataclass(frozen=True)
class Exported:
    """A model in the form of transformers."""

    model_class: str
    config: Mapping[str, Any]
    """The contents of config.json."""
    tensors: Mapping[str, Array] = field(repr=False)
    """By the names that transformers gives them."""
    picture: Mapping[str, Any] | None = None
    """The contents of preprocessor_config.json, for models of pictures."""
    notes: Sequence[str] = ()
    """What of the spec is said nowhere in the form of transformers."""


def to_transformers(lowered: Lowered, weights: Mapping[str, Array]) -> Exported:
    """A model of transformers that computes the same. Raises DiagnosticError (PG317) with what differs
    where there is none."""
    ours = resolved_data(lowered.document.spec, lowered.derived)
    found = guesses.model_class(ours)
    guess, theirs, merged = _nearest(lowered, found, ours)
    left = [one for one in changes(theirs, ours) if not _is_free(one)]
    if left:
        raise DiagnosticError(_difference(lowered, found, left))
    if not _computes_the_same(merged, ours):
        dialect = Change(("dialect",), "huggingface", ours["dialect"])
        raise DiagnosticError(_difference(lowered, found, [dialect]))
    output = ours["outputs"].get("label") or next(iter(ours["outputs"].values()))
    settings = dict(guess.config) | label_settings(output, guess.labels)
    settings |= {"attention_probs_dropout_prob": at(ours, "process", "dropout") or 0.0}
    config = {"architectures": [found], "model_type": "perceiver", "dtype": "float32", **settings}
    tensors = {
        theirs_: array
        for name, value in weights.items()
        for theirs_, array in [names.renamed(found, name, np.asarray(value, np.float32))]
    }
    picture: Mapping[str, Any] | None = None
    notes: list[str] = []
    if found in classes.OF_PICTURES:
        picture, notes = picture_settings(next(iter(ours["inputs"].values())))
    return Exported(found, config, tensors | names.counters(found, tensors), picture, notes)


def _nearest(
    lowered: Lowered, found: str, ours: Mapping[str, Any]
) -> tuple[Guess, Mapping[str, Any], Mapping[str, Any]]:
    """The guess with the fewest differences, what import makes of it, and the same with all that a
    configuration leaves open as ours is. Raises DiagnosticError (PG317) where nothing can be made."""
    best: tuple[int, Guess, Mapping[str, Any]] | None = None
    for guess in guesses.guesses(found, ours):
        try:
            theirs = _imported(found, guess, ours)
        except DiagnosticError:  # settings that cannot be together
            continue
        count = sum(not _is_free(one) for one in changes(theirs, ours))
        if best is None or count < best[0]:
            best = (count, guess, theirs)
        if not count:
            break
    if best is None:
        raise DiagnosticError.of(
            "PG317",
            f"no {found} of transformers is like {quote(lowered.document.spec.name)}",
            notes=[
                f"its inputs: {', '.join(ours['inputs'])}; its outputs: {', '.join(ours['outputs'])}",
                "the class of several inputs has audio, image and label; the others have one of each",
            ],
            help=_instead(),
        )
    _, guess, theirs = best
    free = [one for one in changes(theirs, ours) if _is_free(one) and one.key != "dialect"]
    return guess, theirs, reduce(lambda data, one: one.made(data), free, theirs)


def _imported(found: str, guess: Guess, ours: Mapping[str, Any]) -> Mapping[str, Any]:
    """The resolved spec that import makes of a configuration, with our names."""
    settings = Settings(guess.config)
    made = BUILDERS[found](Configuration(settings, guess.labels, guess.image_size))
    settings.report.raise_if_errors()
    data = _with_names(made.data, ours)
    spec = {"perceiver": 1, "name": ours["name"], **data}
    lowered = lower(load_spec(spec))
    return resolved_data(lowered.document.spec, lowered.derived)


def _with_names(data: Mapping[str, Any], ours: Mapping[str, Any]) -> dict[str, Any]:
    """The data with our names for the only input, the only output and the length of texts."""
    data = dict(data)
    if len(data["inputs"]) > 1 or len(ours["inputs"]) > 1 or len(ours["outputs"]) > 1:
        return data
    (theirs, one), (output,) = next(iter(data["inputs"].items())), data["outputs"].values()
    (name, own), answer = next(iter(ours["inputs"].items())), next(iter(ours["outputs"]))
    if "dims" in data and len(own["shape"]) == 1:
        ((axis, symbol),) = own["shape"].items()
        data["dims"] = {symbol: data["dims"]["length"]}
        one = one | {"shape": {axis: symbol}}
        if "grid" in output["query"]:
            grid = at(ours, "outputs", answer, "query", "grid") or {}
            output = output | {
                "query": output["query"] | {"grid": {next(iter(grid), axis): symbol}}
            }
    query, head = output["query"], output["head"]
    if query.get("inputs") == theirs:
        output = output | {"query": query | {"inputs": name}}
    if head.get("tied_embedding") == theirs:
        output = output | {"head": head | {"tied_embedding": name}}
    return data | {"inputs": {name: one}, "outputs": {answer: output}}


_FREE = {"name", "summary", "dialect"}
_FREE_ENDS = {"init_scale", "dropout", "chunks"}


def _is_free(change: Change) -> bool:
    """Whether a difference changes nothing that a trained model answers, or is told otherwise."""
    path = change.path
    return (
        path[0] in _FREE
        or path[-1] in _FREE_ENDS
        or (path[0] in ("inputs", "outputs") and path[2:3] == ("media",))
    )


def _computes_the_same(theirs: Mapping[str, Any], ours: Mapping[str, Any]) -> bool:
    """Whether two specs are one graph, however its parameters start."""
    one, other = (without_starts(lower(load_spec(data)).graph) for data in (theirs, ours))
    return same_structure(one, other)


def _difference(lowered: Lowered, found: str, left: Sequence[Change]) -> Diagnostic:
    first, document = left[0], lowered.document
    told = [
        f"`{one.key}`: {_text(one.b)} here, {_text(one.a)} in transformers" for one in left[:_MOST]
    ]
    more = len(left) - len(told)
    return make(
        "PG317",
        f"transformers has no model like {quote(document.spec.name)}: the nearest is {found}, which "
        f"differs in {len(left)} {'key' if len(left) == 1 else 'keys'}",
        document.span(*first.path),
        label=f"{_text(first.a)} in {found}",
        notes=[*told, *([f"and {more} more"] if more else [])],
        help=f"give these keys the values of transformers, and train it so; {_instead()}",
    )


def _instead() -> str:
    """What to do about a model that transformers does not have."""
    imported = command("import", "deepmind/language-perceiver", "-o", "DIR")
    compiled = command("compile", "SPEC", "--weights", "FILE", "--backend", "all")
    return (
        f"a model to go to transformers starts from a spec that import makes, say {imported}; this one goes "
        f"elsewhere as ONNX or PyTorch: {compiled}"
    )


def _text(value: Any) -> str:
    return "nothing" if value is None else quote(inline(value))
