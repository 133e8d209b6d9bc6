"""What a model's pictures and sounds look like, read from the artifact's manifest.

Formats also convert: decoded windows to the float32 arrays that a model takes, in the axis order of
its manifest, and the arrays that it returns back to pixels and samples.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from perceiver_graph.diagnostics import DiagnosticError
from perceiver_graph.media.clip.mel import log_mel
from perceiver_graph.media.fit import MEL_AXES, SOUND_AXES, VIDEO_AXES, Part, misfit


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


class WindowLike(Protocol):
    """What `to_arrays` needs of a `perceiver_graph.media.clip.windows.Window`."""

    @property
    def frames(self) -> NDArray[np.uint8] | None: ...
    @property
    def samples(self) -> NDArray[np.float32] | None: ...


def media_formats(
    entries: Mapping[str, Mapping[str, Any]], *, channels: int | None = None
) -> dict[str, ClipFormat]:
    """The formats of the manifest's `inputs` or `outputs` that are video or audio, by name.

    For outputs, `channels` is the number of sound channels (that of the input, or 1): the `channel`
    axis of an output may hold several samples. By default the `channel` axis is taken at its word.
    Raises DiagnosticError (PG403) for an entry that does not describe what its `media` promises.
    """
    found: dict[str, ClipFormat] = {}
    for name, entry in entries.items():
        for kind, options in (entry.get("media") or {}).items():
            if kind == "video":
                found[name] = _video(_sizes(name, kind, entry), options)
            elif kind == "audio":
                found[name] = _audio(name, _sizes(name, kind, entry), options, channels)
            elif kind == "mel":
                found[name] = _mel(_sizes(name, kind, entry), options)
    return found


def _video(sizes: dict[str, int], options: Mapping[str, Any]) -> VideoFormat:
    return VideoFormat(**sizes, rate=Fraction(str(options.get("rate", 25))), axes=tuple(sizes))


def _audio(
    name: str, sizes: dict[str, int], options: Mapping[str, Any], channels: int | None
) -> AudioFormat:
    channels = sizes["channel"] if channels is None else channels
    values = sizes["time"] * sizes["channel"]
    if values % channels:
        raise _bad_entry(
            f"`{name}` has {values} values, which are not samples of {channels} channels"
        )
    rate = int(options.get("rate", 48000))
    shape = tuple(sizes.values())
    return AudioFormat(values // channels, channels, rate, axes=tuple(sizes), shape=shape)


def _mel(sizes: dict[str, int], options: Mapping[str, Any]) -> MelFormat:
    rate, window, hop = (int(options[key]) for key in ("rate", "window", "hop"))
    samples = (sizes["time"] - 1) * hop + window
    axes, shape, bands = tuple(sizes), tuple(sizes.values()), sizes["frequency"]
    return MelFormat(samples, 1, rate, axes, shape, window, hop, bands)


def _sizes(name: str, kind: str, entry: Mapping[str, Any]) -> dict[str, int]:
    """Axis sizes in the entry's order, without batch."""
    sizes = dict(zip(entry.get("axes", ()), entry.get("shape", ()), strict=False))
    sizes.pop("batch", None)
    # An input is held against the rules of outputs, too: they leave open how many channels it has.
    found = misfit(Part(name, "inputs" if kind == "mel" else "outputs", kind, None, sizes))
    if found is not None:
        raise _bad_entry(found.fault)
    return sizes


def _bad_entry(fault: str) -> DiagnosticError:
    help = "change its `media` or its shape in the spec and compile again"
    return DiagnosticError.of("PG403", fault, help=help)


def to_arrays(window: WindowLike, formats: Mapping[str, ClipFormat]) -> dict[str, NDArray[Any]]:
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
