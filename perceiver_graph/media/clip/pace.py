"""How long media last: a window of a clip that is read, and what is made of it."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from math import prod

from perceiver_graph.media.fit import CHANNEL, Around, Misfit, Part

TOLERANCE = Fraction(1, 100)
"""By what share the lengths of two windows may differ: rates that do not divide are rounded."""


def off_pace(part: Part, around: Around) -> Misfit | None:
    """Where a window of a clip that is written lasts longer, or shorter, than one that is read.

    They are put one after the other: the film would be a slow, or a fast one.
    """
    if part.kind not in ("video", "audio"):
        return None
    clips = [one for kind in ("video", "audio") for one in around.inputs if one.kind == kind]
    wanted = next((seconds(one.kind, one.sizes, one.settings.rate) for one in clips), None)
    sounds = [one.sizes[CHANNEL] for one in clips if one.kind == "audio"]
    channels = next((size for size in sounds if isinstance(size, int)), 1)
    each = channels if part.kind == "audio" else 0
    lasts = seconds(part.kind, part.sizes, part.settings.rate, each)
    if lasts is None or wanted is None or not differ(lasts, wanted):
        return None
    fault = (
        f"a window of `{part.name}` lasts {float(lasts):.4g} s, and one of the clip that is read "
    )
    rate = fitting_rate(lasts, wanted, part.settings.rate)
    if rate is None or (part.kind == "audio" and isinstance(rate, float)):
        remedy = f"give it as much as lasts {float(wanted):.4g} s"
    else:
        remedy = f"write `rate: {rate}`"
    return Misfit(f"{fault}{float(wanted):.4g} s", remedy, ("media", part.kind))


def seconds(
    kind: str, sizes: Mapping[str, int | str], rate: float, channels: int = 0
) -> Fraction | None:
    """How long a video or a sound of these sizes lasts, None where a size is not known.

    Sound without `channels` has a time axis, else so many values are one sample.
    """
    known = [size for size in sizes.values() if isinstance(size, int)]
    if len(known) < len(sizes) or not rate:
        return None
    steps = Fraction(prod(known), channels) if channels else Fraction(int(sizes["time"]))
    return steps / Fraction(str(rate))


def differ(one: Fraction, other: Fraction) -> bool:
    """Whether a film of the one would not keep up with the other."""
    return abs(one - other) > TOLERANCE * other


def fitting_rate(lasts: Fraction, wanted: Fraction, rate: float) -> float | int | None:
    """The rate with which a window lasts as long as is wanted, if it can be written in a few digits."""
    found = Fraction(str(rate)) * lasts / wanted
    return found.numerator if found.denominator == 1 else _short(found)


def _short(value: Fraction) -> float | None:
    near = round(float(value), 4)
    return near if Fraction(str(near)) == value else None
