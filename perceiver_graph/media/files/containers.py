"""Opens media files: what is read is the file that was named, and nothing beside it.

FFmpeg takes names for patterns and addresses, and opens what playlists name. So it is handed an open
file, and knows no format that is more than one file.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Any, BinaryIO, Literal, NoReturn, cast

from perceiver_graph.diagnostics import DiagnosticError
from perceiver_graph.diagnostics.escape import shell_path
from perceiver_graph.media.files.extents import shortfall
from perceiver_graph.media.files.foreign import MEDIA, foreign
from perceiver_graph.media.files.mp3 import counts_frames
from perceiver_graph.media.files.pictures import read_picture
from perceiver_graph.media.files.sample_sizes import all_bits_count
from perceiver_graph.media.files.stream_ends import loose_end
from perceiver_graph.runtime.opening import Named, Source
from perceiver_graph.signals import caught, end_if_asked, losing

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.stream import Stream

MOST_PIXELS = 1 << 26
"""Of a frame: twice those of 8K."""

_READABLE = "mp4, mov, mkv, webm, avi, or another that FFmpeg reads"

_STILL = "_pipe"
"""How FFmpeg's names of formats that are one picture end."""

_FORMATS = (
    "mov,matroska,avi,ogg,flv,asf,mpegts,mpeg,mpegvideo,mxf,nut,rm,dv,ivf,h264,hevc,vvc,obu,av1,m4v,"
    "mjpeg,yuv4mpegpipe,gif,apng,wav,w64,aiff,au,caf,flac,mp3,aac,ac3,eac3,amr,wv,ape,tta,tak,mpc,mpc8,"
    "dts,voc,3dostr,gsm,xwma,png_pipe,jpeg_pipe,webp_pipe,bmp_pipe,tiff_pipe,gif_pipe,ppm_pipe,pgm_pipe"
)
_COUNTED = ("flac", "wv", "tta", "ape", "tak")
"""Formats of sound whose headers count the samples. That of MP3 may count frames."""

_TIMED = {"mp4", "matroska", "avi", "flv", "asf", "mxf", "rm", "ogg", "nut"}
"""Formats whose headers state the duration. Elsewhere it is an estimate from the bit rate."""

_TO_THE_END = {"matroska", "asf", "nut"}
"""Those of them whose duration is counted from 0, and not from where the file begins."""

_PLAYLISTS = (b"#EXTM3U", b"ffconcat", b"v=0", b"<?xml", b"<MPD", b"[playlist]", b"RTSP", b"<SMIL")


def undecodable(
    source: Source, fault: str, *notes: str, help: str | None = None
) -> DiagnosticError:
    """The diagnostic PG507 for a media file."""
    return DiagnosticError.of("PG507", f"{source}: {fault}", notes=notes, help=help)


@dataclass(frozen=True)
class Media:
    """An open media file."""

    source: Source
    container: InputContainer
    counted: bool
    """Whether it is an MP3 that counts its frames, so that its duration is no estimate."""

    @property
    def start(self) -> Fraction:
        """When it begins, on its clock."""
        return Fraction(self.container.start_time or 0, 1_000_000)

    def check_end(self, end: Fraction, decoded: Fraction) -> None:
        """PG507 if the file ends before its header says.

        In seconds on its clock: `end` is that of all that was read, and `decoded` of what was decoded.
        """
        if self.container.duration is None:
            return
        declared = Fraction(self.container.duration, 1_000_000)
        name = self.container.format.name
        if _TIMED & set(name.split(",")):
            tolerance = max(Fraction(1, 4), declared / 100)
        elif name in _COUNTED:
            end, tolerance = decoded, Fraction(1, 1000)
        elif name == "mp3" and self.counted:
            tolerance = Fraction(1, 10)  # silence that encoders add at both ends
        else:
            return
        if self.start < 0 or not _TO_THE_END & set(name.split(",")):
            end -= self.start
        if declared - end > tolerance:
            raise undecodable(
                self.source,
                f"the file ends after {float(end):.2f} s of the {float(declared):.2f} s it declares",
                help="copy the file again; to keep the part that is there: "
                f"ffmpeg -i {shell_path(self.source.path)} shorter{self.source.path.suffix}",
            )

    def cut_off(self, packet: int) -> str | None:
        """What is to be told of the end of a stream, which is read to there. `packet` is the size of
        its first packet."""
        with self.source.open() as file:
            found = loose_end(file, self.container.format.name, packet)
        if found is None:
            return None
        return f"the file ends {found}: it may have been cut off, and is read as far as it goes"


def media_source(named: Named) -> Source:
    """What a name stands for. Raises DiagnosticError (PG512)."""
    return Source.of(named, noun="media file")


