"""Clips made for the tests of the media processors, and what reads them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from numpy.typing import NDArray

from perceiver_graph.diagnostics import DiagnosticError
from perceiver_graph.media.clip.formats import AudioFormat, VideoFormat, Window
from perceiver_graph.media.clip.windows import read_clip

RATE = 48_000
VIDEO = VideoFormat(time=16, height=32, width=32)
AUDIO = AudioFormat(samples=30_720)


def grey(index: int, width: int = 64, height: int = 64) -> NDArray[np.uint8]:
    """A plain frame whose brightness tells its index, 0 to 60."""
    return np.full((height, width, 3), 4 * index, np.uint8)


def index_of(frame: NDArray[np.uint8]) -> int:
    return round(float(frame.mean()) / 4)


def tone(seconds: float, hertz: float = 440.0, rate: int = RATE) -> NDArray[np.int16]:
    wave = np.sin(2 * np.pi * hertz * np.arange(round(seconds * rate)) / rate)
    return (16_000 * wave).astype(np.int16)[:, None]


def pitch(samples: NDArray[np.float32], rate: int = RATE) -> float:
    spectrum = np.abs(np.fft.rfft(samples[:, 0] * np.hanning(len(samples))))
    return float(np.argmax(spectrum) * rate / len(samples))


def encode(
    path: Path,
    frames: Sequence[NDArray[np.uint8]] = (),
    samples: NDArray[np.int16] | None = None,
    *,
    rate: int | Fraction = 25,
    pts: Sequence[int] | None = None,
    sample_rate: int = RATE,
    sound_from: float = 0.0,
    gap: tuple[float, float] = (1e9, 0.0),
    codecs: tuple[str, str] = ("libx264", "aac"),
    pix_fmt: str = "yuv420p",
    rotation: float = 0.0,
    pixel_aspect: Fraction | None = None,
    options: dict[str, str] | None = None,
) -> Path:
    """A clip made with PyAV alone, so that reading is not tested against our own writing.

    `pts` are in units of 1/1000 s; `gap` is (after how many seconds, how long) of the sound.
    """
    with av.open(str(path), "w", options=options or {}) as container:
        video: Any = None
        audio: Any = None
        if len(frames):
            video = container.add_stream(codecs[0], rate=rate)
            video.height, video.width = frames[0].shape[:2]
            video.pix_fmt = pix_fmt
            if pts is not None:
                video.codec_context.time_base = Fraction(1, 1000)
            if pixel_aspect is not None:
                video.codec_context.sample_aspect_ratio = pixel_aspect
            if rotation:
                video.set_display_rotation(rotation)
        if samples is not None:
            layout = {1: "mono", 2: "stereo"}[samples.shape[1]]
            audio = container.add_stream(codecs[1], rate=sample_rate, layout=layout)
        for index, pixels in enumerate(frames):
            frame = av.VideoFrame.from_ndarray(pixels, format="rgb24")
            frame.pts = index if pts is None else pts[index]
            frame.time_base = 1 / Fraction(rate) if pts is None else Fraction(1, 1000)
            container.mux(video.encode(frame))
        for start in range(0, 0 if samples is None else len(samples), 1024):
            assert samples is not None
            block = np.ascontiguousarray(samples[start : start + 1024]).reshape(1, -1)
            sound = av.AudioFrame.from_ndarray(block, format="s16", layout=layout)
            sound.sample_rate = sample_rate
            late = sound_from + (gap[1] if start >= gap[0] * sample_rate else 0.0)
            sound.pts, sound.time_base = start + round(late * sample_rate), Fraction(1, sample_rate)
            container.mux(audio.encode(sound))
        for stream in (video, audio):
            if stream is not None:
                container.mux(stream.encode(None))
    return path


def windows(path: Path, **options: Any) -> list[Window]:
    return list(read_clip(path, **{"video": VIDEO, "audio": AUDIO, **options}))


def code_of(call: Callable[[], object]) -> tuple[str, str]:
    """The code and the full text of the diagnostic that a call raises."""
    with pytest.raises(DiagnosticError) as caught:
        call()
    (found,) = caught.value.diagnostics
    return found.code, " ".join([found.message, *found.notes, found.help or ""])


def read_flo(path: Path) -> NDArray[np.float32]:
    """The flow [height, width, 2] in a .flo file."""
    data = path.read_bytes()
    width, height = np.frombuffer(data, "<i4", 2, 4)
    return np.frombuffer(data, "<f4", offset=12).reshape(height, width, 2)


# Reading -----------------------------------------------------------------------------------------
