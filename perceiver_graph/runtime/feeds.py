"""Checks the arrays of a call against the manifest and fills in what may be left out.

A call with several mistakes is answered with all of them at once.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from os import PathLike
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from perceiver_graph.diagnostics import Report, quote
from perceiver_graph.diagnostics.arguments import as_mapping
from perceiver_graph.diagnostics.words import did_you_mean
from perceiver_graph.runtime import foreign
from perceiver_graph.runtime.bindings import bind, check_permitted
from perceiver_graph.runtime.called import called_otherwise
from perceiver_graph.runtime.company import dispensable, shared_batch
from perceiver_graph.runtime.coordinates import (
    Points,
    check_chosen,
    check_company,
    check_ranges,
    held,
    is_extra,
    points_of,
    report_outside,
    unranged_notes,
)
from perceiver_graph.runtime.masks import SUFFIX as MASK
from perceiver_graph.runtime.masks import (
    Masks,
    check_mask_sizes,
    check_masks,
    empty_notes,
    mask_names,
    whole,
)
from perceiver_graph.runtime.one_array import OneArray
from perceiver_graph.runtime.room import require_room
from perceiver_graph.runtime.sizes import evaluate, symbols
from perceiver_graph.runtime.values import check_values
from perceiver_graph.spec.manifest import Dimension, Manifest, axes_of

Arrays = dict[str, NDArray[Any]]


@dataclass(frozen=True)
class Feeds:
    """What a program is given.

    `arrays` has every input that is not always masked, contiguous and of its dtype; `masks` the
    attention mask of every input that takes one; `present` is false for those that stand for
    nothing; `sizes` are the values of the symbols, batch included. `points` are for decode. `notes` are
    what a user should know, `doubts` those of them that tell of numbers which are hardly what was meant.
    """

    arrays: Arrays
    masks: Masks
    present: dict[str, bool]
    sizes: dict[str, int]
    notes: tuple[str, ...]
    points: Points = field(default_factory=dict)
    doubts: tuple[str, ...] = ()

    def get(self, role: str, of: str) -> NDArray[Any] | None:
        """What goes into a port of a program, by its role and what it is `of`, as far as it is here."""
        match role:
            case "present":
                return np.full(self.sizes.get("batch", 1), self.present[of])
            case "size":
                return np.array([self.sizes[of]], np.int64)
            case "attention_mask":
                return self.masks[of]
            case "points":
                return self.points.get(of)
            case "data":
                return self.arrays.get(of)
        return None


def check_inputs(
    manifest: Manifest,
    given: Mapping[str, ArrayLike],
    given_sizes: Mapping[str, int] | None = None,
) -> Feeds:
    """Arrays as the program takes them; `given_sizes` are those that no array tells.

    Raises DiagnosticError (PG501 to PG505, PG514, PG516, PG517).
    """
    wanted = f"a mapping of arrays, {foreign.form(manifest.inputs)}"
    if isinstance(given, str | PathLike):
        wanted += ", which `read(FILE_OR_TEXT)` makes of files and texts, `numpy.load` of an .npz"
    given = as_mapping("inputs", wanted, given)
    if given_sizes is not None:
        given_sizes = as_mapping("sizes", 'a mapping such as {"n": 30}', given_sizes)
    report = Report()
    notes: list[str] = []
    doubts: list[str] = []
    arrays: Arrays = {}
    _report_unknown(manifest, given, report)
    batch = shared_batch(manifest, given)
    for name, entry in manifest.inputs.items():
        if entry.points_of:
            continue
        if entry.mask == "always":
            if name in given:
                notes.append(f"input `{name}` is always masked: what was given is not used")
        elif name in given:
            one = OneArray(name, entry, manifest.dims, report, batch)
            if (array := one.given(given[name])) is not None and one.has_axes(array):
                if (array := one.converted(array)) is not None:
                    arrays[name] = array
                doubts += one.doubts
    _report_missing(manifest, given, report)
    check_company(manifest, given, report)
    sizes = bind(manifest, arrays, given_sizes, report)
    for name, array in arrays.items():
        if manifest.inputs[name].among is None:
            optional = dispensable(manifest, name, given)
            check_values(name, manifest.inputs[name], array, report, optional)
    check_chosen(manifest, arrays, sizes, report)
    masks = check_masks(manifest, given, sizes, report)
    check_ranges(manifest, arrays, masks, report)
    asked = {
        output: given[name]
        for name, entry in manifest.inputs.items()
        for output in entry.points_of
        if name in given
    }
    points = check_points(manifest, asked, sizes.get("batch"), report)
    report.raise_if_errors()
    points_by_array = {
        name: points[entry.points_of[0]]
        for name, entry in manifest.inputs.items()
        if entry.points_of and entry.points_of[0] in points
    }
    doubts += unranged_notes(manifest, {**arrays, **points_by_array})
    notes += [*doubts, *empty_notes(masks)]
    absent = [
        name
        for name, entry in manifest.inputs.items()
        if entry.mask == "optional" and not entry.points_of and name not in arrays
    ]
    notes += [
        f"input `{name}` was not given: its mask token stands for it"
        for name in absent
        if not is_extra(manifest.inputs[name])
    ]
    present = dict.fromkeys(arrays, True) | dict.fromkeys(absent, False)
    _fill_in(manifest, absent, arrays, masks, sizes)
    return Feeds(arrays, masks, present, sizes, tuple(notes), points, tuple(doubts))


def check_shapes(manifest: Manifest, given: Mapping[str, NDArray[Any]]) -> None:
    """What can be said of some arrays of a call without their values: names, dtypes, axes, sizes.

    Raises DiagnosticError (PG502 to PG504). The number of points is up to the caller.
    """
    report = Report()
    arrays: Arrays = {}
    _report_unknown(manifest, given, report)
    for name, entry in manifest.inputs.items():
        if entry.mask == "always" or name not in given:
            continue
        one, array = OneArray(name, entry, manifest.dims, report), given[name]
        fits = one.holds_numbers(array) and (entry.points_of or one.has_axes(array))
        if fits and one.accepts(array) and not entry.points_of:
            arrays[name] = array
    check_permitted(manifest, arrays, report)
    check_mask_sizes(manifest, given, report)
    report.raise_if_errors()


def _fill_in(
    manifest: Manifest, absent: list[str], arrays: Arrays, masks: Masks, sizes: dict[str, int]
) -> None:
    """Sizes, zeros and masks for what was left out."""
    for name, entry in manifest.inputs.items():
        if entry.points_of:
            continue
        for symbol in symbols(entry.shape):
            sizes.setdefault(symbol, manifest.dims.get(symbol, Dimension()).lowest)
        if name in absent:
            shape = [evaluate(size, sizes) for size in entry.shape]
            require_room(shape, entry.dtype, f"input {quote(name)}, left out,", "a smaller batch")
            arrays[name] = np.zeros(shape, entry.dtype)
        if entry.attention_mask is not None and name not in masks:
            masks[name] = whole(entry, sizes)


def check_points(
    manifest: Manifest, given: Mapping[str, Any], batch: int | None, report: Report
) -> Points:
    """Points by output, as decode takes them; what is wrong with them is reported.

    `given` has for outputs with points [batch, points, coordinates], or [points, coordinates] for
    the same ones in the whole batch. There may be none.
    """
    found: Points = {}
    for output, value in given.items():
        declared = points_of(manifest, output)
        assert declared is not None
        name, entry = declared
        one = OneArray(name, entry, manifest.dims, report)
        array = one.given(value)
        if array is None:
            continue
        if array.ndim == 2 and batch is not None:
            array = np.repeat(array[None], batch, axis=0)
        array = one.converted(array) if one.has_axes(array) else None
        if array is None:
            continue
        if batch is not None and len(array) != batch:
            message = f"{quote(name)} has {len(array)} batch elements, and the inputs have {batch}"
            help = "leave the batch axis out where all take the same points"
            report.error("PG503", message, help=help)
            continue
        check_values(name, entry, array, report)
        report_outside(name, entry, array, report)
        found[output] = array
    return found


def _report_unknown(manifest: Manifest, given: Mapping[str, Any], report: Report) -> None:
    names = [*manifest.inputs, *mask_names(manifest)]
    known = ", ".join(map(quote, names))
    for name in given:
        if name in names:
            continue
        masked = name.removesuffix(MASK)
        if (
            name.endswith(MASK) and masked in manifest.inputs
        ):  # a mask of another input would do harm
            report.error(
                "PG502",
                f"input {quote(masked)} takes no mask",
                help=f"leave it out, or write `attention_mask: true` under `inputs.{masked}` in the spec and "
                "compile again",
            )
            continue
        guess = called_otherwise(manifest, name) or did_you_mean(name, names)
        inputs = f"the inputs are {known}"
        message = f"the model has no input {quote(name)}"
        report.error("PG502", message, notes=[inputs] if guess else (), help=guess or inputs)


def _report_missing(manifest: Manifest, given: Mapping[str, Any], report: Report) -> None:
    usable = {n: entry for n, entry in manifest.inputs.items() if entry.mask != "always"}
    for name, entry in usable.items():
        if entry.mask == "never" and name not in given:
            positions = f", the {held(entry)} of " + " and ".join(map(quote, entry.beside))
            report.error(
                "PG501",
                f"input {quote(name)} is missing: {entry.dtype} {axes_of(entry)}"
                + (positions if entry.beside else ""),
                help=f"pass an array under the name {quote(name)}",
            )
    usable = {name: entry for name, entry in usable.items() if not is_extra(entry)}
    if usable and not any(name in given for name in usable) and not report.has_errors:
        names = ", ".join(quote(name) for name in usable)
        report.error("PG501", "no input was given", help=f"pass at least one of {names}")
