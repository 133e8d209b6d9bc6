"""Checks the arrays of a call against the manifest and fills in what may be left out.

A call with several mistakes is answered with all of them at once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from perceiver_graph.diagnostics import Report, quote
from perceiver_graph.diagnostics.arguments import as_mapping
from perceiver_graph.diagnostics.commands import either
from perceiver_graph.diagnostics.words import did_you_mean
from perceiver_graph.runtime import foreign
from perceiver_graph.runtime.arrays import (
    as_array,
    order_of,
    real_numbers,
    rounded,
    unscaled,
    with_batch,
    wrapped,
)
from perceiver_graph.runtime.bindings import bind, check_permitted
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
from perceiver_graph.runtime.masks import (
    Masks,
    check_mask_sizes,
    check_masks,
    empty_notes,
    mask_names,
    whole,
)
from perceiver_graph.runtime.room import require_room
from perceiver_graph.runtime.sizes import evaluate, symbols
from perceiver_graph.runtime.values import check_values
from perceiver_graph.spec.manifest import Dimension, InputEntry, Manifest, axes_of

Arrays = dict[str, NDArray[Any]]


@dataclass(frozen=True)
class Feeds:
    """What a program is given.

    `arrays` has every input that is not always masked, contiguous and of its dtype; `masks` the
    attention mask of every input that takes one; `present` is false for those that stand for
    nothing; `sizes` are the values of the symbols, batch included. `points` are for decode.
    """

    arrays: Arrays
    masks: Masks
    present: dict[str, bool]
    sizes: dict[str, int]
    notes: tuple[str, ...]
    points: Points = field(default_factory=dict)

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
    given = as_mapping("inputs", f"a mapping of arrays, {foreign.form(manifest.inputs)}", given)
    if given_sizes is not None:
        given_sizes = as_mapping("sizes", 'a mapping such as {"n": 30}', given_sizes)
    report = Report()
    notes: list[str] = []
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
            array = _converted(name, entry, given[name], report, notes)
            if array is not None and _has_axes(name, entry, array, report, batch):
                arrays[name] = array
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
    notes += empty_notes(masks)
    points_by_array = {
        name: points[entry.points_of[0]]
        for name, entry in manifest.inputs.items()
        if entry.points_of and entry.points_of[0] in points
    }
    notes += unranged_notes(manifest, {**arrays, **points_by_array})
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
    return Feeds(arrays, masks, present, sizes, tuple(notes), points)


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
        array = given[name]
        fits = _accepts(name, entry, array.dtype, report)
        if fits and not entry.points_of and _has_axes(name, entry, array, report):
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
        array = _converted(name, entry, value, report)
        if array is None:
            continue
        if array.ndim == 2 and batch is not None:
            array = np.repeat(array[None], batch, axis=0)
        if not _has_axes(name, entry, array, report):
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
        guess = did_you_mean(name, names)
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


def _converted(
    name: str,
    entry: InputEntry,
    value: ArrayLike,
    report: Report,
    notes: list[str] | None = None,
) -> NDArray[Any] | None:
    """The value as a contiguous array of the input's dtype; what is lost of numbers is noted."""
    if value is None:
        help = "leave it out" if entry.mask == "optional" else "pass an array"
        report.error("PG504", f"input {quote(name)} is None", help=help)
        return None
    array = as_array(f"input {quote(name)}", value, report)
    wanted = np.dtype(entry.dtype)
    if array is None or not _accepts(name, entry, array.dtype, report):
        return None
    if array.dtype == np.uint64 and wanted.kind == "i" and (array > np.iinfo(wanted).max).any():
        report.error("PG514", f"input {quote(name)} has ids beyond the range of int64")
        return None
    array = array if entry.periods is None else wrapped(array, entry.periods)
    with np.errstate(over="ignore"):  # too large for float32: reported as not finite
        found = np.asarray(array, dtype=wanted, order="C")
    if notes is not None and wanted.kind == "f":
        said = (*rounded(array, found, entry.axes), *unscaled(array, entry.media))
        notes += [f"input {quote(name)}: {text}" for text in said]
    return found


def _accepts(name: str, entry: InputEntry, dtype: np.dtype[Any], report: Report) -> bool:
    """Whether numbers of a dtype become the input's without loss."""
    if dtype.kind in ("iuf" if entry.dtype == "float32" else "iu"):
        return True
    help = real_numbers(dtype)
    if entry.media is not None and dtype.kind == "U":
        help = either(help, f"`program.read({name}=...)` makes arrays of texts and files")
    if entry.dtype == "int64" and dtype.kind in "bf":
        help = "this input takes ids: if the values are whole numbers, .astype('int64')"
    message = f"input {quote(name)} is of dtype {dtype}, and takes {entry.dtype}"
    report.error("PG504", message, help=help)
    return False


def _has_axes(
    name: str, entry: InputEntry, array: NDArray[Any], report: Report, batch: int = 1
) -> bool:
    """Whether the number of axes and all fixed sizes are right; every wrong one is reported."""
    shape = list(array.shape)
    expected = f"expected {axes_of(entry)}"
    if len(shape) != len(entry.shape):
        count = "1 axis" if len(shape) == 1 else f"{len(shape)} axes"
        message = f"input {quote(name)} has {count}, {shape}, and takes {len(entry.axes)}"
        help = None
        if _fits(shape, entry.shape[1:]):
            help = f"add the batch axis: {with_batch(name, batch)}"
        elif entry.shape[-1] == 1 and _fits(shape, entry.shape[:-1]):
            help = f"add the axis of the one channel: {name}[..., None]"
        report.error("PG503", message, notes=[expected], help=help)
        return False
    wrong = [
        (axis, size, actual)
        for axis, size, actual in zip(entry.axes, entry.shape, shape, strict=True)
        if isinstance(size, int) and size != actual
    ]
    if wrong and (order := order_of(shape, entry.shape)):
        message = f"the axes of input {quote(name)}, {shape}, are in another order"
        help = f"{name}.transpose({', '.join(map(str, order))})"
        report.error("PG503", message, notes=[expected], help=help)
        return False
    for axis, size, actual in wrong:
        message = f"axis `{axis}` of input {quote(name)} has size {actual}, and takes {size}"
        report.error("PG503", message, notes=[f"given {shape}, {expected}"])
    return not wrong


def _fits(shape: Sequence[int], wanted: Sequence[int | str]) -> bool:
    """Whether sizes are those that are wanted; a symbol may be any."""
    return len(shape) == len(wanted) and all(
        isinstance(size, str) or size == actual for size, actual in zip(wanted, shape, strict=True)
    )
