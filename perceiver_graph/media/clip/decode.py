"""Frames and samples of a media file on the model's clock, a few at a time.

Pictures and sound are demuxed separately (the file is opened twice), so that memory stays bounded
even where a file stores all of one before the other.
"""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from typing import TYPE_CHECKING, Any, Literal, cast

import numpy as np
from numpy.typing import NDArray

from perceiver_graph.diagnostics.escape import shell_path
from perceiver_graph.media.clip.display import Display
from perceiver_graph.media.clip.formats import VideoFormat
from perceiver_graph.media.files.containers import Media, media_stream, open_media, undecodable
from perceiver_graph.runtime.opening import Source

if TYPE_CHECKING:
    from av import AudioFrame, VideoFrame

_CHECKED = ("flac", "wavpack", "tta", "ac3", "eac3")
"""Codecs whose frames have check sums; FFmpeg plays frames that do not agree with them."""

_SAMPLES = ("pcm_", "dsd_", "g722", "g726", "adpcm_g72")
"""How codecs begin that need no more of a packet than a sample."""

LONGEST_PAUSE = 3600
"""Seconds without a frame or a sample: a longer step of the clock is taken for damage."""
_LIKE_PACE = Fraction(1, 100)
"""By what share the rate of a file may differ from the model's and be taken for the same."""
_GRAIN = Fraction(1, 1000)
"""Seconds: what timestamps of many formats are rounded to."""

LONGEST_RETURN = 1
"""Seconds by which the clock may go back, which it does where timestamps are not exact."""


def decoded(
    source: Source,
    kind: Literal["video", "audio"],
    notes: dict[str, None],
    *,
    sparing: bool = False,
) -> Iterator[Any]:
    """The decoded frames of the main stream of a kind, by one thread if `sparing`, which takes less
    memory. Raises PG507 for an early end and for what cannot be decoded.

    What is damaged and was decoded, and a stream that was cut off, is added to `notes`.
    """
    from av.error import FFmpegError

    with open_media(source) as media:
        stream: Any = media_stream(media, kind)
        if stream is None:
            return
        context = stream.codec_context
        if sparing:
            context.thread_count = 1
        else:
            context.thread_type = "AUTO"
        if context.name in _CHECKED:
            context.options = {"err_detect": "crccheck+explode"}
        work = _Decoding(media, kind, notes, context.name.startswith(_SAMPLES))
        try:
            yield from work.frames(stream.index)
        except FFmpegError as error:
            raise undecodable(
                source,
                f"the {kind} is damaged after {float(work.come):.2f} s ({work.count} frames)",
                f"FFmpeg says: {error.strerror}",
                help=f"copy the file again, or repair it: ffmpeg -i {shell_path(source.path)} repaired.mp4",
            ) from error
        media.check_end(work.end, _end(work.last) if kind == "audio" and work.count else work.end)
        if not work.count:
            help = "give it in another format, for example as mp4 or wav"
            raise undecodable(source, f"no frame of the {kind} can be decoded", help=help)


class _Decoding:
    """Frames from packets, and how far it has come."""

    def __init__(
        self, media: Media, kind: str, notes: dict[str, None], samples: bool = False
    ) -> None:
        self._media, self._kind, self._notes = media, kind, notes
        self._may_be_short, self._short = samples, ""
        self._told = False
        self.count, self.last = 0, cast(Any, None)
        self.end = media.start
        """On its clock, of everything in the file, also of streams that nobody asked for."""

    @property
    def come(self) -> Fraction:
        """How many seconds after its beginning the file is being read."""
        return self.end - self._media.start

    def frames(self, index: int) -> Iterator[Any]:
        """The frames of one stream. Raises FFmpegError."""
        from av.error import InvalidDataError

        fault: InvalidDataError | None = None
        first = 0
        for packet in self._media.container.demux():
            first = first or packet.size
            if packet.pts is not None and packet.time_base is not None:
                self.end = max(self.end, (packet.pts + (packet.duration or 0)) * packet.time_base)
            if packet.stream.index != index:
                continue
            if fault is not None and packet.size:
                raise fault
            try:
                frames: Any = packet.decode()
            except InvalidDataError as error:
                if self.count:
                    fault = error  # unless it is the last one of a stream that was cut off
                else:
                    self._tell("cannot be decoded at its beginning, which is left out")
                continue
            self._look_at(packet, frames)
            for frame in frames:
                self.count += 1
                self.last = frame
                yield frame
        if note := self._media.cut_off(first):
            self._notes[note] = None
        elif fault is not None:
            raise fault

    def _look_at(self, packet: Any, frames: list[Any]) -> None:
        """Tell of a packet that lacks something. The last one of samples may: what is written into a
        pipe does not say how long it is."""
        if self._short and packet.size:
            self._tell(self._short)
        if packet.is_corrupt or any(frame.is_corrupt for frame in frames):
            when = f"{float(self.come):.2f} s"
            self._short = f"is damaged at {when}, and perhaps elsewhere: it is taken as it is"
            if not self._may_be_short:
                self._tell(self._short)

    def _tell(self, fault: str) -> None:
        if not self._told:
            self._notes[f"the {self._kind} {fault}"] = None
        self._told = True


