"""Video and sound, as the spec describes them."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from perceiver_graph.spec.models.base import (
    Count,
    Model,
)


class VideoParameters(Model):
    """Frames of a video file."""

    rate: Annotated[float, Field(ge=1e-4, le=1e4)] = 25.0
    """Frames per second: at least one in three hours, as slow films have, at most 10 000."""


class VideoMedia(Model):
    """Frames of a video file, cropped to a centred square, resized, scaled to [0, 1]."""

    video: VideoParameters
    """The frame rate; `{}` takes the default."""


class AudioParameters(Model):
    """The sound of a file."""

    rate: Count = 48000
    """Samples per second."""


class AudioMedia(Model):
    """The sound of a file, mixed to one channel, in [-1, 1]."""

    audio: AudioParameters
    """The sample rate; `{}` takes the default."""


class MelParameters(Model):
    """The sound of a file as a mel spectrogram, the logarithm of the power in bands of pitch."""

    rate: Count = 16000
    """Samples per second."""
    window: Count = 400
    """Samples that a moment is made of."""
    hop: Count = 160
    """Samples from one moment to the next."""


class MelMedia(Model):
    """The sound of a file, mixed to one channel, in the axes time, frequency, channel (1)."""

    mel: MelParameters
    """Rate, window and hop; `{}` takes the defaults."""
