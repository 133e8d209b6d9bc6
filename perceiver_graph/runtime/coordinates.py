"""Coordinates of a call: positions of tokens, which come with inputs, and points to ask outputs at."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from perceiver_graph.diagnostics import Report, quote
from perceiver_graph.runtime.arrays import first
from perceiver_graph.runtime.masks import Masks
from perceiver_graph.runtime.sizes import evaluate, symbols
from perceiver_graph.spec.manifest import InputEntry, Manifest, axes_of

Points = dict[str, NDArray[np.float32]]
"""Points by output: [batch, points, coordinates]."""


def points_of(manifest: Manifest, output: str) -> tuple[str, InputEntry] | None:
    """The array of the points that an output is asked at by name, or None for any other output."""
    found = ((name, one) for name, one in manifest.inputs.items() if output in one.points_of)
    return next(found, None)


def is_extra(entry: InputEntry) -> bool:
    """Whether an array comes along with inputs or for an output, and is no input by itself."""
    return bool(entry.beside or entry.points_of)


def held(entry: InputEntry, whose: str = "") -> str:
    """What an array holds that comes along with inputs: `its positions`, `the numbers of chosen tokens`."""
    if entry.among is not None:
        return "the numbers of its chosen tokens" if whose else "chosen tokens"
    return f"{whose} positions".strip()


def check_chosen(
    manifest: Manifest,
    arrays: Mapping[str, NDArray[Any]],
    sizes: Mapping[str, int],
    report: Report,
) -> None:
    """Report (PG514) numbers of tokens that are not there."""
    for name, entry in manifest.inputs.items():
        if (
            entry.among is None
            or name not in arrays
            or not sizes.keys() >= {*symbols([entry.among])}
        ):
            continue
        array, count = arrays[name], evaluate(entry.among, sizes)
        wrong = (array < 0) | (array >= count)
        if wrong.any():
            place, where = first(wrong, entry.axes)
            report.error(
                "PG514",
                f"{np.count_nonzero(wrong)} of {array.size} numbers in {quote(name)} are of no token of "
                f"{quote(entry.beside[0])}",
                notes=[f"the first is {array[place]} at {where}"],
                help=f"they are counted from 0, and here go up to {count - 1}",
            )


def check_company(manifest: Manifest, given: Mapping[str, Any], report: Report) -> None:
    """Report (PG501) coordinates that are missing where tokens are given, and the other way round."""
    for name, entry in manifest.inputs.items():
        tokens = [other for other in entry.beside if other in given]
        if entry.mask != "optional" or not entry.beside or bool(tokens) == (name in given):
            continue
        if tokens:
            report.error(
                "PG501",
                f"input {quote(tokens[0])} is given without {held(entry, 'its')}, {quote(name)}: "
                f"{entry.dtype} {axes_of(entry)}",
                help=f"pass an array under the name {quote(name)} as well, or neither",
            )
        else:
            others = " or ".join(map(quote, entry.beside))
            report.error(
                "PG501",
                f"{quote(name)} is given without {others}, whose {held(entry)} it holds",
                help=f"pass {others} as well, or neither",
            )


def check_ranges(
    manifest: Manifest, arrays: Mapping[str, NDArray[Any]], masks: Masks, report: Report
) -> None:
    """Report (PG517) coordinates of tokens that are outside of their range; masked ones may be."""
    for name, entry in manifest.inputs.items():
        if entry.ranges is None or name not in arrays:
            continue
        there = [masks[other] for other in entry.beside if other in masks]
        if any(mask.shape != arrays[name].shape[:-1] for mask in there):
            continue  # the sizes do not agree, which is reported
        everywhere = len(there) < len(entry.beside)  # the tokens of another input are all there
        shown = None if everywhere or not there else np.logical_or.reduce(there)
        report_outside(name, entry, arrays[name], report, shown)


def report_outside(
    name: str,
    entry: InputEntry,
    array: NDArray[Any],
    report: Report,
    shown: NDArray[np.bool_] | None = None,
) -> None:
    """Report (PG517) the channels of an array whose values are not in their range.

    `shown`, bool [batch, ...], says which of them are looked at.
    """
    for channel, bounds in enumerate(entry.ranges or ()):
        if bounds is None:
            continue
        low, high = bounds
        values = array[..., channel]
        # What was written with a few digits may end a little beyond.
        slack = 1e-6 * max(abs(low), abs(high))
        wrong = (values < low - slack) | (values > high + slack)
        if shown is not None:
            wrong &= shown
        if not wrong.any():
            continue
        place, where = first(wrong, entry.axes)
        which = quote(entry.coordinates[channel]) if entry.coordinates else f"channel {channel}"
        report.error(
            "PG517",
            f"{np.count_nonzero(wrong)} of {values.size} values of {which} in {quote(name)} lie "
            f"outside of {low:g} to {high:g}",
            notes=[f"the first is {values[place]:g} at {where}"],
            help="give them in the unit of the spec, or declare a wider `range` and compile again",
        )


def unranged_notes(manifest: Manifest, arrays: Mapping[str, NDArray[Any]]) -> list[str]:
    """A note for coordinates that go beyond [-1, 1], where the spec does not say their range, or that
    are too large for float32 to hold what their waves tell apart."""
    found = []
    for name, array in arrays.items():
        entry = manifest.inputs[name]
        if entry.among is not None:
            continue
        count = array.shape[-1] if is_extra(entry) and not entry.ranges else entry.fourier or 0
        far = float(np.abs(array[..., :count]).max(initial=0))
        if count and entry.shortest:
            found.extend(_coarse_notes(name, far, entry.shortest))
        elif far > 1 + 1e-6:
            remedy = "`range` of its position in the spec says where it lies"
            if entry.fourier:
                remedy = f"bring it there first: divide by {far:g} or more"
            found.append(
                f"{quote(name)} goes up to {far:g}, and is taken to lie in -1 to 1: {remedy}"
            )
    return found


def _coarse_notes(name: str, far: float, shortest: float) -> list[str]:
    """What is said of coordinates that may be turned by 0.05 radians where they are rounded."""
    spacing = float(np.spacing(np.float32(far))) if np.isfinite(far) else 0
    if spacing <= shortest / 64:
        return []
    text = f"{quote(name)} goes up to {far:g}, where numbers in float32 differ by {spacing:.3g}"
    return [f"{text}: others are rounded, and the shortest wave is {shortest:.3g} long"]
