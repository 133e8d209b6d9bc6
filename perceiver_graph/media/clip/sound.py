"""The sound of a media file on the model's clock, a few samples at a time."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from itertools import chain
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from perceiver_graph.diagnostics import DiagnosticError
from perceiver_graph.diagnostics.escape import shell_path
from perceiver_graph.media.clip.decode import check_pause, decoded, frame_time
from perceiver_graph.media.clip.formats import AudioFormat
from perceiver_graph.media.clip.model import LAYOUTS
from perceiver_graph.media.files.containers import media_stream, open_media, undecodable
from perceiver_graph.runtime.opening import Source

if TYPE_CHECKING:
    from av import AudioFrame, AudioResampler

_BESIDE = ("stereo", "downmix", "2 channels")
"""How two channels are called of which each is one ear's."""
_REAL = ("flt", "fltp", "dbl", "dblp")

_NO_SAMPLE = 2.0**32
"""No sample is as large, not even of sound that was never scaled down from whole numbers."""

# Timestamps jitter by a few ms (matroska rounds to 1 ms); a larger step is a gap in the sound.
_SOUND_JITTER = Fraction(1, 25)


class SampleStream:
    """The sound of a file at the model's rate: float32 [time, channels], value = int16 / 2**15.

    Sample 0 is at `origin` seconds on the clock of the file (None: where the sound begins), which may
    be set before anything is read. What lies before it is dropped; gaps, a late beginning and an early
    end are silence.
    """

    def __init__(self, source: Source, form: AudioFormat, origin: Fraction | None) -> None:
        self._source, self._form = source, form
        self.notes: dict[str, None] = {}
        """What is to be told of the sound that was read so far, each once."""
        with open_media(source) as media:
            stream: Any = media_stream(media, "audio")
            # Of compressed sound, values a little beyond 1 are usual.
            self._plain = stream is not None and stream.codec_context.name.startswith("pcm_f")
        self.origin = origin
        self._decoded = decoded(source, "audio", self.notes)
        self._frames: Iterator[AudioFrame] = self._decoded
        self._blocks = self._placed()
        self._buffer = np.zeros((0, form.channels), np.int16)
        self._loud = self._gap = False
        self._resampled_to = 0  # samples that the resampler at work has given
        self._start = 0  # position of the first buffered sample

    def begins(self) -> Fraction | None:
        """When the sound begins, on the clock of the file; None where nothing says so."""
        first = next(self._frames, None)
        if first is None:
            return None
        self._frames = chain([first], self._frames)
        return frame_time(first)

    def ends(self, before: int) -> int:
        """The position behind the last sample, at most `before`; what is decoded for that is kept."""
        self._fill(self._start, before)
        return min(before, self._start + len(self._buffer))

    def read(self, start: int, count: int) -> tuple[NDArray[np.float32], int]:
        """Samples [start, start + count), filled up with silence, and how many the file had.

        `start` must not decrease from call to call.
        """
        # One more than is wanted, so that what there is to tell of the end is known with the last.
        self._fill(start, start + count)
        found = self._buffer[:count]
        window = np.zeros((count, self._form.channels), np.float32)
        window[: len(found)] = found.astype(np.float32) / np.float32(2**15)
        return window, len(found)

    def _fill(self, start: int, stop: int) -> None:
        """Hold what there is from `start` on, to beyond `stop`."""
        blocks = [self._buffer]
        end = self._start + len(self._buffer)
        while end <= stop and (block := next(self._blocks, None)) is not None:
            blocks.append(block)
            end += len(block)
            if end <= start:  # not wanted by anyone: do not hoard it
                blocks, self._start = [block[:0]], end
        buffer = np.concatenate(blocks)
        self._buffer = buffer[max(0, start - self._start) :]
        self._start = max(start, self._start)

    def close(self) -> None:
        """Close the file."""
        self._decoded.close()  # type: ignore[attr-defined]

    def _placed(self) -> Iterator[NDArray[np.int16]]:
        """Consecutive blocks from position 0 on: gaps filled with silence, overlaps dropped."""
        emitted = position = 0
        for place, block in self._pieces():
            position = position if place is None else place
            if position > emitted > 0:
                self._tell_gap(emitted, position)
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
        fed = begun = Fraction(0)  # seconds after the origin at which the last frame ended
        for frame in self._frames:
            time = frame_time(frame)
            if self.origin is None:
                self.origin = time or Fraction(0)
            due = fed if time is None else time - self.origin
            check_pause(self._source, "sound", fed if resampler else min(fed, due), due)
            self._look_at(frame, due)
            jump = resampler is None or abs(due - fed) > _SOUND_JITTER
            if jump or kind != _kind(frame):
                yield from self._flushed(resampler, fed - begun)
                resampler, kind = self._resampler(frame), _kind(frame)
                begun, self._resampled_to = fed, 0
            if jump:
                fed = begun = due
                yield round(due * self._form.rate), np.zeros((0, self._form.channels), np.int16)
            fed += Fraction(frame.samples, frame.sample_rate)
            yield from self._resampled(resampler, frame)
        yield from self._flushed(resampler, fed - begun)

    def _flushed(
        self, resampler: AudioResampler | None, lasted: Fraction
    ) -> Iterator[tuple[None, NDArray[np.int16]]]:
        """What a resampler still holds of a piece that lasted so many seconds. Of one that is shorter
        than its filter, it gives nothing: silence is there instead, which is told."""
        yield from self._resampled(resampler, None)
        if lasted and not self._resampled_to:
            wanted = max(1, round(lasted * self._form.rate))
            self.notes[
                f"a piece of its sound lasts {float(1000 * lasted):.2g} ms, which is too short to be "
                f"brought to {self._form.rate} Hz: silence is there instead"
            ] = None
            yield None, np.zeros((wanted, self._form.channels), np.int16)

    def _resampler(self, frame: AudioFrame) -> AudioResampler:
        import av

        # 16-bit output, as the published pipeline has it. It also makes FFmpeg average the
        # channels; for float output it would scale them by 0.7 and exceed 1. One channel becomes
        # two that are as loud only if FFmpeg does not mix it.
        layout = LAYOUTS[min(self._form.channels, frame.layout.nb_channels)]
        return av.AudioResampler(format="s16", layout=layout, rate=self._form.rate)

    def _resampled(
        self, resampler: AudioResampler | None, frame: AudioFrame | None
    ) -> Iterator[tuple[None, NDArray[np.int16]]]:
        from av.error import FFmpegError

        try:
            parts = resampler.resample(frame) if resampler is not None else []
        except (FFmpegError, ValueError) as error:
            channels = frame.layout.nb_channels if frame is not None else "so many"
            raise undecodable(
                self._source,
                f"its sound of {channels} channels cannot be mixed to {self._form.channels}",
                f"FFmpeg says: {getattr(error, 'strerror', error)}",
                help=f"take one: ffmpeg -i {shell_path(self._source.path)} -af 'pan=mono|c0=c0' mono.wav",
            ) from error
        for part in parts:
            self._resampled_to += part.samples
            samples = part.to_ndarray().reshape(-1, part.layout.nb_channels)
            yield None, np.repeat(samples, self._form.channels // samples.shape[1], axis=1)

    def _look_at(self, frame: AudioFrame, time: Fraction) -> None:
        """Refuse values that are no numbers (PG505); tell what becomes of those beyond 1."""
        count = frame.layout.nb_channels
        if count == 1 < self._form.channels:
            self.notes["its one channel is taken for both"] = None
        elif count > 2 or (count == 2 and frame.layout.name not in _BESIDE):
            self.notes[
                f"its {count} channels become {self._form.channels}, as FFmpeg mixes them"
            ] = None
        if frame.format.name not in _REAL:
            return
        values = np.abs(frame.to_ndarray())
        if not np.isfinite(values).all():
            raise DiagnosticError.of(
                "PG505",
                f"{self._source}: the sound at {float(time):.2f} s holds values that are no numbers",
                help="write the file again, without NaN and infinity",
            )
        if values.size and values.max() > _NO_SAMPLE:
            fault = f"the sound at {float(time):.2f} s holds values such as {values.max():.3g}"
            raise undecodable(
                self._source,
                f"{fault}, where floating-point samples reach about 1",
                help="its samples are perhaps whole numbers: write it again, as 16 or 24 bits",
            )
        if self._plain and not self._loud and values.size and values.max() > 1:
            self._loud = True
            self.notes[
                "samples beyond 1, the loudest that sound can be, are cut off there (the first: "
                f"{values[values > 1][0]:.3g} at {float(time):.2f} s)"
            ] = None

    def _tell_gap(self, start: int, stop: int) -> None:
        if not self._gap:
            rate = self._form.rate
            self.notes[
                f"where its sound has gaps there is silence (the first: from {start / rate:.2f} to "
                f"{stop / rate:.2f} s)"
            ] = None
        self._gap = True

    def _silence(self, count: int) -> Iterator[NDArray[np.int16]]:
        """Zeros, at most a second at a time."""
        while count > 0:
            block = min(count, self._form.rate)
            yield np.zeros((block, self._form.channels), np.int16)
            count -= block


def _kind(frame: AudioFrame) -> tuple[Any, ...]:
    return frame.format.name, frame.layout.name, frame.sample_rate
