"""How what holds no numbers becomes an array of them, or no ids, one of these."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from numbers import Real
from os import PathLike
from typing import Any

import numpy as np
from numpy.typing import NDArray

from perceiver_graph.spec.manifest import InputEntry

_NOT_THESE = "pass numbers, not texts, dates or None"
_SHOWN = 1000  # objects that are looked at


def real_numbers(array: NDArray[Any], name: str = "", dtype: str = "float32") -> str:
    """How an array that is called so becomes one of real numbers, of a dtype."""
    cast = f"pass numbers: {name}.astype({dtype!r})"
    match array.dtype.kind:
        case "b":
            return cast
        case "c":
            return f"pass {name}.real, or numpy.abs"
        case "V" if array.dtype.names:
            fields = f"[{name}[field] for field in {name}.dtype.names]"
            return f"put its fields along the last axis: numpy.stack({fields}, axis=-1)"
        case "U" | "S" if array.size and _converts(array, dtype):
            return cast
        case "M" if name:
            cast = f"{name}.astype('datetime64[s]').astype('{'int64' if dtype == 'int64' else 'float64'}')"
            return f"dates are numbers of some unit: as seconds since 1970, {cast}"
        case "m" if name:
            return f"times are numbers of some unit: as seconds, {name} / numpy.timedelta64(1, 's')"
        case "O":
            return _of_objects(array, name, dtype) or _NOT_THESE
    return _NOT_THESE


def _of_objects(array: NDArray[Any], name: str, dtype: str) -> str | None:
    items = [*array.ravel()[:_SHOWN]]
    if array.ndim == 0:
        return _of_one(items[0], name.removeprefix("numpy.asarray(").removesuffix(")"))
    if all(isinstance(item, Real) for item in items):
        return f"pass numbers: {name}.astype({dtype!r})"
    shapes = {np.shape(item) for item in items if hasattr(item, "shape")}
    if array.ndim == 1 and len(shapes) == 1 and len(items) == array.size:
        return f"put its arrays into one: numpy.stack([*{name}])"
    return None


def _of_one(value: object, name: str) -> str | None:
    """What is no sequence for numpy."""
    if isinstance(value, PathLike) or (hasattr(value, "read") and hasattr(value, "seek")):
        return f"if it is a file of numpy, numpy.load({name})"
    if hasattr(value, "__dlpack__"):
        return f"pass numpy.from_dlpack({name})"
    if isinstance(value, Iterator):
        return f"go through it first: numpy.stack([*{name}])"
    if isinstance(value, Mapping):
        return "pass its arrays, each under the name of an input"
    return None


def _converts(array: NDArray[Any], dtype: str) -> bool:
    try:
        array.astype(dtype)
    except (TypeError, ValueError, OverflowError):
        return False
    return True


def whole_ids(array: NDArray[Any], name: str, wanted: InputEntry, fits: Fits) -> str:
    """How numbers of another kind become ids, to who is told that the input takes these."""
    if found := ids_of_rows(array, name, wanted, fits):
        return found
    if array.dtype.kind == "b":
        return f"this input takes ids: if True stands for 1, {name}.astype('int64')"
    if np.isfinite(array).all() and (array == np.rint(array)).all():
        return f"this input takes ids: if the values are whole numbers, {name}.astype('int64')"
    return "this input takes ids, whole numbers, and these are none"


Fits = Callable[[Sequence[int], Sequence[int | str]], bool]
"""Whether a shape is one that is wanted."""


def ids_of_rows(array: NDArray[Any], name: str, wanted: InputEntry, fits: Fits) -> str | None:
    """How rows with a 1 at the place of each id become ids; None of what are no such rows."""
    count, axes = wanted.vocabulary, wanted.shape
    if count is None or array.shape[-1:] != (count,) or not fits(array.shape[:-1], axes):
        return None
    plain = ((array == 0) | (array == 1)).all() and (array.sum(-1) == 1).all()
    return f"of rows with a 1 where the id is, {name}.argmax(axis=-1)" if plain else None


def ids_together(array: NDArray[Any], name: str, wanted: InputEntry, fits: Fits) -> str | None:
    """How ids of the first vocabulary alone get those of the others; None where there are no others."""
    several = len(wanted.vocabularies or ())
    if not several or array.shape[-1] == several or not fits(array.shape, wanted.shape[:-1]):
        return None
    rest = ", ".join(f"OTHER_{i}" if several > 2 else "OTHER" for i in range(1, several))
    return (
        f"a token has {several} ids: if these are the first, numpy.stack([{name}, {rest}], axis=-1)"
    )