def _end(frame: AudioFrame) -> Fraction:
    """When the last sample of a frame has been heard."""
    start = frame_time(frame) or Fraction(0)
    return start + Fraction(frame.samples, frame.sample_rate)


def check_pause(source: Source, what: str, last: Fraction, time: Fraction) -> None:
    """PG507 where the clock of a file jumps: what fills the pause up would never end, and what is
    said to come before what was there already would be left out."""
    if time - last > LONGEST_PAUSE:
        fault = f"there is no {what} for {float(time - last):.0f} s, and at most {LONGEST_PAUSE} s "
        fault += "are filled up: its timestamps are damaged"
    elif last - time > LONGEST_RETURN:
        fault = f"its clock goes back by {float(last - time):.2f} s: it may be several files in one"
    else:
        return
    anew = "-vf setpts=N/FRAME_RATE/TB" if what == "frame" else "-af asetpts=N/SR/TB"
    raise undecodable(
        source,
        f"after {float(last):.2f} s {fault}",
        help=f"number its frames anew: ffmpeg -i {shell_path(source.path)} {anew} repaired.mkv",
    )


class PictureStream:
    """The frames of a video at the model's rate and size: uint8 [height, width, 3] each.

    Frame i is the one that is on screen i/rate after `origin`: the latest that has begun, which is held
    until the next one begins. `start` is the time of the first frame on the clock of the file, and
    `origin` the same until it is set to an earlier one: then the first frame is shown from there on.
    """

    def __init__(self, source: Source, form: VideoFormat, *, sparing: bool = False) -> None:
        self._source, self._form = source, form
        self._display = Display(source)
        with open_media(source) as media:
            stream = media_stream(media, "video")
            rate, pixel_aspect = stream_shape(stream)
        self.notes: dict[str, None] = {}
        """What is to be told of the pictures that were read so far, each once."""
        self._period = 1 / (rate or form.rate)
        self._keeps_pace = rate and abs(rate - form.rate) <= _LIKE_PACE * form.rate
        self._pixel_aspect = pixel_aspect
        self._frames: Iterator[VideoFrame] = decoded(source, "video", self.notes, sparing=sparing)
        self._first = next(self._frames)
        self.start = self.origin = frame_time(self._first) or Fraction(0)
        self.end = Fraction(0)
        """Seconds after the origin at which the last frame has been shown; known at the end."""
        self.last: NDArray[np.uint8] | None = None
        """The last frame; known at the end."""

    def __iter__(self) -> Iterator[NDArray[np.uint8]]:
        current, now, tick = self._first, self.start - self.origin, 0
        for frame in self._frames:
            time = frame_time(frame)
            time = now + self._period if time is None else time - self.origin
            check_pause(self._source, "frame", now, time)
            time = max(now, time)
            picture = None
            turn = self._turn(now, time) * self._form.rate
            while tick < turn:
                picture = self._picture(current) if picture is None else picture
                yield picture
                tick += 1
            current, now = frame, time
        self.end = now + (_duration(current) or self._period)
        self.last = self._picture(current)
        while not tick or tick + Fraction(1, 2) <= self.end * self._form.rate:
            yield self.last
            tick += 1

    def close(self) -> None:
        """Close the file."""
        self._frames.close()  # type: ignore[attr-defined]

    def _turn(self, now: Fraction, time: Fraction) -> Fraction:
        """From when on the frame that begins at `time` is taken, after one that began at `now`.

        That is `time`, but for what timestamps are rounded to. Where a file has the model's rate,
        frames stay one to one although their timestamps jitter. What is nearer to the frame before is
        never taken from the next one.
        """
        pace = 1 / self._form.rate
        jitters = self._keeps_pace and time - now < 2 * pace
        return max((now + time) / 2, time - (pace / 3 if jitters else _GRAIN))

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
