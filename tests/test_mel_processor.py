"""Mel spectrograms: the same as those of transformers, and what a tone looks like."""

from __future__ import annotations

import re

import numpy as np
import pytest
from numpy.typing import NDArray
from transformers.audio_utils import mel_filter_bank, spectrogram, window_function

from perceiver_graph.media.base import Mismatch, Part, Signature
from perceiver_graph.media.clip.bands import empty_bands
from perceiver_graph.media.clip.mel import log_mel
from perceiver_graph.media.clip.model import MelMedia, MelParameters
from tests.media_support import tone


@pytest.mark.parametrize(
    ("rate", "window", "hop", "bands"), [(16_000, 400, 160, 40), (48_000, 2048, 819, 64)]
)
def test_a_spectrogram_is_that_of_transformers(
    rate: int, window: int, hop: int, bands: int
) -> None:
    samples = np.random.default_rng(0).uniform(-1, 1, rate // 4).astype(np.float32)
    filters = mel_filter_bank(window // 2 + 1, bands, 0.0, rate / 2, rate, mel_scale="htk")
    wanted = spectrogram(
        samples,
        window_function(window, "hann"),
        frame_length=window,
        hop_length=hop,
        power=2.0,
        center=False,
        mel_filters=filters,
        log_mel="log",
    )
    found = log_mel(samples, rate=rate, window=window, hop=hop, bands=bands)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, wanted.T, rtol=1e-4, atol=1e-4)


def sound(hertz: float) -> NDArray[np.float32]:
    return tone(0.1, hertz, 16_000)[:, 0].astype(np.float32) / np.float32(2**15)


def test_a_higher_tone_lies_in_a_higher_band() -> None:
    found = [
        log_mel(sound(hertz), rate=16_000, window=512, hop=256, bands=20)
        for hertz in (200.0, 800.0, 3000.0)
    ]
    best = [one.argmax(axis=1) for one in found]
    assert all((one == one[0]).all() for one in best)
    assert best[0][0] < best[1][0] < best[2][0]


@pytest.mark.parametrize(("window", "bands"), [(25, 4), (401, 40), (400, 40), (3, 1)])
def test_a_band_counts_frequencies_as_they_are(window: int, bands: int) -> None:
    """Of an odd window, the highest frequency is less than half the rate."""
    moment = np.random.default_rng(1).uniform(-1, 1, window)
    hann = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(window) / window)
    edges = 700 * (10 ** (np.linspace(0, 2595 * np.log10(1 + 8000 / 700), bands + 2) / 2595) - 1)
    wanted = np.zeros(bands)
    for k in range(window // 2 + 1):
        turns = np.exp(-2j * np.pi * k * np.arange(window) / window)
        power = abs((moment * hann * turns).sum()) ** 2
        for band in range(bands):
            triangle = [0.0, 1.0, 0.0]
            wanted[band] += power * np.interp(k * 16_000 / window, edges[band : band + 3], triangle)
    found = log_mel(moment.astype("f4"), rate=16_000, window=window, hop=1, bands=bands)
    np.testing.assert_allclose(found[0], np.log(np.maximum(wanted, 1e-10)), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("rate", [8_000, 16_000, 44_100])
def test_bands_without_a_frequency_are_told_with_what_would_fill_them(rate: int) -> None:
    def empty(window: int, bands: int) -> tuple[Mismatch | None, bool]:
        mel = MelParameters(rate=rate, window=window, hop=1)
        sizes = {"time": 3, "frequency": bands, "channel": 1}
        lowest = np.full(window, 1e6) + 1e6 * np.random.default_rng(2).normal(size=window)
        heard = log_mel(lowest.astype("f4"), rate=rate, window=window, hop=1, bands=bands)
        return empty_bands(
            Part("a", "inputs", MelMedia(mel=mel), sizes), Signature()
        ), heard.min() < -23

    for window, bands in ((400, 64), (401, 101), (256, 128), (25, 3), (2, 1), (100, 30)):
        found, silent = empty(window, bands)
        assert (found is not None) == silent
        if found:
            numbers = [int(one) for one in re.findall(r"\d+", found.remedy)]
            assert [empty(numbers[0] - step, bands)[1] for step in (0, 1)] == [False, True]
            for most in numbers[1:]:
                assert [empty(window, most + step)[1] for step in (0, 1)] == [False, True]


def test_silence_and_too_little() -> None:
    silence = log_mel(np.zeros(600, np.float32), rate=8000, window=200, hop=100, bands=8)
    np.testing.assert_allclose(silence, np.log(1e-10))
    with pytest.raises(ValueError, match="less than a window"):
        log_mel(np.zeros(9, np.float32), rate=8000, window=10, hop=5, bands=4)
