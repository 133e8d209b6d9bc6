"""Clips out: video and sound outputs as mp4 files, and a contact sheet beside the input.

Memory is bounded however long the clip.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import zip_longest
from math import ceil
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from perceiver_graph.media.clip.encode import ClipWriter
from perceiver_graph.media.clip.formats import (
    AudioFormat,
    VideoFormat,
    media_formats,
    to_frames,
    to_pixels,
    to_samples,
)
from perceiver_graph.media.clip.reader import ClipReader, Moment
from perceiver_graph.media.clip.sheet import contact_sheet, outline
from perceiver_graph.media.io import Answer, Piece, Setting, Writer
from perceiver_graph.spec.manifest import OutputEntry

_MOST_PAIRS = 64


@dataclass
class _Sketch:
    """What a contact sheet shows: frames side by side, thinned out as they become many, and the
    outlines of two sounds."""

    pairs: list[tuple[NDArray[np.uint8], NDArray[np.uint8]]] = field(default_factory=list)
    times: list[float] = field(default_factory=list)
    sounds: tuple[list[NDArray[np.float32]], list[NDArray[np.float32]]] = field(
        default_factory=lambda: ([], [])
    )
    seen: int = 0
    every: int = 1

    def add_pair(self, time: float, frame: NDArray[Any], result: NDArray[Any]) -> None:
        if self.seen % self.every == 0:
            self.pairs.append((to_pixels(frame).copy(), to_pixels(result)))
            self.times.append(time)
        self.seen += 1
        if len(self.pairs) > _MOST_PAIRS:
            self.pairs, self.times, self.every = self.pairs[::2], self.times[::2], self.every * 2

    def add_sounds(self, sound: NDArray[Any], result: NDArray[Any], rates: tuple[int, int]) -> None:
        for kept, samples, rate in zip(self.sounds, (sound, result), rates, strict=True):
            kept.append(outline(samples, rate))

    def write(self, path: Path, title: str, said: Mapping[str, Answer]) -> None:
        kept = [np.concatenate(outlines) for outlines in self.sounds if outlines]
        sounds = (kept[0], kept[1]) if len(kept) == 2 else None
        contact_sheet(
            path,
            self.pairs,
            title=title,
            lines=[
                f"{name}: {one.line}" for name, one in said.items() if one.line and not one.bars
            ],
            bars={name: one.bars for name, one in said.items() if one.bars},
            times=self.times,
            sounds=sounds,
        )

    @property
    def is_empty(self) -> bool:
        return not self.pairs and not self.sounds[0]


class TrackWriter(Writer):
    """An mp4 of a video output, a sound output, or both; the first also draws the sheet."""

    shows_others = True

    def __init__(
        self,
        video: tuple[str, VideoFormat] | None,
        audio: tuple[str, AudioFormat] | None,
        *,
        first: bool,
    ) -> None:
        self.outputs = tuple(track[0] for track in (video, audio) if track is not None)
        self._video = video
        self._audio = audio
        self._sketch = _Sketch() if first else None
        self._film = ".mp4" if first else f"-{self.outputs[0]}.mp4"
        self.suffixes = (self._film, ".png") if first else (self._film,)

    @classmethod
    def of(cls, outputs: Mapping[str, OutputEntry], setting: Setting) -> list[Writer]:
        """A writer for each pair of a video and a sound."""
        sounds_in = [r.audio for r in setting.readers if isinstance(r, ClipReader) and r.audio]
        formats = media_formats(outputs, channels=sounds_in[0].channels if sounds_in else 1)
        videos = [(name, form) for name, form in formats.items() if isinstance(form, VideoFormat)]
        sounds = [(name, form) for name, form in formats.items() if isinstance(form, AudioFormat)]
        return [
            cls(video, audio, first=index == 0)
            for index, (video, audio) in enumerate(zip_longest(videos, sounds))
        ]

    def __enter__(self) -> Self:
        self._writer = ClipWriter(
            self.path(self._film),
            rate=self._video[1].rate if self._video else None,
            sample_rate=self._audio[1].rate if self._audio else None,
            channels=self._audio[1].channels if self._audio else 1,
        ).__enter__()
        return self

    def __exit__(self, *error: Any) -> None:
        self._writer.__exit__(*error)

    def add(self, piece: Piece, results: Mapping[str, NDArray[Any]]) -> dict[str, Any]:
        """Append a window, without what pads its end."""
        moment = piece.origin(Moment)
        part = moment.part if moment else Fraction(1)
        frames = samples = None
        if self._video is not None:
            name, form = self._video
            frames = to_frames(results[name], form)[: ceil(form.time * part)]
        if self._audio is not None:
            name, sound = self._audio
            samples = to_samples(results[name], sound)[: round(sound.samples * part)]
        self._writer.add(frames, samples)
        if moment is not None and self._sketch is not None:
            self._add_to_sketch(self._sketch, moment, frames, samples)
        return {}

    def _add_to_sketch(
        self,
        sketch: _Sketch,
        moment: Moment,
        frames: NDArray[Any] | None,
        samples: NDArray[Any] | None,
    ) -> None:
        window = moment.window
        if self._video and frames is not None and window.frames is not None and moment.video:
            form = self._video[1]
            pace = Fraction(moment.video.time, form.time)
            for index, frame in enumerate(frames):
                time = window.start + float(index / form.rate)
                sketch.add_pair(time, window.frames[int(index * pace)], frame)
        if self._audio and samples is not None and window.samples is not None and moment.audio:
            rates = (moment.audio.rate, self._audio[1].rate)
            sketch.add_sounds(window.samples[: window.sample_count], samples, rates)

    def finish(self, said: Mapping[str, Answer]) -> dict[str, Answer]:
        """Draw the sheet; the mp4 is complete when the block ends."""
        if self._sketch is not None and not self._sketch.is_empty:
            self._sketch.write(self.path(".png"), self.title, said)
        return {}
