"""Which files a model's media inputs are read from, and the windows of those files as arrays."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import chain, repeat
from math import ceil
from pathlib import Path
from typing import TypeVar

import numpy as np

from perceiver_graph.diagnostics import DiagnosticError, Report, quote
from perceiver_graph.runtime.feeds import described
from perceiver_graph.runtime.processors import (
    AudioFormat,
    MediaFormat,
    VideoFormat,
    Window,
    media_formats,
    probe_clip,
    read_clip,
)
from perceiver_graph.spec.manifest import Manifest

_USE_ARRAYS = "pass arrays instead: --inputs IN.npz"
_Form = TypeVar("_Form", VideoFormat, AudioFormat)


@dataclass(frozen=True)
class MediaInputs:
    """The inputs of a model that files are read for: at most one of video and one of audio."""

    formats: dict[str, MediaFormat]
    optional: frozenset[str]
    """Which of `video` and `audio` a file may lack."""

    @property
    def video(self) -> VideoFormat | None:
        """The format of the pictures, if the model takes any."""
        return _only(self.formats, VideoFormat)

    @property
    def audio(self) -> AudioFormat | None:
        """The format of the sound, if the model takes any."""
        return _only(self.formats, AudioFormat)

    def kind(self, name: str) -> str:
        """`video` or `audio`."""
        return "video" if isinstance(self.formats[name], VideoFormat) else "audio"


@dataclass(frozen=True)
class Source:
    """The files of one clip: usually one, which holds both pictures and sound."""

    video: Path | None
    audio: Path | None

    @property
    def path(self) -> Path:
        """The file that names the results."""
        path = self.video or self.audio
        assert path is not None
        return path

    @property
    def paths(self) -> list[Path]:
        """All its files."""
        return list(dict.fromkeys(p for p in (self.video, self.audio) if p is not None))


def _only(formats: Mapping[str, MediaFormat], kind: type[_Form]) -> _Form | None:
    return next((form for form in formats.values() if isinstance(form, kind)), None)


def media_inputs(manifest: Manifest) -> MediaInputs:
    """What of a model is read from media files. Raises DiagnosticError (PG403, PG501, PG512)."""
    used = {name: entry for name, entry in manifest.inputs.items() if entry.mask != "always"}
    dumped = {name: entry.model_dump(exclude_none=True) for name, entry in used.items()}
    formats = media_formats(dumped)
    if not formats:
        names = ", ".join(quote(name) for name in used)
        raise DiagnosticError.of(
            "PG512",
            f"no input of {manifest.name} is read from files (its inputs: {names})",
            help=f"{_USE_ARRAYS}; or give an input `media` in the spec and compile again",
        )
    report = Report()
    for kind in (VideoFormat, AudioFormat):
        names_of_kind = [quote(name) for name, form in formats.items() if isinstance(form, kind)]
        if len(names_of_kind) > 1:
            message = f"{' and '.join(names_of_kind)} are of the same kind, and a file has one"
            report.error("PG512", message, help=_USE_ARRAYS)
    for name, entry in used.items():
        if entry.mask == "never" and name not in formats:
            report.error(
                "PG501",
                f"input {quote(name)} is not read from files: {entry.dtype} {described(entry)}",
                help=_USE_ARRAYS,
            )
    report.raise_if_errors()
    inputs = MediaInputs(formats, frozenset())
    optional = {inputs.kind(name) for name in formats if used[name].mask == "optional"}
    return replace(inputs, optional=frozenset(optional))


def find_sources(files: Sequence[str | Path], inputs: MediaInputs) -> list[Source]:
    """The clips that the arguments mean. Every file is looked at before any work begins.

    Each file is a clip of its own; files written `INPUT=FILE` make up one clip together. Raises
    DiagnosticError (PG507 to PG512) for all files that cannot be used.
    """
    report = Report()
    named: dict[str, Path] = {}
    sources: list[Source] = []
    for file in files:
        name, equals, rest = str(file).partition("=")
        if not equals or Path(file).exists():
            path = Path(file)
            sources.append(Source(path if inputs.video else None, path if inputs.audio else None))
        elif name not in inputs.formats:
            known = ", ".join(quote(n) for n in inputs.formats)
            message = f"{quote(name)} of {quote(file)} is no input that is read from a file"
            report.error("PG512", message, help=f"these are: {known}")
        elif inputs.kind(name) in named:
            report.error("PG512", f"input {quote(name)} is given twice", help="give it one file")
        else:
            named[inputs.kind(name)] = Path(rest)
    if named:
        sources.append(Source(named.get("video"), named.get("audio")))
    if not files:
        report.error("PG501", "no file was given", help="name a video or audio file")
    for path in dict.fromkeys(path for source in sources for path in source.paths):
        try:
            probe_clip(path)
        except DiagnosticError as error:
            report.extend(error.diagnostics)
    report.raise_if_errors()
    return sources


def expected_windows(source: Source, inputs: MediaInputs) -> int | None:
    """How many windows a clip has, as far as its header says."""
    lead = inputs.video if source.video else inputs.audio
    if lead is None:
        return None
    count = Fraction(probe_clip(source.path).duration) / lead.seconds
    return ceil(count - Fraction(1, 100)) or None


def windows(source: Source, inputs: MediaInputs) -> Iterator[Window]:
    """The windows of a clip, from its one file or from two. Raises DiagnosticError (PG507,
    PG508)."""
    video = inputs.video if source.video else None
    audio = inputs.audio if source.audio else None
    if source.video is None or source.audio is None or source.video == source.audio:
        return read_clip(source.path, video=video, audio=audio, allow_missing=inputs.optional)
    assert video is not None
    assert audio is not None
    if video.seconds != audio.seconds:
        raise DiagnosticError.of(
            "PG512",
            f"{source.video} and {source.audio} cannot be read side by side: a window of pictures "
            f"lasts {float(video.seconds):g} s, and one of sound {float(audio.seconds):g} s",
            help="give one file with both",
        )
    pictures = read_clip(source.video, video=video, audio=None)
    return _side_by_side(pictures, read_clip(source.audio, video=None, audio=audio), video, audio)


def _side_by_side(
    pictures: Iterator[Window], sounds: Iterator[Window], video: VideoFormat, audio: AudioFormat
) -> Iterator[Window]:
    """Windows with the pictures of one and the sound of another; the pictures say how long."""
    silence = Window(0, 0.0, None, np.zeros((audio.samples, audio.channels), np.float32), 0, 0)
    for picture, sound in zip(pictures, chain(sounds, repeat(silence)), strict=False):
        assert sound.samples is not None
        count = audio.samples * picture.frame_count // video.time
        samples = sound.samples.copy()
        samples[count:] = 0.0
        yield replace(picture, samples=samples, sample_count=count)
