"""Write frames and samples as an mp4 that plays everywhere: H.264 and AAC.

The file appears whole or not at all.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from fractions import Fraction
from os import PathLike
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from perceiver_graph.media.clip.formats import to_int16, to_pixels
from perceiver_graph.media.clip.model import LAYOUTS
from perceiver_graph.media.files.packages import require
from perceiver_graph.storage import staged_file, unwritable

if TYPE_CHECKING:
    from av.container import OutputContainer

# The colour matrix FFmpeg converts RGB with unless told otherwise; the file says it to players.
_BT601 = 6
_SOUND_BLOCK = 4096


class _GivenUpError(Exception):
    """What came before the end of a clip; it goes on as it is."""


class ClipWriter:
    """An mp4 that is written piece by piece, as a context manager.

    >>> with ClipWriter("out.mp4", rate=25, sample_rate=48000) as clip:
    ...     clip.add(frames, samples)                               # doctest: +SKIP

    `rate` is in frames per second (None: sound only), `sample_rate` in samples per second (None:
    silent). The file is there when the block ends; if it ends with an exception (KeyboardInterrupt
    too), neither it nor a temporary file is left. Raises DiagnosticError (PG509, PG511).
    """

    def __init__(
        self,
        path: str | PathLike[str],
        *,
        rate: float | Fraction | None,
        sample_rate: int | None = None,
        channels: int = 1,
    ) -> None:
        if rate is None and sample_rate is None:
            raise ValueError("a clip has a frame rate, a sample rate or both")
        if channels not in LAYOUTS:
            raise ValueError(f"sound has 1 or 2 channels, and not {channels}")
        self.path = Path(path)
        self._rate = None if rate is None else Fraction(str(rate))
        self._sample_rate = sample_rate
        self._channels = channels
        self._container: OutputContainer | None = None
        self._video: Any = None
        self._audio: Any = None
        self._frame_shape: tuple[int, ...] = ()
        self.frame_count = 0
        self._samples = 0

    def __enter__(self) -> Self:
        require("av")
        self._place = staged_file(self.path)
        self._temporary = self._place.__enter__()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with suppress(_GivenUpError), ExitStack() as stack:
            stack.push(self._place)
            stack.callback(self._discard)
            if error is not None:
                raise _GivenUpError  # so that nothing takes the place of the file of before
            self._finish()

    def add(self, frames: ArrayLike | None, samples: ArrayLike | None = None) -> None:
        """Append frames [time, height, width, 3] and samples [time, channels]; either may be None.

        Frames are uint8, or floats clipped to [0, 1]; samples are int16, or floats clipped to
        [-1, 1]. H.264 needs even sizes: an odd one grows by a repeated row or column. Raises
        ValueError for frames of another size than the first, and for what the clip is not open for.
        """
        pixels = None if frames is None else to_pixels(frames)
        sound = None if samples is None else to_int16(samples).reshape(-1, self._channels)
        if pixels is not None and (self._rate is None or pixels.shape[1:] != self._shape(pixels)):
            raise ValueError(f"frames of shape {pixels.shape} do not belong in this clip")
        if sound is not None and self._sample_rate is None:
            raise ValueError("samples are added to a clip that was opened without a sample rate")
        with self._writing():
            if self._container is None:
                self._open()
            for picture in pixels if pixels is not None else ():
                self._add_picture(picture)
            for start in range(0, len(sound), _SOUND_BLOCK) if sound is not None else ():
                assert sound is not None
                self._add_sound(sound[start : start + _SOUND_BLOCK])

    def _shape(self, pixels: NDArray[np.uint8]) -> tuple[int, ...]:
        self._frame_shape = self._frame_shape or (*pixels.shape[1:3], 3)
        return self._frame_shape

    @contextmanager
    def _writing(self) -> Iterator[None]:
        import av

        try:
            yield
        except (av.error.FFmpegError, OSError) as error:
            raise unwritable(self.path, error.strerror or str(error)) from error

    def _open(self) -> None:
        import av

        if self._rate is not None and not self._frame_shape:
            raise ValueError("the first piece of a clip with pictures must have frames")
        self._container = av.open(str(self._temporary.absolute()), "w", format="mp4")
        if self._rate is not None:
            name = "libx264" if "libx264" in av.codecs_available else "mpeg4"
            # x264 with its macroblock tree gives other bytes with each call on processors with
            # AVX-512, and other ones on processors without; what it saves is small at this quality.
            options = {"crf": "18", "mbtree": "0"} if name == "libx264" else {"qscale": "3"}
            video: Any = self._container.add_stream(name, rate=self._rate, options=options)
            self._video = video
            height, width, _ = self._frame_shape
            video.width, video.height = width + width % 2, height + height % 2
            video.pix_fmt = "yuv420p"
            video.codec_context.colorspace = _BT601
            # x264's result depends on the number of threads; with one, all machines give the same.
            video.codec_context.thread_count = 1
        if self._sample_rate is not None:
            rates = av.Codec("aac", "w").audio_rates or [self._sample_rate]
            rate = min((r for r in rates if r >= self._sample_rate), default=max(rates))
            layout = LAYOUTS[self._channels]
            self._audio = self._container.add_stream("aac", rate=rate, layout=layout)

    def _add_picture(self, pixels: NDArray[np.uint8]) -> None:
        import av

        assert self._rate is not None
        assert self._container is not None
        height, width = pixels.shape[:2]
        if height % 2 or width % 2:
            pixels = np.pad(pixels, ((0, height % 2), (0, width % 2), (0, 0)), mode="edge")
        frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(pixels), format="rgb24")
        frame.pts, frame.time_base = self.frame_count, 1 / self._rate
        self.frame_count += 1
        self._container.mux(self._video.encode(frame))

    def _add_sound(self, samples: NDArray[np.int16]) -> None:
        import av

        assert self._sample_rate is not None
        assert self._container is not None
        layout = LAYOUTS[self._channels]
        frame = av.AudioFrame.from_ndarray(samples.reshape(1, -1), format="s16", layout=layout)
        frame.sample_rate = self._sample_rate
        frame.pts, frame.time_base = self._samples, Fraction(1, self._sample_rate)
        self._samples += len(samples)
        self._container.mux(self._audio.encode(frame))

    def _finish(self) -> None:
        if self._container is None:
            raise ValueError("nothing was added to the clip")
        with self._writing():
            for stream in (self._video, self._audio):
                if stream is not None:
                    self._container.mux(stream.encode(None))
            self._container.close()
            self._container = None

    def _discard(self) -> None:
        """Remove what is unfinished; nothing is left to do after `_finish`."""
        import av

        if self._container is not None:
            # Closing writes the index, which fails again where writing has failed before.
            with suppress(av.error.FFmpegError, OSError):
                self._container.close()