class _Nameless:
    """An open file without its name, of which FFmpeg would make a pattern, and with other bytes at
    one place.

    It raises nothing: what is raised while FFmpeg calls is printed, and lost. `fault` is what a pipe
    had to say, or that the process was asked to end, after which there is nothing more to read.
    """

    def __init__(self, file: BinaryIO, place: int, instead: bytes) -> None:
        self._file, self._place, self._instead = file, place, instead
        self.fault: BaseException | None = None

    @losing
    def read(self, count: int) -> bytes:
        """Bytes, none at the end or where the file cannot be read on."""
        try:
            return self._read(count)
        except OSError as error:
            self.fault = DiagnosticError.of("PG507", f"the file cannot be read: {error.strerror}")
        except (DiagnosticError, KeyboardInterrupt, SystemExit) as error:
            self.fault = error
        return b""

    @losing
    def seek(self, place: int, whence: int = 0) -> int:
        """Where the file is afterwards; -1 where there is no such place."""
        try:
            return self._seek(place, whence)
        except (OSError, ValueError, OverflowError):
            pass
        except (DiagnosticError, KeyboardInterrupt, SystemExit) as error:
            self.fault = error
        return -1

    @losing
    def tell(self) -> int:
        """Where the file is."""
        return self._file.tell()

    @caught
    def _read(self, count: int) -> bytes:
        self._go_on()
        offset = self._place - self._file.tell()
        data = self._file.read(count)
        for i, byte in enumerate(self._instead, start=offset):
            data = data[:i] + bytes([byte]) + data[i + 1 :] if 0 <= i < len(data) else data
        return data

    @caught
    def _seek(self, place: int, whence: int) -> int:
        self._go_on()
        return self._file.seek(place, whence)

    def _go_on(self) -> None:
        """Raise what was asked of the process, now or before."""
        end_if_asked()
        if self.interrupted:
            raise cast(BaseException, self.fault)

    @property
    def interrupted(self) -> bool:
        """Whether reading was ended from outside, so that what FFmpeg makes of it says nothing."""
        return self.fault is not None and not isinstance(self.fault, Exception)


@contextmanager
def open_media(named: Named) -> Iterator[Media]:
    """A media file, open for reading. Raises DiagnosticError (PG507, PG512, PG514)."""
    import av

    source = media_source(named)
    with source.open() as file:
        head = _head(source, file)
        counted = counts_frames(file)
        try:
            place, instead = all_bits_count(file)
        except ValueError as error:
            help = "write it again, with samples of 2 or 3 whole bytes"
            raise undecodable(source, str(error), help=help) from error
        file.seek(0)
        stream = _Nameless(file, place, instead)
        try:
            container: Any = av.open(
                stream,
                options={"format_whitelist": _FORMATS, "max_pixels": str(MOST_PIXELS)},
                buffer_size=1 << 18,
                io_open=_refuse,
                metadata_errors="replace",
            )
        except (av.error.FFmpegError, OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or str(error)
            raise stream.fault or _unrecognised(source, head, reason) from error
        with container:
            try:
                if container.format.name.endswith(_STILL):
                    read_picture(source)  # FFmpeg shows what there is of one that is cut off
                yield Media(source, container, counted)
            except Exception:
                # Whatever was made of a reading that was ended from outside: why it ended is raised below.
                if not stream.interrupted:
                    raise
            if stream.fault is not None:
                raise stream.fault


def _head(source: Source, file: BinaryIO) -> bytes:
    """The first bytes of a file that is all there."""
    head = file.read(16)
    if not head:
        raise undecodable(
            source, "the file is empty (0 bytes)", help="copy or record the file again"
        )
    if fault := shortfall(file, source):
        raise undecodable(source, fault, help="copy or record the file again, completely")
    file.seek(0)
    return head


@losing
def _refuse(url: str, flags: int, options: dict[str, str]) -> NoReturn:
    """What FFmpeg is given for any other file that a file names."""
    raise OSError(f"{url} is not opened: only the file that was named is read")


def _unrecognised(source: Source, head: bytes, reason: str) -> DiagnosticError:
    if head.lstrip(b"\xef\xbb\xbf \r\n").startswith(_PLAYLISTS):
        return undecodable(
            source,
            "a list of other files or addresses, which are not opened",
            help="name the media file itself",
        )
    size = f"{source.size()} bytes, beginning" if source.is_file else "it begins"
    notes = [f"{size} with {head!r}", f"FFmpeg says: {reason}"]
    if head[4:8] == b"ftyp":
        fault = "an mp4 that cannot be opened, most likely because its end is missing"
        notes.append("its index may be at its end: without it, nothing in the file can be found")
        return undecodable(source, fault, *notes, help="copy or record the file again, completely")
    help = f"give a complete file of a known format: {_READABLE}"
    name = foreign(source.peek(4096))
    if name == MEDIA:
        return undecodable(source, f"it begins as {name}, and cannot be opened", *notes, help=help)
    if name:
        return DiagnosticError.of("PG507", f"{source} is {name}", notes=notes, help=help)
    return undecodable(source, "not a media file", *notes, help=help)


def media_stream(media: Media, kind: Literal["video", "audio"]) -> Stream | None:
    """The main stream of a kind. The cover picture of a song is not a video.

    Raises DiagnosticError (PG507) for one that FFmpeg does not know.
    """
    from av.stream import Disposition

    stream: Any = media.container.streams.best(kind)
    if stream is None or stream.disposition & Disposition.attached_pic:
        return None
    if stream.codec_context is None:
        raise undecodable(
            media.source,
            f"FFmpeg does not know how its {kind} is encoded",
            help=f"give a complete file of a known format: {_READABLE}",
        )
    return stream  # type: ignore[no-any-return]
