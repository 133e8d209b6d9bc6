"""What a clip's results are written to: an mp4, a contact sheet, labels as JSON, other arrays.

Everything is bounded in memory, however long the clip, but for arrays that have no media format.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import zip_longest
from math import ceil
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from perceiver_graph.runtime.inputs import write_arrays
from perceiver_graph.runtime.processors import (
    AudioFormat,
    ClassesFormat,
    ClipWriter,
    MediaFormat,
    VideoFormat,
    Window,
    contact_sheet,
    to_frames,
    to_pixels,
    to_samples,
    top_classes,
)
from perceiver_graph.runtime.sources import MediaInputs

_MOST_PAIRS = 64
_PER_SECOND = 1000  # low and high values of a sound that the sheet is drawn from


@dataclass
class _Track:
    """An mp4 of a video output, an audio output, or both."""

    video: tuple[str, VideoFormat] | None
    audio: tuple[str, AudioFormat] | None
    writer: ClipWriter

    def add(self, results: Mapping[str, NDArray[Any]], part: Fraction) -> None:
        """Append a window of which only the first `part` belongs to the clip."""
        frames = samples = None
        if self.video is not None:
            name, form = self.video
            frames = to_frames(results[name], form)[: ceil(form.time * part)]
        if self.audio is not None:
            name, sound = self.audio
            samples = to_samples(results[name], sound)[: round(sound.samples * part)]
        self.writer.add(frames, samples)


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
            kept.append(_outline(samples, rate))

    def write(self, path: Path, title: str, lines: list[str]) -> None:
        kept = [np.concatenate(outlines) for outlines in self.sounds if outlines]
        sounds = (kept[0], kept[1]) if len(kept) == 2 else None
        contact_sheet(path, self.pairs, title=title, lines=lines, times=self.times, sounds=sounds)

    @property
    def is_empty(self) -> bool:
        return not self.pairs and not self.sounds[0]


def _outline(samples: NDArray[Any], rate: int) -> NDArray[np.float32]:
    """The lowest and highest value of each millisecond."""
    mono: NDArray[np.float32] = samples.mean(axis=-1, dtype=np.float32)
    if not mono.size:
        return mono
    starts = np.arange(0, mono.size, max(1, rate // _PER_SECOND))
    lows, highs = np.minimum.reduceat(mono, starts), np.maximum.reduceat(mono, starts)
    return np.stack([lows, highs], axis=1).reshape(-1)


class ClipResults:
    """Takes the results of window after window and writes the files of a clip, in `folder`.

    A context manager: the mp4 files are complete when the block ends well.
    """

    def __init__(
        self, folder: Path, stem: str, inputs: MediaInputs, outputs: Mapping[str, MediaFormat]
    ) -> None:
        self._folder = folder
        self._stem = stem
        self._inputs = inputs
        self._outputs = outputs
        self._sketch = _Sketch()
        self._labels: list[dict[str, Any]] = []
        self._sums: dict[str, NDArray[np.float64]] = {}
        self._arrays: dict[str, list[NDArray[Any]]] = {}
        self._stack = ExitStack()
        self._tracks: list[_Track] = []

    def __enter__(self) -> Self:
        outputs = self._outputs.items()
        videos = [(name, form) for name, form in outputs if isinstance(form, VideoFormat)]
        sounds = [(name, form) for name, form in outputs if isinstance(form, AudioFormat)]
        for index, (video, audio) in enumerate(zip_longest(videos, sounds)):
            name = (video or audio)[0]
            file = f"{self._stem}-{name}.mp4" if index else f"{self._stem}.mp4"
            writer = ClipWriter(
                self._folder / file,
                rate=video[1].rate if video else None,
                sample_rate=audio[1].rate if audio else None,
                channels=audio[1].channels if audio else 1,
            )
            self._tracks.append(_Track(video, audio, self._stack.enter_context(writer)))
        return self

    def __exit__(self, *error: Any) -> None:
        self._stack.__exit__(*error)

    def add(self, window: Window, results: Mapping[str, NDArray[Any]]) -> None:
        """Take the results of a window, by output."""
        part = self._part(window)
        for track in self._tracks:
            track.add(results, part)
        self._add_to_sheet(window, results, part)
        seconds = (self._inputs.video or self._inputs.audio or VideoFormat(1, 1, 1)).seconds
        labels: dict[str, Any] = {
            "start": round(window.start, 6),
            "stop": round(window.start + float(seconds * part), 6),
        }
        for name, array in results.items():
            form = self._outputs.get(name)
            if isinstance(form, ClassesFormat):
                labels[name] = top_classes(array, form.top, form.names)
                self._sums[name] = self._sums.get(name, 0.0) + _probabilities(array)
            elif form is None:
                self._arrays.setdefault(name, []).append(array)
        self._labels.append(labels)

    def _part(self, window: Window) -> Fraction:
        """How much of a window belongs to the clip."""
        if self._inputs.video is not None and window.frames is not None:
            return Fraction(window.frame_count, self._inputs.video.time)
        assert self._inputs.audio is not None
        return Fraction(window.sample_count, self._inputs.audio.samples)

    def _add_to_sheet(
        self, window: Window, results: Mapping[str, NDArray[Any]], part: Fraction
    ) -> None:
        for track in self._tracks[:1]:
            if track.video is not None and window.frames is not None and self._inputs.video:
                name, form = track.video
                frames = to_frames(results[name], form)[: ceil(form.time * part)]
                pace = Fraction(self._inputs.video.time, form.time)
                for index, frame in enumerate(frames):
                    time = window.start + float(index / form.rate)
                    self._sketch.add_pair(time, window.frames[int(index * pace)], frame)
            if track.audio is not None and window.samples is not None and self._inputs.audio:
                name, sound = track.audio
                samples = to_samples(results[name], sound)[: round(sound.samples * part)]
                rates = (self._inputs.audio.rate, sound.rate)
                self._sketch.add_sounds(window.samples[: window.sample_count], samples, rates)

    def classes(self) -> dict[str, list[dict[str, Any]]]:
        """The best classes of each classes output, by the mean of its probabilities."""
        found = {}
        for name, total in self._sums.items():
            form = self._outputs[name]
            assert isinstance(form, ClassesFormat)
            with np.errstate(divide="ignore"):
                logits = np.log(total / len(self._labels))
            found[name] = top_classes(logits, form.top, form.names)
        return found

    @property
    def windows(self) -> int:
        """How many windows there were."""
        return len(self._labels)

    def write(self, title: str, about: Mapping[str, Any]) -> None:
        """Write what is not written as it comes: the sheet, the labels and the arrays."""
        classes = self.classes()
        if not self._sketch.is_empty:
            best = [f"{name}: {_listed(found)}" for name, found in classes.items()]
            self._sketch.write(self._folder / f"{self._stem}.png", title, best)
        if self._arrays:
            # A leading axis for the windows takes the place of the batch of one.
            stacked = {name: np.concatenate(parts) for name, parts in self._arrays.items()}
            write_arrays(self._folder / f"{self._stem}.npz", stacked)
        summary = {**about, "overall": classes, "windows": self._labels}
        text = json.dumps(summary, indent=2, ensure_ascii=False)
        (self._folder / f"{self._stem}.json").write_text(text + "\n", encoding="utf-8")


def _probabilities(logits: NDArray[Any]) -> NDArray[np.float64]:
    scores = logits.astype(np.float64).reshape(-1)
    weights = np.exp(scores - scores.max())
    return np.asarray(weights / weights.sum())


def _listed(classes: list[dict[str, Any]]) -> str:
    return ", ".join(f"{one['name']} {one['probability']:.0%}" for one in classes[:3])
