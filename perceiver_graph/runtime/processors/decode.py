"""Frames and samples of a media file on the model's clock, a few at a time.

Pictures and sound are demuxed separately (the file is opened twice), so that memory stays bounded
even where a file stores all of one before the other.
"""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from perceiver_graph.diagnostics.escape import shell_path
from perceiver_graph.runtime.opening import Source
from perceiver_graph.runtime.processors.containers import media_stream, open_media, undecodable
from perceiver_graph.runtime.processors.display import Display
from perceiver_graph.runtime.processors.formats import VideoFormat

if TYPE_CHECKING:
    from av import AudioFrame, VideoFrame

LAYOUTS = {1: "mono", 2: "stereo"}

LONGEST_PAUSE = 3600
"""Seconds without a frame or a sample: a longer step of the clock is taken for damage."""


def decoded(
    source: Source, kind: Literal["video", "audio"], *, sparing: bool = False
) -> Iterator[Any]:
    """The decoded frames of the main stream of a kind, by one thread if `sparing`, which takes less
    memory. Raises PG507 for damage and an early end."""
    import av

    with open_media(source) as media:
        container = media.container
        stream: Any = media_stream(media, kind)
        if stream is None:
            return
        if sparing:
            stream.codec_context.thread_count = 1
        else:
            stream.codec_context.thread_type = "AUTO"
        end = Fraction(0)  # of everything in the file, also of streams that nobody asked for
        last: Any = None
        count = 0
        try:
            for packet in container.demux():
                if packet.pts is not None and packet.time_base is not None:
                    end = max(end, (packet.pts + (packet.duration or 0)) * packet.time_base)
                if packet.stream.index != stream.index:
                    continue
                try:
                    frames = packet.decode()
                except av.error.InvalidDataError:
                    if count:
                        raise
                    continue  # cut from a longer stream: it starts at its first complete frame
                for frame in frames:
                    count += 1
                    last = frame
                    yield frame
        except av.error.FFmpegError as error:
            raise undecodable(
                source,
                f"the {kind} is damaged after {float(end):.2f} s ({count} frames)",
                f"FFmpeg says: {error.strerror}",
                help=f"copy the file again, or repair it: ffmpeg -i {shell_path(source.path)} repaired.mp4",
            ) from error
        media.check_end(end, _end(last) if kind == "audio" and last is not None else end)
        if not count:
            raise undecodable(source, f"no frame of the {kind} can be decoded")


def _end(frame: AudioFrame) -> Fraction:
    """When the last sample of a frame has been heard."""
    start = frame_time(frame) or Fraction(0)
    return start + Fraction(frame.samples, frame.sample_rate)


def check_pause(source: Source, what: str, last: Fraction, time: Fraction) -> None:
    """PG507 where the clock of a file jumps: what fills the pause up would never end."""
    if time - last > LONGEST_PAUSE:
        raise undecodable(
            source,
            f"after {float(last):.2f} s there is no {what} for {float(time - last):.0f} s, and at "
            f"most {LONGEST_PAUSE} s are filled up: its timestamps are damaged",
            help=f"write them anew: ffmpeg -i {shell_path(source.path)} -fflags +genpts repaired.mp4",
        )


class PictureStream:
    """The frames of a video at the model's rate and size: uint8 [height, width, 3] each.

    Frame i is the source frame nearest to i/rate after the first one. Unlike the latest before it,
    that stays one to one where timestamps jitter, and does not lag behind the sound.
    `origin` is the time of the first frame on the clock of the file.
    """

    def __init__(self, source: Source, form: VideoFormat, *, sparing: bool = False) -> None:
        self._source, self._form = source, form
        self._display = Display(source)
        with open_media(source) as media:
            stream = media_stream(media, "video")
            rate, pixel_aspect = stream_shape(stream)
        self._period = 1 / (rate or form.rate)
        self._pixel_aspect = pixel_aspect
        self._frames: Iterator[VideoFrame] = decoded(source, "video", sparing=sparing)
        self._first = next(self._frames)
        self.origin = frame_time(self._first) or Fraction(0)

    def __iter__(self) -> Iterator[NDArray[np.uint8]]:
        current, now, tick = self._first, Fraction(0), 0
        for frame in self._frames:
            time = frame_time(frame)
            time = now + self._period if time is None else max(now, time - self.origin)
            check_pause(self._source, "frame", now, time)
            picture = None
            while tick < (now + time) / 2 * self._form.rate:
                picture = self._picture(current) if picture is None else picture
                yield picture
                tick += 1
            current, now = frame, time
        length = now + (_duration(current) or self._period)
        picture = None
        while not tick or tick + Fraction(1, 2) <= length * self._form.rate:
            picture = self._picture(current) if picture is None else picture
            yield picture
            tick += 1

    def close(self) -> None:
        """Close the file."""
        self._frames.close()  # type: ignore[attr-defined]

    def _picture(self, frame: VideoFrame) -> NDArray[np.uint8]:
        """Turn upright, cut out the centre in the model's aspect ratio, resize."""
        from PIL import Image

        pixels, sideways = self._display.upright(frame)
        form = self._form
        aspect = Fraction(form.width, form.height)
        aspect /= 1 / self._pixel_aspect if sideways else self._pixel_aspect
        height, width = pixels.shape[:2]
        crop_w = max(1, min(width, round(height * aspect)))
        crop_h = max(1, min(height, round(width / aspect)))
        left, top = (width - crop_w) // 2, (height - crop_h) // 2
        # Bilinear as in the published pipeline, but over the whole footprint of a new pixel, so
        # that large videos do not alias. Bicubic would overshoot at edges.
        image = Image.fromarray(np.ascontiguousarray(pixels)).resize(
            (form.width, form.height),
            Image.Resampling.BILINEAR,
            box=(left, top, left + crop_w, top + crop_h),
        )
        return np.asarray(image)


def stream_shape(stream: Any) -> tuple[Fraction | None, Fraction]:
    """Frames per second (None if the file does not say), and the aspect ratio of a pixel."""
    rate = stream.average_rate or stream.guessed_rate
    return (rate or None), (stream.sample_aspect_ratio or Fraction(1))


def frame_time(frame: VideoFrame | AudioFrame) -> Fraction | None:
    """Seconds on the clock of the file, exactly."""
    if frame.pts is None or frame.time_base is None:
        return None
    return frame.pts * frame.time_base


def _duration(frame: VideoFrame) -> Fraction | None:
    return frame.duration * frame.time_base if frame.duration and frame.time_base else None
