"""Frames and samples of a media file on the model's clock, a few at a time.

Pictures and sound are demuxed separately (the file is opened twice), so that memory stays bounded
even where a file stores all of one before the other.
"""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from perceiver_graph.diagnostics import DiagnosticError
from perceiver_graph.runtime.processors.formats import AudioFormat, VideoFormat

if TYPE_CHECKING:
    from av import AudioFrame, AudioResampler, VideoFrame
    from av.container import InputContainer
    from av.stream import Stream

LAYOUTS = {1: "mono", 2: "stereo"}

# Headers of these formats state the duration. Elsewhere it is an estimate from the bit rate.
_EXACT_DURATION = ("mp4", "matroska", "avi")

# Timestamps jitter by a few ms (matroska rounds to 1 ms); a larger step is a gap in the sound.
_SOUND_JITTER = Fraction(1, 25)

_READABLE = "mp4, mov, mkv, webm, avi, or another that FFmpeg reads"


def undecodable(path: Path, fault: str, *notes: str, help: str | None = None) -> DiagnosticError:
    """The diagnostic PG507 for a media file."""
    return DiagnosticError.of("PG507", f"{path}: {fault}", notes=notes, help=help)


def open_media(path: Path) -> InputContainer:
    """Open a media file for reading; the caller closes it. Raises PG507 or PG512."""
    import av

    if path.is_dir():
        raise DiagnosticError.of("PG512", f"{path} is a folder", help="name a media file in it")
    if not path.exists():
        raise DiagnosticError.of("PG512", f"{path} does not exist", help="check the path")
    if path.is_file() and path.stat().st_size == 0:
        raise undecodable(path, "the file is empty (0 bytes)", help="copy or record the file again")
    try:
        # A playlist may name any address; nothing but local files is ever opened.
        return av.open(str(path.absolute()), options={"protocol_whitelist": "file"})
    except PermissionError as error:
        raise undecodable(path, "the file may not be read", help=f"chmod +r {path}") from error
    except av.error.FFmpegError as error:
        raise _unrecognised(path, error.strerror or str(error)) from error


def _unrecognised(path: Path, reason: str) -> DiagnosticError:
    with path.open("rb") as file:
        head = file.read(16)
    notes = [f"{path.stat().st_size} bytes, beginning with {head!r}", f"FFmpeg says: {reason}"]
    if head[4:8] == b"ftyp":
        fault = "an mp4 that cannot be opened, most likely because its end is missing"
        notes.append("its index may be at its end: without it, nothing in the file can be found")
        return undecodable(path, fault, *notes, help="copy or record the file again, completely")
    help = f"give a complete file of a known format: {_READABLE}"
    return undecodable(path, "not a media file", *notes, help=help)


def media_stream(container: InputContainer, kind: Literal["video", "audio"]) -> Stream | None:
    """The main stream of a kind. The cover picture of a song is not a video."""
    from av.stream import Disposition

    stream = container.streams.best(kind)
    if stream is None or stream.disposition & Disposition.attached_pic:
        return None
    return stream


def decoded(path: Path, kind: Literal["video", "audio"]) -> Iterator[Any]:
    """The decoded frames of the main stream of a kind. Raises PG507 for damage and an early end."""
    import av

    with open_media(path) as container:
        stream = media_stream(container, kind)
        if stream is None:
            return
        stream.codec_context.thread_type = "AUTO"
        end = Fraction(0)  # of everything in the file, also of streams that nobody asked for
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
                    yield frame
        except av.error.FFmpegError as error:
            raise undecodable(
                path,
                f"the {kind} is damaged after {float(end):.2f} s ({count} frames)",
                f"FFmpeg says: {error.strerror}",
                help=f"copy the file again, or repair it: ffmpeg -i {path.name} repaired.mp4",
            ) from error
        _check_complete(path, container, end)
        if not count:
            raise undecodable(path, f"no frame of the {kind} can be decoded")


def _check_complete(path: Path, container: InputContainer, end: Fraction) -> None:
    if container.duration is None or not any(n in container.format.name for n in _EXACT_DURATION):
        return
    declared = Fraction(container.duration, 1_000_000)
    end -= Fraction(container.start_time or 0, 1_000_000)
    if declared - end > max(Fraction(1, 4), declared / 100):
        raise undecodable(
            path,
            f"the file ends after {float(end):.2f} s of the {float(declared):.2f} s it declares",
            help="copy the file again; to keep the part that is there: "
            f"ffmpeg -i {path.name} shorter.mp4",
        )


