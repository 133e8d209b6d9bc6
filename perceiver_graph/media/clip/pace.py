"""How long media last: a window of a clip that is read, and what is made of it."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from math import prod

from perceiver_graph.media.base import CHANNEL, Mismatch, Part, Signature

TOLERANCE = Fraction(1, 100)
"""By what share the lengths of two windows may differ: rates that do not divide are rounded."""


def off_pace(part: Part, signature: Signature) -> Mismatch | None:
    """Where a window of a clip that is written lasts longer, or shorter, than one that is read.

    They are put one after the other: the film would be a slow, or a fast one.
    """
    clips = signature.read_as("video", "audio")
    wanted = next((_seconds(one.sizes, one.settings.rate) for one in clips), None)
    sounds = [one.sizes[CHANNEL] for one in clips if one.kind == "audio"]
    channels = next((size for size in sounds if isinstance(size, int)), 1)
    is_sound, rate = part.kind == "audio", part.settings.rate
    lasts = _seconds(part.sizes, rate, channels if is_sound else 0)
    if lasts is None or wanted is None or abs(lasts - wanted) <= TOLERANCE * wanted:
        return None
    fitting = _fitting_rate(Fraction(str(rate)) * lasts / wanted)
    if fitting is None or (is_sound and isinstance(fitting, float)):
        remedy = f"give it as much as lasts {float(wanted):.4g} s"
    else:
        remedy = f"write `rate: {fitting}`"
    fault = (
        f"a window of `{part.name}` lasts {float(lasts):.4g} s, and one of the clip that is read "
    )
    return Mismatch(f"{fault}{float(wanted):.4g} s", remedy, ("media", part.kind))


def _seconds(sizes: Mapping[str, int | str], rate: float, channels: int = 0) -> Fraction | None:
    """How long a video or a sound of these sizes lasts, None where a size is not known.

    Sound without `channels` has a time axis, else so many values are one sample.
    """
    known = [size for size in sizes.values() if isinstance(size, int)]
    if len(known) < len(sizes) or not rate:
        return None
    steps = Fraction(prod(known), channels) if channels else Fraction(int(sizes["time"]))
    return steps / Fraction(str(rate))


def _fitting_rate(rate: Fraction) -> float | int | None:
    """The rate with which a window lasts as long as is wanted, if it can be written in a few digits."""
    if rate.denominator == 1:
        return rate.numerator
    near = round(float(rate), 4)
    return near if Fraction(str(near)) == rate else None
