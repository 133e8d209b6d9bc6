"""Mel spectrograms: the same as those of transformers, and what a tone looks like."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from transformers.audio_utils import mel_filter_bank, spectrogram, window_function

from perceiver_graph.media.clip.mel import log_mel
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


def test_silence_and_too_little() -> None:
    silence = log_mel(np.zeros(600, np.float32), rate=8000, window=200, hop=100, bands=8)
    np.testing.assert_allclose(silence, np.log(1e-10))
    with pytest.raises(ValueError, match="less than a window"):
        log_mel(np.zeros(9, np.float32), rate=8000, window=10, hop=5, bands=4)