class PictureStream:
    """The frames of a video at the model's rate and size: uint8 [height, width, 3] each.

    Frame i is the source frame nearest to i/rate after the first one. Unlike the latest before it,
    that stays one to one where timestamps jitter, and does not lag behind the sound.
    `origin` is the time of the first frame on the clock of the file.
    """

    def __init__(self, path: Path, form: VideoFormat) -> None:
        self._form = form
        with open_media(path) as container:
            stream = media_stream(container, "video")
            rate, pixel_aspect = stream_shape(stream)
        self._period = 1 / (rate or form.rate)
        self._pixel_aspect = pixel_aspect
        self._frames: Iterator[VideoFrame] = decoded(path, "video")
        self._first = next(self._frames)
        self.origin = frame_time(self._first) or Fraction(0)

    def __iter__(self) -> Iterator[NDArray[np.uint8]]:
        current, now, tick = self._first, Fraction(0), 0
        for frame in self._frames:
            time = frame_time(frame)
            time = now + self._period if time is None else max(now, time - self.origin)
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

        pixels = frame.to_ndarray(format="rgb24")
        turns = round(frame.rotation / 90) % 4
        pixels = np.rot90(pixels, turns)
        form = self._form
        aspect = Fraction(form.width, form.height)
        aspect /= self._pixel_aspect if turns % 2 == 0 else 1 / self._pixel_aspect
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


class SampleStream:
    """The sound of a file at the model's rate: float32 [time, channels], value = int16 / 2**15.

    Sample 0 is at `origin` seconds on the clock of the file (None: where the sound begins). What
    lies before it is dropped; gaps, a late beginning and an early end are silence.
    """

    def __init__(self, path: Path, form: AudioFormat, origin: Fraction | None) -> None:
        self._form = form
        self._origin = origin
        self._frames: Iterator[AudioFrame] = decoded(path, "audio")
        self._blocks = self._placed()
        self._buffer = np.zeros((0, form.channels), np.int16)
        self._start = 0  # position of the first buffered sample

    def read(self, start: int, count: int) -> tuple[NDArray[np.float32], int]:
        """Samples [start, start + count), filled up with silence, and how many the file had.

        `start` must not decrease from call to call.
        """
        blocks = [self._buffer]
        end = self._start + len(self._buffer)
        while end < start + count and (block := next(self._blocks, None)) is not None:
            blocks.append(block)
            end += len(block)
            if end <= start:  # not wanted by anyone: do not hoard it
                blocks, self._start = [block[:0]], end
        buffer = np.concatenate(blocks)
        self._buffer = buffer[max(0, start - self._start) :]
        self._start = max(start, self._start)
        found = self._buffer[:count]
        window = np.zeros((count, self._form.channels), np.float32)
        window[: len(found)] = found.astype(np.float32) / np.float32(2**15)
        return window, len(found)

    def close(self) -> None:
        """Close the file."""
        self._frames.close()  # type: ignore[attr-defined]

    def _placed(self) -> Iterator[NDArray[np.int16]]:
        """Consecutive blocks from position 0 on: gaps filled with silence, overlaps dropped."""
        emitted = position = 0
        for place, block in self._pieces():
            position = position if place is None else place
            for silence in self._silence(position - emitted):
                yield silence
                emitted += len(silence)
            kept = block[emitted - position :]
            position += len(block)
            emitted += len(kept)
            yield kept

    def _pieces(self) -> Iterator[tuple[int | None, NDArray[np.int16]]]:
        """Resampled blocks with their position, or None where one continues the block before it."""
        resampler: AudioResampler | None = None
        kind: tuple[Any, ...] = ()
        fed = Fraction(0)  # seconds after the origin at which the last frame ended
        for frame in self._frames:
            time = frame_time(frame)
            if self._origin is None:
                self._origin = time or Fraction(0)
            due = fed if time is None else time - self._origin
            jump = resampler is None or abs(due - fed) > _SOUND_JITTER
            if jump or kind != _kind(frame):
                yield from self._resampled(resampler, None)
                resampler, kind = self._resampler(), _kind(frame)
            if jump:
                fed = due
                yield round(due * self._form.rate), np.zeros((0, self._form.channels), np.int16)
            fed += Fraction(frame.samples, frame.sample_rate)
            yield from self._resampled(resampler, frame)
        yield from self._resampled(resampler, None)

    def _resampler(self) -> AudioResampler:
        import av

        # 16-bit output, as the published pipeline has it. It also makes FFmpeg average the
        # channels; for float output it would scale them by 0.7 and exceed 1.
        layout = LAYOUTS[self._form.channels]
        return av.AudioResampler(format="s16", layout=layout, rate=self._form.rate)

    def _resampled(
        self, resampler: AudioResampler | None, frame: AudioFrame | None
    ) -> Iterator[tuple[None, NDArray[np.int16]]]:
        for part in resampler.resample(frame) if resampler is not None else ():
            samples: NDArray[Any] = part.to_ndarray()
            yield None, samples.reshape(-1, self._form.channels)

    def _silence(self, count: int) -> Iterator[NDArray[np.int16]]:
        """Zeros, at most a second at a time."""
        while count > 0:
            block = min(count, self._form.rate)
            yield np.zeros((block, self._form.channels), np.int16)
            count -= block


def _kind(frame: AudioFrame) -> tuple[Any, ...]:
    return frame.format.name, frame.layout.name, frame.sample_rate
