"""Media files of many kinds, made with PyAV and by hand."""

from __future__ import annotations

import struct
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray

SOUNDS: dict[str, dict[str, Any]] = {
    "a.wav": {"codec": "pcm_s16le"},
    "float.wav": {"codec": "pcm_f32le"},
    "adpcm.wav": {"codec": "adpcm_ms"},
    "rf64.wav": {"codec": "pcm_s16le", "options": {"rf64": "always"}},
    "a.w64": {"codec": "pcm_s16le"},
    "a.aiff": {"codec": "pcm_s16be"},
    "a.au": {"codec": "pcm_s16be"},
    "a.caf": {"codec": "pcm_s16be"},
    "a.voc": {"codec": "pcm_s16le"},
    "a.flac": {"codec": "flac"},
    "a.mp3": {"codec": "libmp3lame"},
    "a.opus": {"codec": "libopus"},
    "a.oga": {"codec": "flac", "format": "ogg"},
    "a.m4a": {"codec": "aac"},
    "a.mka": {"codec": "flac"},
    "a.wv": {"codec": "wavpack"},
    "a.tta": {"codec": "tta"},
}
FILMS: dict[str, dict[str, Any]] = {
    "a.mp4": {"codec": "libx264"},
    "fragments.mp4": {"codec": "libx264", "options": {"movflags": "frag_keyframe+empty_moov"}},
    "a.mkv": {"codec": "libx264"},
    "a.webm": {"codec": "libvpx"},
    "a.ivf": {"codec": "libvpx"},
    "a.avi": {"codec": "mpeg4"},
    "a.mov": {"codec": "mjpeg", "pix_fmt": "yuvj420p"},
    "a.wmv": {"codec": "wmv2"},
    "a.mxf": {"codec": "mpeg2video"},
    "a.flv": {"codec": "flv"},
    "a.gif": {"codec": "gif", "pix_fmt": "rgb8"},
    "a.apng": {"codec": "apng", "pix_fmt": "rgb24"},
}
SOUND_STREAMS: dict[str, dict[str, Any]] = {
    "a.aac": {"codec": "aac"},
    "a.ac3": {"codec": "ac3", "rate": 44_100},
    "a.eac3": {"codec": "eac3", "rate": 48_000},
    "sound.ts": {"codec": "mp2", "format": "mpegts"},
    "sound.mpg": {"codec": "mp2", "format": "mpeg"},
    "live.mka": {"codec": "flac", "format": "matroska", "options": {"live": "1"}},
    "sound.nut": {"codec": "pcm_s16le", "format": "nut"},
}
FILM_STREAMS: dict[str, dict[str, Any]] = {
    "a.ts": {"codec": "mpeg2video"},
    "a.m2ts": {"codec": "libx264"},
    "a.mpg": {"codec": "mpeg1video"},
    "a.vob": {"codec": "mpeg2video"},
    "live.webm": {"codec": "libvpx", "options": {"live": "1"}},
    "a.nut": {"codec": "mpeg4"},
    "a.y4m": {"codec": "wrapped_avframe"},
    "a.mjpeg": {"codec": "mjpeg", "pix_fmt": "yuvj420p"},
}
"""Formats whose headers do not say how much there is."""


def made(path: Path) -> Path:
    """A file of one of the names above, or one that ends in it."""
    films, sounds = FILMS | FILM_STREAMS, SOUNDS | SOUND_STREAMS
    if path.name in films:
        return film_file(path, **films[path.name])
    return sound_file(path, **sounds[path.name])


def sound_file(
    path: Path,
    codec: str,
    *,
    rate: int = 16_000,
    format: str | None = None,
    options: dict[str, str] | None = None,
) -> Path:
    """Two seconds of noise."""
    rate = 48_000 if codec == "libopus" else rate
    noise = (np.random.default_rng(0).standard_normal(2 * rate) * 3000).astype(np.int16)
    with av.open(str(path), "w", format=format, options=options or {}) as container:
        stream: Any = container.add_stream(codec, rate=rate, layout="mono")
        for start in range(0, len(noise), 1024):
            block = np.ascontiguousarray(noise[None, start : start + 1024])
            frame = av.AudioFrame.from_ndarray(block, format="s16", layout="mono")
            frame.sample_rate, frame.pts, frame.time_base = rate, start, Fraction(1, rate)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def film_file(
    path: Path,
    codec: str,
    *,
    pix_fmt: str = "yuv420p",
    count: int = 20,
    start: int = 0,
    options: dict[str, str] | None = None,
) -> Path:
    """Frames of noise, 25 in a second, from `start` seconds on."""
    noise = np.random.default_rng(0)
    with av.open(str(path), "w", options=options or {}) as container:
        stream: Any = container.add_stream(codec, rate=25)
        stream.width = stream.height = 64
        stream.pix_fmt = pix_fmt
        for index in range(count):
            pixels = noise.integers(0, 256, (64, 64, 3), np.uint8)
            frame = av.VideoFrame.from_ndarray(pixels, format="rgb24")
            frame.pts, frame.time_base = 25 * start + index, Fraction(1, 25)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def wav(data: NDArray[Any], rate: int = 16_000, size: int | None = None) -> bytes:
    """A WAV file of samples [time, channels], int16 or float32, whose header says `size` bytes."""
    count, each = data.shape[1], data.itemsize
    tag = 3 if data.dtype.kind == "f" else 1
    form = struct.pack("<HHIIHH", tag, count, rate, rate * count * each, count * each, 8 * each)
    size = data.nbytes if size is None else size
    riff = min(36 + size, 0xFFFF_FFFF)
    head = b"RIFF" + struct.pack("<I", riff) + b"WAVEfmt " + struct.pack("<I", 16) + form
    return head + b"data" + struct.pack("<I", size) + data.tobytes()
