"""Video and sound, as the spec describes them, and what they fit."""

from __future__ import annotations

from math import prod
from typing import Annotated, Any

from pydantic import Field

from perceiver_graph.media.base import CHANNEL, InputMedia, Mismatch, OutputMedia, Part, Signature
from perceiver_graph.media.clip.bands import empty_bands
from perceiver_graph.media.clip.pace import off_pace
from perceiver_graph.media.fit import VIDEO_AXES, axes, channels
from perceiver_graph.spec.models.base import Count, Model

LAYOUTS = {1: "mono", 2: "stereo"}
"""The numbers of channels that the sound of a file is mixed to."""
SOUND_AXES = ("time", CHANNEL)
MEL_AXES = ("time", "frequency", CHANNEL)
_FRAMES = (axes(*VIDEO_AXES), channels(3, "video frames have 3 (RGB)"))
_READER = "perceiver_graph.media.clip.reader:ClipReader"
_WRITER = "perceiver_graph.media.clip.writer:TrackWriter"


class VideoParameters(Model):
    """Frames of a video file."""

    rate: Annotated[float, Field(ge=1e-4, le=1e4)] = 25.0
    """Frames per second: at least one in three hours, as slow films have, at most 10 000."""


class VideoMedia(InputMedia, OutputMedia):
    """Frames of a video file, cropped to a centred square, resized, scaled to [0, 1]."""

    video: VideoParameters
    """The frame rate; `{}` takes the default."""

    input_checks = output_checks = _FRAMES
    output_warnings = (off_pace,)
    reader, writer = _READER, _WRITER
    example, stream, is_decoded = "CLIP.mp4", "pictures", True

    def scale(self) -> str:
        """How pixels are scaled."""
        return "0 to 1"

    def bounds(self) -> tuple[float, float]:
        """Black and white."""
        return 0.0, 1.0

    def scaled(self, name: str, dtype: Any) -> str:
        """Pixels have 8 bits."""
        return f"{name} / 255"


class AudioParameters(Model):
    """The sound of a file."""

    rate: Count = 48000
    """Samples per second."""


def _sound_channels(part: Part, signature: Signature) -> Mismatch | None:
    have = part.sizes[CHANNEL]
    if have in LAYOUTS:
        return None
    fault = f"`{part.name}` has {have} channels, and sound is read with 1 or 2"
    return Mismatch(fault, "give it 1 channel or 2", part.place(CHANNEL))


def _whole_samples(part: Part, signature: Signature) -> Mismatch | None:
    """The values are samples of as many channels as the sound that is read (else 1)."""
    values = prod(size for size in part.sizes.values() if isinstance(size, int))
    sounds = [one.sizes[CHANNEL] for one in signature.read_as("audio")]
    count = next((size for size in sounds if isinstance(size, int)), 1)
    if values % count == 0:
        return None
    fault = f"`{part.name}` has {values} values, which are not samples of {count} channels"
    return Mismatch(fault, f"give it a number of values that {count} divides", part.place())


class AudioMedia(InputMedia, OutputMedia):
    """The sound of a file, mixed to one channel, in [-1, 1]."""

    audio: AudioParameters
    """The sample rate; `{}` takes the default."""

    input_checks = (axes(*SOUND_AXES), _sound_channels)
    output_checks = (axes(*SOUND_AXES), _whole_samples)
    output_warnings = (off_pace,)
    reader, writer = _READER, _WRITER
    example, stream, is_decoded = "SOUND.wav", "sound", True

    def scale(self) -> str:
        """How samples are scaled."""
        return "-1 to 1"

    def bounds(self) -> tuple[float, float]:
        """As loud as can be."""
        return -1.0, 1.0

    def scaled(self, name: str, dtype: Any) -> str:
        """By the bits of a sample, which are 16 where nobody has said them."""
        half = 2**15 if dtype.itemsize == 8 else 2 ** (8 * dtype.itemsize - 1)
        return f"{name} / {half}{' - 1' if dtype.kind == 'u' else ''}"


class MelParameters(Model):
    """The sound of a file as a mel spectrogram, the logarithm of the power in bands of pitch."""

    rate: Count = 16000
    """Samples per second."""
    window: Count = 400
    """Samples that a moment is made of."""
    hop: Count = 160
    """Samples from one moment to the next."""


class MelMedia(InputMedia):
    """The sound of a file, mixed to one channel, in the axes time, frequency, channel (1)."""

    mel: MelParameters
    """Rate, window and hop; `{}` takes the defaults."""

    input_checks = (axes(*MEL_AXES), channels(1, "a mel spectrogram has 1"))
    input_warnings = (empty_bands,)
    reader = _READER
    example, stream, is_decoded = "SOUND.wav", "sound", True
