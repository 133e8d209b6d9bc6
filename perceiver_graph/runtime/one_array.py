"""One array of a call against the input that it is for: its kind of numbers, and its axes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from perceiver_graph.diagnostics import Report, quote
from perceiver_graph.diagnostics.commands import either, option
from perceiver_graph.media.base import CHANNEL, InputMedia
from perceiver_graph.runtime.arrays import as_array, rounded, unscaled, wrapped
from perceiver_graph.runtime.axes import better, coloured
from perceiver_graph.runtime.kinds import ids_of_rows, ids_together, real_numbers, whole_ids
from perceiver_graph.runtime.read_calls import read_by
from perceiver_graph.spec.manifest import Dimension, InputEntry, axes_of

_TEXT = 40  # characters of a text that are shown again


class OneArray:
    """Looks at the array of one input; what is wrong goes into a report, what is odd into `doubts`.

    Others in the call have `batch` batch elements.
    """

    def __init__(
        self,
        name: str,
        entry: InputEntry,
        dims: Mapping[str, Dimension],
        report: Report,
        batch: int = 1,
    ) -> None:
        self.name, self.entry, self.dims = name, entry, dims
        self.report, self.batch = report, batch
        self.doubts: list[str] = []
        self.called = name
        """The expression of its array, in what is told."""

    def given(self, value: ArrayLike) -> NDArray[Any] | None:
        """What the caller gives, as an array of some numbers."""
        if value is None:
            help = "leave it out" if self.entry.mask == "optional" else "pass an array"
            self.report.error("PG504", f"input {quote(self.name)} is None", help=help)
            return None
        if not isinstance(value, np.ndarray):  # lists and tensors have no such methods, or others
            self.called = f"numpy.asarray({self.name})"
        array = as_array(f"input {quote(self.name)}", value, self.report, **self._ragged())
        return array if array is not None and self.holds_numbers(array) else None

    def converted(self, array: NDArray[Any]) -> NDArray[Any] | None:
        """The array in the input's dtype, contiguous; what is lost of numbers is a doubt."""
        name, wanted = quote(self.name), np.dtype(self.entry.dtype)
        if not self.accepts(array):
            return None
        if array.dtype == np.uint64 and wanted.kind == "i" and (array > np.iinfo(wanted).max).any():
            self.report.error("PG514", f"input {name} has ids beyond the range of int64")
            return None
        array = array if self.entry.periods is None else wrapped(array, self.entry.periods)
        with np.errstate(over="ignore"):  # too large for float32: reported as not finite
            found = np.asarray(array, dtype=wanted, order="C")
        if wanted.kind == "f":
            said = (*rounded(array, found, self.entry.axes), *unscaled(found, self.entry.media))
            self.doubts += [f"input {name}: {text}" for text in said]
        return found

    def holds_numbers(self, array: NDArray[Any]) -> bool:
        """Whether it holds numbers, ids if the input takes these, of any width."""
        dtype = array.dtype
        if dtype.kind in ("iuf" if self.entry.dtype == "float32" else "iu"):
            return True
        if self.entry.dtype == "int64" and dtype.kind in "bf":
            help = whole_ids(array, self.called, self.entry, self._fits)
        elif self.entry.media is not None and dtype.kind == "U":
            text = str(array[()]) if array.ndim == 0 else ""
            made = read_call(self.name, self.entry.media, text)
            help = either(real_numbers(array), f"{made} makes arrays of texts and files")
        else:
            help = real_numbers(array, self.called, self.entry.dtype)
        self._refuse(dtype, f"and takes {self.entry.dtype}", help)
        return False

    def accepts(self, array: NDArray[Any]) -> bool:
        """Whether the numbers are scaled as the input's: of a file of pixels, whole ones are not."""
        media = self.entry.media
        if media is None or media.bounds() is None or array.dtype.kind not in "iu":
            return True
        way = f"scale them: {media.scaled(self.called, array.dtype)}"
        help = f"{way}; or {read_call(self.name, media)}"
        self._refuse(array.dtype, f"whole numbers, and files are read as {media.scale()}", help)
        return False

    def has_axes(self, array: NDArray[Any]) -> bool:
        """Whether the number of axes and all fixed sizes are right; every wrong one is reported."""
        entry, shape, name = self.entry, list(array.shape), quote(self.name)
        expected = f"expected {axes_of(entry)}"
        several = len(shape) != len(entry.shape)
        wrong = [
            (axis, size, actual)
            for axis, size, actual in zip(entry.axes, entry.shape, shape, strict=False)
            if isinstance(size, int) and size != actual
        ]
        if not several and not wrong:
            return True
        help = ids_of_rows(array, self.called, entry, self._fits) if several else None
        help = help or ids_together(array, self.called, entry, self._fits)
        help = help or better(self.called, shape, entry.shape, self.batch, self._permits)
        if several:
            if self._is_seen():
                help = help or coloured(self.called, shape, entry.shape, self.batch, self._permits)
            count = "1 axis" if len(shape) == 1 else f"{len(shape)} axes"
            message = f"input {name} has {count}, {shape}, and takes {len(entry.axes)}"
            self.report.error("PG503", message, notes=[expected], help=help or self._read())
        elif help and all(isinstance(size, int) for size in entry.shape[1:]):
            message = f"the axes of input {name}, {shape}, are in another order"
            self.report.error("PG503", message, notes=[expected], help=help)
        else:
            for axis, size, actual in wrong:
                message = f"axis `{axis}` of input {name} has size {actual}, and takes {size}"
                way = f"if its axes are in another order: {help}" if help else None
                way = way or self._resized(axis, size, actual)
                self.report.error("PG503", message, notes=[f"given {shape}, {expected}"], help=way)
        return False

    def _fits(self, shape: Sequence[int], wanted: Sequence[int | str]) -> bool:
        """Whether a shape is one that is wanted."""
        pairs = [*zip(wanted, shape, strict=False)]
        return len(shape) == len(wanted) and all(
            n == size if isinstance(size, int) else self._permits(size, n) for size, n in pairs
        )

    def _ragged(self) -> dict[str, str]:
        """What is said of rows that differ in length, where a mask says which tokens there are."""
        if self.entry.attention_mask is None:
            return {}
        mask = quote(f"{self.name}.attention_mask")
        return {
            "ragged": f"its rows differ in length: fill them up to one, and say in {mask} which are there"
        }

    def _permits(self, size: str, actual: int) -> bool:
        """Whether a symbol may be so large; of what is made of symbols that is seen later."""
        return not size.isidentifier() or self.dims.get(size, Dimension()).permits(actual)

    def _resized(self, axis: str, size: int, actual: int) -> str | None:
        """What makes a picture fit: one with transparency, without colour, or of another size."""
        media, at = self.entry.media, self.entry.axes.index(axis)
        if (media is None or media.scale() is None) and not self._is_seen():
            return None
        if axis == CHANNEL and size == 3 and actual == 4:
            return f"take red, green and blue alone: {self.called}[{':, ' * at}:3]"
        if axis == CHANNEL and size == 3 and actual == 1:
            return f"take its one channel for all: {self.called}.repeat(3, axis={at})"
        return self._read()

    def _is_seen(self) -> bool:
        """Whether it is a picture, or as many as there are moments."""
        return {"height", "width"}.issubset(self.entry.axes)

    def _read(self) -> str | None:
        """How a file is read, to who has one."""
        media = self.entry.media
        return f"{read_call(self.name, media)}: files are brought to this size" if media else None

    def _refuse(self, dtype: np.dtype[Any], why: str, help: str | None) -> None:
        message = (
            f"input {quote(self.name)} is of dtype {dtype}{',' if why[:3] == 'and' else ':'} {why}"
        )
        self.report.error("PG504", message, help=help)


def read_call(name: str, media: InputMedia, text: str = "") -> str:
    """How a file, or this text, is read for an input: `program.read(image="PICTURE.jpg")`."""
    words = ["A TEXT"] if media.key == "text" else media.example.split()
    if 0 < len(text) <= _TEXT and len(words) == 1:
        words = [text]
    typed = " ".join(option(f"{name}={one}") for one in words)
    return either(f"name what it comes from, {typed}", read_by({name: words}))
