"""What a model's pictures and sounds look like, read from the artifact's manifest.

Formats also convert: decoded windows to the float32 arrays that a model takes, in the axis order of
its manifest, and the arrays that it returns back to pixels and samples.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from perceiver_graph.media.clip.mel import log_mel
from perceiver_graph.media.clip.model import MEL_AXES, SOUND_AXES, AudioMedia, MelMedia, VideoMedia
from perceiver_graph.media.entries import Entry, sizes_of
from perceiver_graph.media.fit import VIDEO_AXES


@dataclass(frozen=True)
class VideoFormat:
    """A window of `time` RGB frames of `height` x `width` pixels, `rate` frames per second.

    `axes` is the order in which the model has them, without batch.
    """

    time: int
    height: int
    width: int
    channel: int = 3
    rate: Fraction = Fraction(25)
    axes: tuple[str, ...] = VIDEO_AXES

    @property
    def seconds(self) -> Fraction:
        """How long a window is."""
        return self.time / self.rate


@dataclass(frozen=True)
class AudioFormat:
    """A window of `samples` samples of `channels` channels, `rate` samples per second.

    `shape` is the model's array without batch. The features of an output may be neighbouring
    samples (kinetics: 1920 patches of 16), so `shape` need not be (samples, channels).
    """

    samples: int
    channels: int = 1
    rate: int = 48000
    axes: tuple[str, ...] = SOUND_AXES
    shape: tuple[int, ...] = ()

    @property
    def seconds(self) -> Fraction:
        """How long a window is."""
        return Fraction(self.samples, self.rate)


@dataclass(frozen=True)
class MelFormat(AudioFormat):
    """Sound that the model sees as a mel spectrogram of `bands` pitches (see `mel.log_mel`)."""

    window: int = 400
    hop: int = 160
    bands: int = 64


ClipFormat = VideoFormat | AudioFormat


@dataclass(frozen=True, eq=False)
class Window:
    """A stretch of a clip. `start` is in seconds after its beginning.

    `frames` is uint8 [time, height, width, 3] and `samples` float32 [time, channels], aligned: both
    begin at `start`. Either is None if the file lacks it. The last window is padded: only a `part` of
    it, the first `frame_count` frames and `sample_count` samples, belongs to the clip, the rest repeats
    the last frame and is silent. Of a clip whose streams differ in length, the longer one says how
    long: the first or last frame is shown, or silence is heard, meanwhile.
    """

    index: int
    start: float
    frames: NDArray[np.uint8] | None
    samples: NDArray[np.float32] | None
    frame_count: int
    sample_count: int
    notes: tuple[str, ...] = ()
    """What is to be told of what was read so far."""
    part: Fraction = Fraction(1)


def media_formats(
    entries: Mapping[str, Entry], *, channels: int | None = None
) -> dict[str, ClipFormat]:
    """The formats of inputs or outputs that are video or audio, which fit their media, by name.

    For outputs, `channels` is the number of sound channels (that of the input, or 1): the `channel`
    axis of an output may hold several samples. By default the `channel` axis is taken at its word.
    """
    found: dict[str, ClipFormat] = {}
    for name, entry in entries.items():
        sizes = sizes_of(entry)
        axes, shape = tuple(sizes), tuple(sizes.values())
        match entry.media:
            case VideoMedia(video=form):
                found[name] = VideoFormat(**sizes, rate=Fraction(str(form.rate)), axes=axes)
            case AudioMedia(audio=form):
                count = channels or sizes["channel"]
                samples = sizes["time"] * sizes["channel"] // count
                found[name] = AudioFormat(samples, count, form.rate, axes, shape)
            case MelMedia(mel=form):
                samples = (sizes["time"] - 1) * form.hop + form.window
                further = (form.window, form.hop, sizes["frequency"])
                found[name] = MelFormat(samples, 1, form.rate, axes, shape, *further)
    return found


def to_arrays(window: Window, formats: Mapping[str, ClipFormat]) -> dict[str, NDArray[Any]]:
    """The inputs of a model, float32 with a leading batch axis of 1, from a window of a clip.

    Frames are divided by 255 (no mean or deviation is taken out), samples are taken as they are or
    become mel spectrograms.
    A modality that the window lacks is left out.
    """
    arrays: dict[str, NDArray[Any]] = {}
    for name, form in formats.items():
        if isinstance(form, VideoFormat) and window.frames is not None:
            pixels = window.frames.astype(np.float32) / np.float32(255)
            arrays[name] = np.ascontiguousarray(_ordered(pixels, VIDEO_AXES, form.axes)[None])
        elif isinstance(form, MelFormat) and window.samples is not None:
            settings = {"rate": form.rate, "window": form.window, "hop": form.hop}
            mel = log_mel(window.samples[:, 0], **settings, bands=form.bands)[..., None]
            arrays[name] = np.ascontiguousarray(_ordered(mel, MEL_AXES, form.axes)[None])
        elif isinstance(form, AudioFormat) and window.samples is not None:
            samples = window.samples.reshape(-1, form.channels)
            arrays[name] = np.ascontiguousarray(_ordered(samples, SOUND_AXES, form.axes)[None])
    return arrays


def to_frames(output: ArrayLike, form: VideoFormat) -> NDArray[np.float32]:
    """Frames float32 [time, height, width, 3] of a model's output, whose batch (if any) is 1."""
    shape = [getattr(form, axis) for axis in form.axes]
    values = np.asarray(output, dtype=np.float32).reshape(shape)
    return np.ascontiguousarray(_ordered(values, form.axes, VIDEO_AXES))


def to_samples(output: ArrayLike, form: AudioFormat) -> NDArray[np.float32]:
    """Samples float32 [time, channels] of a model's output, whose batch (if any) is 1."""
    values = np.asarray(output, dtype=np.float32).reshape(form.shape or (form.samples, -1))
    values = _ordered(values, form.axes, SOUND_AXES)
    return np.ascontiguousarray(values).reshape(form.samples, form.channels)


def _ordered(values: NDArray[Any], have: Sequence[str], want: Sequence[str]) -> NDArray[Any]:
    return values.transpose([have.index(axis) for axis in want])


def to_pixels(frames: ArrayLike) -> NDArray[np.uint8]:
    """8-bit pixels: uint8 is passed on, floats are clipped to [0, 1], scaled by 255 and rounded.

    NaN, which a video cannot hold, becomes 0.
    """
    values = np.asarray(frames)
    if values.dtype == np.uint8:
        return values
    scaled = np.nan_to_num(values.astype(np.float32), nan=0.0).clip(0.0, 1.0) * 255.0
    return np.rint(scaled).astype(np.uint8)


def to_int16(samples: ArrayLike) -> NDArray[np.int16]:
    """16-bit samples: floats are clipped to [-1, 1) and scaled by 2**15; NaN becomes 0."""
    values = np.asarray(samples)
    if values.dtype == np.int16:
        return values
    scaled = np.nan_to_num(values.astype(np.float32), nan=0.0).clip(-1.0, 1.0) * 32768.0
    return np.rint(scaled).clip(-32768, 32767).astype(np.int16)
