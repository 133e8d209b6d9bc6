"""Calls of several clients as one call of a program, where its batch allows that."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from perceiver_graph.diagnostics import DiagnosticError
from perceiver_graph.runtime.arrays import overflow_notes
from perceiver_graph.runtime.feeds import check_inputs
from perceiver_graph.runtime.program import Program
from perceiver_graph.serving.calls import Answer, Call
from perceiver_graph.spec.manifest import Manifest

Outcome = Answer | BaseException


def largest(manifest: Manifest, wanted: int) -> int:
    """How many batch elements of different callers may go together, at most `wanted`."""
    # With one scale of activations for the whole batch, what others send would show.
    rounded = manifest.quantization
    if rounded is not None and rounded.scales == "array":
        return 1
    dimension = manifest.dims.get("batch")
    return min(wanted, dimension.max) if dimension and dimension.max else wanted


def alone(program: Program, call: Call) -> Answer:
    """The answer to one call. Raises DiagnosticError as `Program.run`."""
    notes = [*call.notes]
    found = program.run(call.arrays, call.decode, sizes=call.sizes, note=notes.append)
    return Answer(dict(found), tuple(notes))


def checked(program: Program, call: Call) -> tuple[int, tuple[str, ...]] | None:
    """How many batch elements a call has, and what is noted of its inputs; None where it cannot be put
    together with others. Raises DiagnosticError as `check_inputs`: what is wrong with a call is told
    before it could be wrong with those of others."""
    feeds = check_inputs(program.manifest, call.arrays, call.sizes)
    batch = feeds.sizes.get("batch", 1)
    for name, array in call.arrays.items():
        entry = program.manifest.inputs.get(name)
        if array.shape[:1] != (batch,) or (entry and array.ndim != len(entry.shape)):
            return None  # points that are the same for all
    return batch, (*call.notes, *feeds.notes)


def together(
    program: Program, calls: Sequence[Call], known: Sequence[tuple[int, tuple[str, ...]]]
) -> list[Outcome]:
    """What becomes of calls that are alike; if that goes wrong, of each by itself."""
    if len(calls) > 1:
        names, told = calls[0].arrays, list[str]()  # `known` has the notes by calls
        arrays = {name: np.concatenate([call.arrays[name] for call in calls]) for name in names}
        try:
            found = program.run(arrays, calls[0].decode, sizes=calls[0].sizes, note=told.append)
        except DiagnosticError:
            pass
        else:
            ends = np.cumsum([batch for batch, _ in known])[:-1]
            parts = {name: np.split(array, ends) for name, array in found.items()}
            each = [{name: parts[name][i] for name in parts} for i in range(len(calls))]
            return [
                Answer(one, (*notes, *overflow_notes(one)))
                for one, (_, notes) in zip(each, known, strict=True)
            ]
    return [_outcome(program, call) for call in calls]


def _outcome(program: Program, call: Call) -> Outcome:
    try:
        return alone(program, call)
    except Exception as error:  # noqa: BLE001 - it is raised where the caller waits
        return error
