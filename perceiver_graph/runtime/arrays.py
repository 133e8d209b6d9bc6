"""What a caller gives as an array, as one of numpy."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from perceiver_graph.diagnostics import Report, quote
from perceiver_graph.media.base import InputMedia

_FAR = 8
"""How far beyond what files have no other normalisation, noise or volume would bring numbers, however
many there are: of a few normal ones none is beyond 4, of many some are."""
_RAGGED = "its rows differ in length: fill them up to one, or give them one call each"


def as_array(
    label: str, value: ArrayLike, report: Report, ragged: str = _RAGGED
) -> NDArray[Any] | None:
    """The value as an array, or None where it is reported (PG504); `ragged` is what is said of rows that
    differ in length.

    A masked array would be read with what lies below its mask, so it is refused where it has any; so
    are lists of them.
    """
    arrays = [*_masked(value)]
    masked = sum(int(np.count_nonzero(np.ma.getmaskarray(one))) for one in arrays)
    if masked:
        size, many = sum(one.size for one in arrays), len(arrays) > 1 or arrays[0] is not value
        report.error(
            "PG504",
            f"{label} {'has masked arrays' if many else 'is a masked array'}, and {masked} of "
            f"{'their' if many else 'its'} {size} values are masked",
            help="say what stands for them, as in `.filled(0)`; which tokens are there, an "
            "attention mask says, not single values",
        )
        return None
    try:
        return np.asarray(value)
    except (TypeError, ValueError, RuntimeError) as error:
        help = _of_tensor(value)
        if help is None and isinstance(value, list | tuple):
            help = ragged
        report.error("PG504", f"{label} is no array: {error}", help=help)
        return None


def _masked(value: object) -> Iterator[np.ma.MaskedArray[Any, Any]]:
    """The masked arrays in a list, whose masks numpy would leave out."""
    if isinstance(value, np.ma.MaskedArray):
        yield value
    elif isinstance(value, list | tuple) and value and not isinstance(value[0], int | float):
        for item in value:
            yield from _masked(item)
    elif isinstance(value, np.ndarray) and value.dtype == object:
        yield from _masked(value.tolist())


def wrapped(array: NDArray[Any], periods: Sequence[Sequence[float] | None]) -> NDArray[Any]:
    """Coordinates within their period, before float32 rounds them: moments of today in seconds of
    1970 are 128 apart in it. `periods` has two values for each channel that is periodic.

    Whole periods are taken off first, which rounds nothing; `low` subtracted from what is far away
    would be lost.
    """
    if array.ndim == 0 or array.shape[-1] != len(periods):
        return array
    found = array.astype(np.float64)
    for channel, bounds in enumerate(periods):
        if bounds is not None:
            low, high = bounds
            values = found[..., channel]
            with np.errstate(invalid="ignore"):  # of infinity, which is reported
                inside = (values >= low) & (values <= high)
                rest = np.fmod(values, high - low)
                found[..., channel] = np.where(inside, values, low + (rest - low) % (high - low))
    return found


def rounded(given: NDArray[Any], values: NDArray[np.float32], axes: Sequence[str]) -> Iterator[str]:
    """A note on whole numbers that are others in float32: moments in seconds, and names in digits."""
    if given.dtype.itemsize <= 2 or given.dtype == np.float32:
        return
    if given.dtype.kind in "iu":  # compared as they are: float64 has not all of them either
        lost = _is_other(given, values)
    else:
        lost = (given == np.rint(given)) & (values != given) & (np.abs(given) <= 2**53)
    if lost.any():
        place, where = first(lost, axes)
        yield (
            "whole numbers beyond 16,777,216 are rounded to float32 (the first: "
            f"{int(given[place])} becomes {int(values[place])}, in {where})"
        )


def _is_other(given: NDArray[Any], values: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Where whole numbers are others in float32."""
    beyond = values >= 2.0 ** (8 * given.dtype.itemsize - (given.dtype.kind == "i"))
    found: NDArray[np.bool_] = beyond | (np.where(beyond, 0, values).astype(given.dtype) != given)
    return found


def first(found: NDArray[np.bool_], axes: Sequence[str]) -> tuple[tuple[int, ...], str]:
    """The first place that is true, and where that is in words: `batch 0, time 3`."""
    place = tuple(int(i) for i in np.unravel_index(int(found.argmax()), found.shape))
    return place, ", ".join(f"{axis} {i}" for axis, i in zip(axes, place, strict=False))


def unscaled(array: NDArray[Any], media: InputMedia | None) -> Iterator[str]:
    """A note on numbers far beyond those that files are read as: pixels as files have them."""
    bounds = media.bounds() if media else None
    if media is None or bounds is None or not array.size:
        return
    least, most = float(array.min()), float(array.max())
    if max(-least, most) > _FAR * max(map(abs, bounds)):
        low, high = bounds
        scale = f"{media.scale()}, {low:.3g} to {high:.3g}"
        yield f"values of {least:g} to {most:g}, where files are read as {scale}"


def _of_tensor(value: Any) -> str | None:
    """What makes an array of a tensor of PyTorch, which is not imported for it."""
    calls = {
        ".detach()": getattr(value, "requires_grad", False) is True,
        ".float()": str(getattr(value, "dtype", "")) == "torch.bfloat16",
        ".cpu()": str(getattr(value, "device", "cpu")) not in ("cpu", "meta"),
    }
    needed = "".join(call for call, needs in calls.items() if needs)
    return f"pass numbers of numpy: tensor{needed}.numpy()" if needed else None


def overflow_notes(results: Mapping[str, NDArray[np.float32]]) -> list[str]:
    """What is said of outputs that hold NaN or infinite values."""
    return [
        f"output {quote(name)} is not finite in all its values: the numbers overflowed in the model; "
        "JSON has null for them"
        for name, array in results.items()
        if not np.isfinite(array).all()
    ]
