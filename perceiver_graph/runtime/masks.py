"""Attention masks: which tokens of an input are there. Given by the caller, or all of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from perceiver_graph.diagnostics import Report, quote
from perceiver_graph.runtime.arrays import as_array
from perceiver_graph.runtime.axes import better_mask, lengths_as_mask
from perceiver_graph.runtime.room import require_room
from perceiver_graph.runtime.sizes import evaluate, symbols
from perceiver_graph.spec.manifest import InputEntry, Manifest, MaskEntry

Masks = dict[str, NDArray[np.bool_]]
SUFFIX = ".attention_mask"


def mask_names(manifest: Manifest) -> list[str]:
    """The names under which masks can be given: `text.attention_mask`."""
    return [name + SUFFIX for name, entry in manifest.inputs.items() if entry.attention_mask]


def check_masks(
    manifest: Manifest, given: Mapping[str, ArrayLike], sizes: Mapping[str, int], report: Report
) -> Masks:
    """The masks that were given, by input, as bool arrays; what is wrong with them is reported."""
    masks: Masks = {}
    for name, entry in manifest.inputs.items():
        if entry.attention_mask is None or name + SUFFIX not in given:
            continue
        if name not in given and entry.mask != "never":
            message = f"{quote(name + SUFFIX)} is given without input {quote(name)}"
            report.error("PG501", message, help=f"pass {quote(name)} as well, or neither")
        if name not in given:
            continue
        mask = _converted(name, entry.attention_mask, given[name + SUFFIX], sizes, report)
        if mask is not None and _fits(name, entry.attention_mask, mask, sizes, report):
            masks[name] = mask
    return masks


def check_mask_sizes(manifest: Manifest, given: Mapping[str, NDArray[Any]], report: Report) -> None:
    """Report (PG503) masks of more tokens than their input has numbers: they are not worth reading."""
    for name in mask_names(manifest):
        array, mask = given.get(name.removesuffix(SUFFIX)), given.get(name)
        if array is not None and mask is not None and mask.size > max(array.size, 1):
            message = f"{quote(name)} is of shape {list(mask.shape)}, for an input of {array.shape}"
            report.error("PG503", message, help="one value for each token")


def whole(entry: InputEntry, sizes: Mapping[str, int]) -> NDArray[np.bool_]:
    """The mask of an input all of whose tokens are there."""
    assert entry.attention_mask is not None
    shape = [evaluate(size, sizes) for size in entry.attention_mask.shape]
    require_room(shape, "bool", "an attention mask", "a smaller batch")
    return np.ones(shape, bool)


def empty_notes(masks: Masks) -> list[str]:
    """What to say of batch elements for which a mask leaves no token."""
    notes = []
    for name, mask in masks.items():
        seen = mask.reshape(len(mask), -1).any(axis=1)
        if not seen.all():
            elements = ", ".join(map(str, np.flatnonzero(~seen).tolist()))
            notes.append(f"every token of input `{name}` is masked in batch element {elements}")
    return notes


def _converted(
    name: str, entry: MaskEntry, value: ArrayLike, sizes: Mapping[str, int], report: Report
) -> NDArray[np.bool_] | None:
    label = quote(name + SUFFIX)
    mask = as_array(label, value, report)
    if mask is None:
        return None
    if mask.dtype.kind not in "biu":
        message = f"{label} is of dtype {mask.dtype}, and an attention mask is bool"
        report.error("PG504", message, help=as_mask(mask))
        return None
    wrong = (mask != 0) & (mask != 1)
    if wrong.any():
        known = sizes.keys() >= {*symbols(entry.shape)}
        wanted = [evaluate(size, sizes) for size in entry.shape] if known else []
        lengths = lengths_as_mask(mask.ravel().tolist(), "mask", wanted)
        report.error(
            "PG514",
            f"{np.count_nonzero(wrong)} of {mask.size} values of {label} are neither 0 nor 1",
            notes=[f"the first is {mask[wrong][0]}"],
            help=lengths or as_mask(mask),
        )
        return None
    return np.ascontiguousarray(mask, dtype=bool)


def as_mask(mask: NDArray[Any]) -> str:
    """How numbers become a mask: 0 and 1, or those that are added to scores, 0 where there is a token.

    Where numbers do not say which of the two they are, both are told.
    """
    there, added = (
        "pass True where there is a token",
        "if it is added to scores, 0 stands for a token",
    )
    if mask.dtype.kind not in "biuf" or not mask.size or np.isnan(mask).any():
        return f"{there}, and False elsewhere"
    low, high = mask.min(), mask.max()
    if low < 0 and high <= 0:
        return f"{added}, and what is below it for none: (mask == 0)"
    if high > 0 and low >= 0:
        return f"{there}: (mask != 0) if 0 stands for none"
    return f"{there}: (mask != 0) if 0 stands for none; {added}: (mask == 0)"


def _fits(
    name: str,
    entry: MaskEntry,
    mask: NDArray[np.bool_],
    sizes: Mapping[str, int],
    report: Report,
) -> bool:
    if not sizes.keys() >= {
        *symbols(entry.shape)
    }:  # the array of the input is wrong itself, and that is reported
        return False
    expected = [evaluate(size, sizes) for size in entry.shape]
    if list(mask.shape) == expected:
        return True
    axes = ", ".join(f"{a} {n}" for a, n in zip(entry.axes, expected, strict=True))
    report.error(
        "PG503",
        f"{quote(name + SUFFIX)} is of shape {list(mask.shape)}, and takes {expected}",
        notes=[f"one value for each token: [{axes}]"],
        help=better_mask("mask", mask.shape, expected),
    )
    return False
