"""Sound as a mel spectrogram: how strong each band of pitches is, moment by moment."""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray

_FLOOR = 1e-10  # of the power, whose logarithm is taken


def log_mel(
    samples: NDArray[np.float32], *, rate: int, window: int, hop: int, bands: int
) -> NDArray[np.float32]:
    """The natural logarithm of the power in each band, float32 [moments, bands].

    samples: [n] in [-1, 1]. A moment is `window` samples long (under a Hann window), the next begins
    `hop` later; there are 1 + (n - window) // hop. The bands are triangles, evenly spaced on the mel
    scale (O'Shaughnessy) from 0 to half the rate. Raises ValueError for less than a window.
    """
    if len(samples) < window:
        raise ValueError(f"{len(samples)} samples are less than a window of {window}")
    frames = np.lib.stride_tricks.sliding_window_view(samples.astype(np.float64), window)[::hop]
    hann = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(window) / window)
    power = np.abs(np.fft.rfft(frames * hann, axis=-1)) ** 2
    return np.log(np.maximum(power @ _filters(rate, window, bands), _FLOOR)).astype(np.float32)


@cache
def _filters(rate: int, window: int, bands: int) -> NDArray[np.float64]:
    """How much each frequency counts in each band [window // 2 + 1, bands]."""
    highest = 2595.0 * np.log10(1 + rate / 2 / 700.0)
    corners = 700.0 * (10 ** (np.linspace(0, highest, bands + 2) / 2595.0) - 1)
    highest_known = window // 2 * rate / window  # of an odd window, less than half the rate
    hertz = np.linspace(0, highest_known, window // 2 + 1)[:, None]
    low, peak, high = corners[:-2], corners[1:-1], corners[2:]
    return np.maximum(0, np.minimum((hertz - low) / (peak - low), (high - hertz) / (high - peak)))
