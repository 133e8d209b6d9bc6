"""Clips in: video and sound, from one file or from two, cut into windows that a model takes."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import ceil

from perceiver_graph.diagnostics import DiagnosticError, Report, quote
from perceiver_graph.diagnostics.commands import arrays
from perceiver_graph.media.clip.formats import (
    AudioFormat,
    ClipFormat,
    VideoFormat,
    Window,
    media_formats,
    to_arrays,
)
from perceiver_graph.media.clip.windows import probe_clip, read_clip, require_room
from perceiver_graph.media.files.containers import media_source
from perceiver_graph.media.io import Piece, Reader, Reading, reading
from perceiver_graph.media.names import type_of
from perceiver_graph.runtime.opening import Source
from perceiver_graph.runtime.read_calls import as_given
from perceiver_graph.spec.manifest import InputEntry, Manifest


@dataclass(frozen=True)
class Moment:
    """A window of a clip, of which the first `part` belongs to the clip and the rest is padding."""

    window: Window
    part: Fraction
    video: VideoFormat | None
    audio: AudioFormat | None


def _kind(form: ClipFormat) -> str:
    return "video" if isinstance(form, VideoFormat) else "audio"


class ClipReader(Reader):
    """Reads at most one input of pictures and one of sound, window by window.

    `optional` says which of `video` and `audio` a file may lack.
    """

    noun = "a video or audio file"
    media_types = ("video/", "audio/")
    streams = True

    def __init__(self, formats: Mapping[str, ClipFormat], optional: Collection[str] = ()) -> None:
        self.inputs = tuple(formats)
        self.formats = dict(formats)
        self.optional = frozenset(optional)
        forms = self.formats.values()
        self.video = next((form for form in forms if isinstance(form, VideoFormat)), None)
        self.audio = next((form for form in forms if isinstance(form, AudioFormat)), None)

    @classmethod
    def of(cls, inputs: Mapping[str, InputEntry], manifest: Manifest) -> list[Reader]:
        """One for all. Raises DiagnosticError (PG512) for two of a kind."""
        formats = media_formats(inputs)
        report = Report()
        for kind in (VideoFormat, AudioFormat):
            names = [quote(name) for name, form in formats.items() if isinstance(form, kind)]
            if len(names) > 1:
                message = f"{' and '.join(names)} are of the same kind, and a file has one"
                report.error("PG512", message, help=f"pass arrays instead: {arrays()}")
        report.raise_if_errors()
        optional = {_kind(form) for n, form in formats.items() if inputs[n].mask == "optional"}
        return [cls(formats, optional)]

    def input_for(self, value: str) -> str:
        """The input of sound for a file of sound."""
        kind = "audio" if type_of(value).startswith("audio/") else "video"
        return next((n for n, form in self.formats.items() if _kind(form) == kind), self.inputs[0])

    def open(self, values: Sequence[str]) -> Reading:
        """A clip from its one file. Raises DiagnosticError (PG507 to PG512)."""
        source = media_source(values[0])
        return self._reading(source if self.video else None, source if self.audio else None)

    def open_named(self, named: Mapping[str, Sequence[str]]) -> Reading:
        """A clip from a file for each input. Raises DiagnosticError (PG507 to PG512)."""
        report = Report()
        for name, values in named.items():
            if len(values) > 1:
                message = f"input {quote(name)} is given twice"
                report.error("PG512", message, help="give it one file")
        report.raise_if_errors()
        sources = {values[0]: media_source(values[0]) for values in named.values()}
        by_kind = {_kind(self.formats[name]): sources[values[0]] for name, values in named.items()}
        return self._reading(by_kind.get("video"), by_kind.get("audio"))

    def _reading(self, video: Source | None, audio: Source | None) -> Reading:
        report = Report()
        sources = list(dict.fromkeys(one for one in (video, audio) if one is not None))
        for source in sources:
            try:
                info = probe_clip(source)
                if source is video and self.video is not None:
                    require_room(info, self.room)
            except DiagnosticError as error:
                report.extend(error.diagnostics)
        report.raise_if_errors()
        expected = self._expected(video, audio)
        return reading(*sources, pieces=lambda: self._pieces(video, audio), expected=expected)

    def _expected(self, video: Source | None, audio: Source | None) -> int | None:
        """How many windows a clip has, as far as its header says."""
        lead = self.video if video else self.audio
        sources = dict.fromkeys(one for one in (video, audio) if one is not None)
        if lead is None or not sources:
            return None
        found = [probe_clip(source) for source in sources]
        both = video is not None and audio is not None
        longest = max(info.longest if both else info.duration for info in found)
        count = Fraction(longest) / lead.seconds
        return ceil(count - Fraction(1, 100)) or None

    def _pieces(self, video: Source | None, audio: Source | None) -> Iterator[Piece]:
        for window in self._windows(video, audio):
            moment = Moment(window, window.part, self.video, self.audio)
            lead = self.video or self.audio
            assert lead is not None
            stop = round(window.start + float(lead.seconds * moment.part), 6)
            about = {"start": round(window.start, 6), "stop": stop}
            arrays, part = to_arrays(window, self.formats), float(window.part)
            yield Piece(arrays, (moment,), about, window.notes, part)

    @property
    def _apart(self) -> str:
        """How pictures and sound are given that lie in a file each; empty where one is taken alone."""
        files = [f"{name}=FILE" for name in self.formats]
        return as_given(*files) if len(files) > 1 else ""

    def _windows(self, picture: Source | None, sound: Source | None) -> Iterator[Window]:
        video = self.video if picture else None
        audio = self.audio if sound else None
        source = picture or sound
        assert source is not None
        if picture is None or sound is None or picture == sound:
            return read_clip(
                source,
                video=video,
                audio=audio,
                allow_missing=self.optional,
                room=self.room,
                apart=self._apart,
            )
        assert video is not None
        assert audio is not None
        if video.seconds != audio.seconds:
            raise DiagnosticError.of(
                "PG512",
                f"{picture} and {sound} cannot be read side by side: a window of pictures "
                f"lasts {float(video.seconds):g} s, and one of sound {float(audio.seconds):g} s",
                help="give one file with both",
            )
        return read_clip(picture, video=video, audio=audio, room=self.room, beside=sound)
