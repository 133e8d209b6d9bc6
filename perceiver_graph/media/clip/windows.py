"""A clip of any length as consecutive windows that a model takes, pictures and sound aligned.

Nothing is decoded before its window is asked for, so memory does not grow with the clip.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from fractions import Fraction
from itertools import count, islice
from math import ceil, sqrt
from typing import Any

import numpy as np
from numpy.typing import NDArray

from perceiver_graph.diagnostics import DiagnosticError
from perceiver_graph.diagnostics.commands import arrays, named
from perceiver_graph.diagnostics.escape import shell_path
from perceiver_graph.media.clip.decode import PictureStream, stream_shape
from perceiver_graph.media.clip.formats import AudioFormat, VideoFormat, Window
from perceiver_graph.media.clip.model import LAYOUTS
from perceiver_graph.media.clip.sound import SampleStream
from perceiver_graph.media.files.containers import (
    MOST_PIXELS,
    media_source,
    media_stream,
    open_media,
    undecodable,
)
from perceiver_graph.media.files.packages import require
from perceiver_graph.runtime.chunks import format_size
from perceiver_graph.runtime.opening import Named, Source

KEPT_FRAMES = 20
"""Frames that a decoder of one thread holds: those that others are predicted from, and a few."""
CONVERSION = 14
"""Bytes of a pixel while a frame is converted to RGB and resized."""
ALIKE = Fraction(3, 20)
"""Seconds by which sound may reach beyond the pictures, at each end, and is left out there: it comes
in packets, and cameras do not start both at once."""
LARGEST_FACTOR = 1024
"""Between the sample rates of a file and a model: it bounds what a packet of sound becomes."""


@dataclass(frozen=True)
class ClipInfo:
    """What a media file contains, as its header states it (0 where it does not say or has none).

    `duration` is in seconds, that of the pictures if there are any; `longest` is that of the longer of
    pictures and sound; `width` and `height` are of the stored pictures, not yet rotated, of
    which a pixel takes `pixel_bits` while they are decoded.
    """

    source: Source
    has_video: bool
    has_audio: bool
    duration: float = 0.0
    fps: float = 0.0
    width: int = 0
    height: int = 0
    frames: int = 0
    sample_rate: int = 0
    channels: int = 0
    pixel_bits: int = 0
    longest: float = 0.0

    def __str__(self) -> str:
        parts = [f"{self.duration:.2f} s"]
        if self.has_video:
            parts.append(f"video of {self.width} x {self.height}, {self.fps:g} frames/s")
        if self.has_audio:
            parts.append(f"audio of {self.sample_rate} Hz, {self.channels} channel(s)")
        return "; ".join(parts)


def probe_clip(named: Named) -> ClipInfo:
    """What a file contains. Raises DiagnosticError (PG507, PG509, PG512) if it is no media file."""
    require("av")
    source = media_source(named)
    with open_media(source) as media:
        container = media.container
        video: Any = media_stream(media, "video")
        audio: Any = media_stream(media, "audio")
        if video is None and audio is None:
            raise undecodable(source, "the file contains neither video nor audio")
        main = audio if video is None else video
        duration = Fraction(container.duration or 0, 1_000_000)
        longest = duration
        if main.duration is not None:
            duration = main.duration * main.time_base
            both = [one for one in (video, audio) if one is not None and one.duration is not None]
            longest = max(one.duration * one.time_base for one in both)
        fps = (stream_shape(video)[0] or Fraction(0)) if video else Fraction(0)
        return ClipInfo(
            source=source,
            has_video=video is not None,
            has_audio=audio is not None,
            duration=float(duration),
            fps=float(fps),
            width=video.width if video else 0,
            height=video.height if video else 0,
            frames=(video.frames or round(duration * fps)) if video else 0,
            sample_rate=audio.sample_rate if audio else 0,
            channels=audio.channels if audio else 0,
            pixel_bits=_pixel_bits(video) if video else 0,
            longest=float(longest),
        )


def _pixel_bits(video: Any) -> int:
    form = video.codec_context.format
    return form.padded_bits_per_pixel if form is not None else 12


def require_room(info: ClipInfo, room: int | None) -> None:
    """PG507 for frames that are too large to be read at all, PG510 for a budget that is too small."""
    pixels = info.width * info.height
    size = f"frames of {info.width} x {info.height} pixels"
    if pixels > MOST_PIXELS:
        raise undecodable(
            info.source,
            f"its {size} are too large: at most {MOST_PIXELS:,} pixels are read",
            help="make them smaller, or cut out what the model is to see",
        )
    takes = pixels * (KEPT_FRAMES * info.pixel_bits // 8 + CONVERSION)
    if room is not None and takes > room:
        factor = sqrt(room / takes)
        small = f"{int(info.width * factor) // 2 * 2}:{int(info.height * factor) // 2 * 2}"
        path = shell_path(info.source.path)
        raise DiagnosticError.of(
            "PG510",
            f"{info.source}: decoding its {size} takes {format_size(takes)}, and the memory budget "
            f"leaves {format_size(room)}",
            help=f"raise {named('--memory')} by {format_size(takes - room)}, or make them smaller: "
            f"ffmpeg -i {path} -vf scale={small} small.mp4",
        )


def read_clip(
    named: Named,
    *,
    video: VideoFormat | None,
    audio: AudioFormat | None,
    allow_missing: Collection[str] = (),
    room: int | None = None,
    beside: Named | None = None,
    apart: str = "",
) -> Iterator[Window]:
    """Cut a clip into consecutive windows: `video.time` frames and the sound of the same moments.

    Window w begins `w * video.seconds` after the clip does; without a video format, at
    `w * audio.seconds`. It lasts from the beginning of the one that comes first, pictures or sound, to
    the end of the one that ends last, but for sound that reaches less than `ALIKE` beyond the pictures.
    The sound is that of `beside`, if it is given: there both begin at once. What the file lacks is an
    error (PG508), unless `allow_missing` contains "video" or "audio": then it is None in every window.
    `room` is how many bytes decoding may take, `apart` how a file is given for each. Raises
    DiagnosticError, at once for a file that cannot be used, during the iteration for damage further on
    (PG507). Raises ValueError if neither format is given.
    """
    lead = video or audio
    if lead is None:
        raise ValueError("read_clip needs a video format, an audio format or both")
    require("PIL")
    info = probe_clip(named)
    heard = info
    if beside is None:
        _check_streams(info, video, audio, allow_missing, apart)
    else:
        heard = probe_clip(beside)
        _check_streams(info, video, None, ())
        _check_streams(heard, None, audio, ())
    pictures = None
    if video and info.has_video:
        require_room(info, room)
        pictures = PictureStream(info.source, video, sparing=room is not None)
    sound = None
    if audio and heard.has_audio:
        with_it = pictures is not None and beside is None
        sound = SampleStream(heard.source, audio, pictures.start if pictures and with_it else None)
        if pictures is not None and with_it:
            _begin_together(pictures, sound)
    return _Windows(video, audio, pictures, sound).iterate(lead.seconds)


def _begin_together(pictures: PictureStream, sound: SampleStream) -> None:
    """Begin with the sound, where the pictures of a file begin later: the first frame is shown."""
    begins = sound.begins()
    if begins is not None and (late := pictures.start - begins) > ALIKE:
        pictures.origin = sound.origin = begins
        note = f"its pictures begin {float(late):.2f} s after its sound: the first frame is shown "
        pictures.notes[note + "from the beginning"] = None


def _check_streams(
    info: ClipInfo,
    video: VideoFormat | None,
    audio: AudioFormat | None,
    allow_missing: Collection[str],
    apart: str = "",
) -> None:
    wanted = {"video": (video, info.has_video), "audio": (audio, info.has_audio)}
    missing = [kind for kind, (form, has) in wanted.items() if form is not None and not has]
    nothing_left = not any(form is not None and has for form, has in wanted.values())
    for kind in missing:
        if nothing_left or kind not in allow_missing:
            raise DiagnosticError.of(
                "PG508",
                f"{info.source} has no {kind}, which the model takes from it",
                notes=[f"the file contains: {info}"],
                help=f"give a file with {kind}{apart and f', or a file for each: {apart}'}",
            )
    if audio is not None and info.has_audio:
        _check_rates(info, audio)
    if audio is not None and audio.channels not in LAYOUTS:
        raise DiagnosticError.of(
            "PG403",
            f"the model takes sound of {audio.channels} channels, and files are read with 1 or 2",
            help=f"pass the samples as an array: {arrays()}",
        )


def _check_rates(info: ClipInfo, audio: AudioFormat) -> None:
    """PG507 where a sample would become thousands, or thousands one."""
    rates = sorted((info.sample_rate, audio.rate))
    if rates[0] < 1 or rates[1] / rates[0] > LARGEST_FACTOR:
        raise undecodable(
            info.source,
            f"its sound of {info.sample_rate} samples a second cannot be made one of {audio.rate}, "
            f"which the model takes: rates may differ by a factor of {LARGEST_FACTOR}",
            help="check the rate in its header; a series of other measurements is given as arrays: "
            f"{arrays()}",
        )


@dataclass
class _Windows:
    """The state of one pass over a clip."""

    video: VideoFormat | None
    audio: AudioFormat | None
    pictures: PictureStream | None
    sound: SampleStream | None
    outlasts: bool | None = None
    """Whether the sound goes on after the pictures; None where these have not ended yet."""

    def iterate(self, seconds: Fraction) -> Iterator[Window]:
        source = iter(self.pictures) if self.pictures else None
        try:
            for index in count():
                if (window := self._window(index, seconds, source)) is None:
                    break
                yield window
        finally:
            for stream in (self.pictures, self.sound):
                if stream is not None:
                    stream.close()

    def _window(
        self, index: int, seconds: Fraction, source: Iterator[NDArray[np.uint8]] | None
    ) -> Window | None:
        start, part = index * seconds, Fraction(1)
        frames, frame_count = None, 0
        if self.video is not None and source is not None:
            found = list(islice(source, self.video.time))
            part = self._part(start, len(found))
            if not part:
                return None
            frame_count = ceil(part * self.video.time)
            found += self._last(found) * (self.video.time - len(found))
            frames = np.stack(found)
        samples, sample_count = None, 0
        if self.audio is not None and self.sound is not None:
            audio = self.audio
            samples, sample_count = self.sound.read(round(start * audio.rate), audio.samples)
            if frames is not None:
                lasts = round(part * seconds * audio.rate)
                sample_count = audio.samples if part == 1 else min(lasts, audio.samples)
                samples[sample_count:] = 0.0
            elif sample_count == 0:
                return None
            else:
                part = Fraction(sample_count, audio.samples)
        told = [
            note for one in (self.pictures, self.sound) if one is not None for note in one.notes
        ]
        if index == 0 and part < 1:
            ends = ["the last frame is held"] * (frames is not None)
            ends += ["silence follows the sound"] * (samples is not None)
            told.append(
                f"it is shorter than a window of {float(seconds):g} s: {', and '.join(ends)}"
            )
        notes = tuple(dict.fromkeys(told))
        return Window(index, float(start), frames, samples, frame_count, sample_count, notes, part)

    def _part(self, start: Fraction, shown: int) -> Fraction:
        """How much of a window belongs to the clip, of whose frames so many are there."""
        assert self.video is not None
        assert self.pictures is not None
        part = Fraction(shown, self.video.time)
        if part < 1 and self.sound is not None and self.audio is not None:
            rate, stop = self.audio.rate, start + self.video.seconds
            if self.outlasts is None:
                beyond = ceil((self.pictures.end + ALIKE) * rate)
                self.outlasts = self.sound.ends(beyond + 1) > beyond
            if self.outlasts:
                end = self.pictures.end
                self.pictures.notes[
                    f"its pictures end at {float(end):.2f} s, and the sound goes on: the last frame is held"
                ] = None
                lasts = Fraction(self.sound.ends(ceil(stop * rate)), rate) - start
                part = min(Fraction(1), max(part, lasts / self.video.seconds))
        return part

    def _last(self, found: list[NDArray[np.uint8]]) -> list[NDArray[np.uint8]]:
        """What is seen where the pictures have ended."""
        last = self.pictures.last if self.pictures and self.outlasts else None
        return found[-1:] if last is None else [last]
