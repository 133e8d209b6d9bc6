"""Which bands of a mel spectrogram hold anything: a window tells apart what is far enough apart."""

from __future__ import annotations

from math import floor, log10

from perceiver_graph.media.base import Mismatch, Part, Signature

_SCALE, _BREAK = 2595.0, 700.0  # of the mel scale, O'Shaughnessy


def mels(hertz: float) -> float:
    """A frequency on the mel scale."""
    return _SCALE * log10(1 + hertz / _BREAK)


def empty_bands(part: Part, signature: Signature) -> Mismatch | None:
    """Where no frequency of a window lies within the lowest band of a mel spectrogram, which is the
    narrowest: it would be the same for every sound, and others above it may be, too."""
    bands = part.sizes["frequency"]
    assert isinstance(bands, int)  # by the check of axes
    rate, window = part.settings.rate, part.settings.window
    width = _BREAK * (10 ** (2 * mels(rate / 2) / (bands + 1) / _SCALE) - 1)
    apart = rate / window
    if apart < width:
        return None
    most = floor(2 * mels(rate / 2) / mels(apart) - 1e-9) - 1
    remedy = f"write `window: {floor(rate / width) + 1}` or more"
    return Mismatch(
        f"the lowest of the {bands} bands of `{part.name}` is {width:.3g} Hz wide, and a window of "
        f"{window} samples tells frequencies apart that are {apart:.3g} Hz apart: bands that are "
        "narrower may hold nothing, whatever is heard",
        remedy + (f", or take at most {most} bands" if most > 0 else ""),
        ("media", "mel", "window"),
    )
