"""Picture files as pixels: upright, in RGB, and what had to be decided on the way, as notes.

Of EXIF only the orientation is looked at, so that damage elsewhere in it does not matter.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from math import sqrt
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from perceiver_graph.diagnostics import DiagnosticError
from perceiver_graph.diagnostics.commands import arrays, named
from perceiver_graph.media.files.extents import shortfall
from perceiver_graph.media.files.foreign import PICTURE, foreign
from perceiver_graph.media.files.gif import gif_frames
from perceiver_graph.media.files.in_a_row import further_pictures
from perceiver_graph.media.files.jpeg import without_exif
from perceiver_graph.media.files.packages import require
from perceiver_graph.runtime.chunks import format_size
from perceiver_graph.runtime.opening import Named, Source
from perceiver_graph.runtime.read_errors import quiet

if TYPE_CHECKING:
    from PIL.Image import Image

Pixels = NDArray[np.uint8]

MOST_PIXELS = 178_956_970
"""Where Pillow, too, takes a header for an attack on the memory: 512 MiB of RGB."""

_NOT_OURS = frozenset({"EPS", "WMF", "BUFR", "GRIB", "HDF5", "MPEG", "FITS"})
"""Formats for which Pillow starts another program, or knows nothing but the name, or takes numbers
with a sign for others."""

_DECODERS = {"WEBP": 8, "AVIF": 12, "JPEG2000": 16, "GIF": 4}
"""Bytes a pixel that decoders hold beside what they give."""

_ORIENTATION, _DEPTH, _PHOTOMETRIC, _SAMPLE_FORMAT = 0x0112, 258, 262, 339
_STRIP = 1 << 18  # pixels that are copied at a time


def read_picture(
    named: Named, *, room: int | None = None, least: int | None = None
) -> tuple[Pixels, tuple[str, ...]]:
    """A picture as uint8 [height, width, 3], upright, in RGB; and notes on what is not all there.

    Of 16 bits the upper 8 are kept; what is transparent is shown as its colours say; of several
    pictures in a file, the first is read. `room` is how many bytes reading may take, and `least` how
    many pixels the sides must have at the least: a JPEG may be decoded at 1/2, 1/4 or 1/8 of its
    size for the sake of that. Raises DiagnosticError (PG507, PG509, PG510, PG512, PG514).
    """
    source = picture_source(named)
    with open_picture(source) as image, _decoding(source):
        _refuse_unknown_values(source, image)
        notes = [*_several(source, image), *further_pictures(source)]
        notes += _fitted(source, image, room, least)
        _check_sums(source, image)
        notes += _deep_colours(image)
        negative, depth = _grey_scale(image)
        if image.format == "TIFF":
            turns = _orientation(image)
            with _hushed():
                image.load()
        else:
            image.load()
            turns = _orientation(image)
        notes += _about_values(image, negative, depth)
        return _rgb(_turned(image, turns), negative, depth), tuple(notes)


def picture_source(named: Named) -> Source:
    """What a name stands for. Raises DiagnosticError (PG512)."""
    return Source.of(named, noun="picture", most=8 * MOST_PIXELS)


@contextmanager
def open_picture(named: Named) -> Iterator[Image]:
    """A picture of which the header has been read, no more.

    Raises DiagnosticError (PG507, PG509, PG512, PG514).
    """
    require("PIL")
    from PIL import Image, UnidentifiedImageError

    source = picture_source(named)
    Image.init()
    formats = [name for name in Image.ID if name not in _NOT_OURS]
    with source.open() as file:
        try:
            with _decoding(source):
                image = _opened(source, file, formats)
        except UnidentifiedImageError as error:
            name = foreign(head) if (head := source.peek(4096)) else "empty (0 bytes)"
            fault = f"{source} is {name}" if name else f"{source}: not a picture of a known format"
            if name == PICTURE:
                fault = f"{source}: it begins as {name}, and cannot be opened"
            help = "give a complete PNG, JPEG, WebP, GIF, BMP or TIFF file"
            raise DiagnosticError.of("PG507", fault, help=help) from error
        with image:
            if image.width * image.height > MOST_PIXELS:
                raise _too_large(source, f"{image.width} x {image.height}")
            yield image


def _opened(source: Source, file: BinaryIO, formats: list[str]) -> Image:
    from PIL import Image, UnidentifiedImageError

    try:
        return Image.open(file, formats=formats)
    except UnidentifiedImageError:
        if source.peek(2) != b"\xff\xd8":
            raise
        # Pillow reads a JPEG's resolution from EXIF while it opens the file, and may trip over it.
        plain, exif = without_exif(source.read())
        if not exif:
            raise
        image = Image.open(BytesIO(plain), formats=["JPEG"])
        image.info["exif"] = exif
        return image


@contextmanager
def _decoding(source: Source) -> Iterator[None]:
    """Translate what Pillow raises for damaged files, which is nearly everything: PG507."""
    from PIL import Image, UnidentifiedImageError

    # Errors that Pillow logs would be printed, where nobody has set up logging.
    log = logging.getLogger("PIL")
    if not log.handlers:
        log.addHandler(logging.NullHandler())
    try:
        with quiet():
            yield
    except (DiagnosticError, UnidentifiedImageError, MemoryError):
        raise
    except Image.DecompressionBombError as error:
        raise _too_large(source, "its header says more") from error
    except Exception as error:
        raise _damaged(source, str(error) or type(error).__name__) from error


@contextmanager
def _hushed() -> Iterator[None]:
    """Let nothing through to stderr: libtiff writes there what it finds wrong, past Python."""
    try:
        kept = os.dup(2)
    except OSError:  # closed
        yield
        return
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)


def _damaged(source: Source, reason: str) -> DiagnosticError:
    return DiagnosticError.of(
        "PG507",
        f"{source}: the picture cannot be decoded",
        notes=[reason],
        help="copy the file again, completely, or save it as PNG or JPEG",
    )


def _too_large(source: Source, size: str) -> DiagnosticError:
    return DiagnosticError.of(
        "PG507",
        f"{source}: the picture is too large ({size}); at most {MOST_PIXELS:,} pixels are read",
        help="make it smaller, or cut out what the model is to see",
    )


def _refuse_unknown_values(source: Source, image: Image) -> None:
    """Numbers of which nothing says what is black and what is white: PG507."""
    # Of PGM and PNG, Pillow says 32 bits for what are 16, and scales them.
    if image.mode == "F":
        what = "real numbers"
    elif image.mode == "I" and image.format not in ("PPM", "PNG"):
        what = "whole numbers of 32 bits, or with a sign"
    elif image.format == "TIFF" and 2 in _tag(image, _SAMPLE_FORMAT):
        what = "whole numbers with a sign"
    else:
        return
    raise DiagnosticError.of(
        "PG507",
        f"{source}: the picture holds {what}, and it is not known which are black and white",
        help="scale them to 0..255 as for the training of the model and save them as an 8-bit PNG, "
        f"or pass an array: {arrays()}",
    )


def _tag(image: Image, number: int) -> tuple[Any, ...]:
    """The values of a tag of a TIFF, none where it is not there."""
    found = image.tag_v2.get(number, ())  # type: ignore[attr-defined]
    return found if isinstance(found, tuple) else (found,)


def _grey_scale(image: Image) -> tuple[bool, int]:
    """Whether 0 is white, and how many bits a value has, where it is more than 8. In a TIFF, Pillow
    takes 0 for black and leaves 12 bits as they are; elsewhere it scales them to 16."""
    if image.format != "TIFF" or not image.mode.startswith("I"):
        return False, 16
    return 0 in _tag(image, _PHOTOMETRIC), int(_tag(image, _DEPTH)[0])


def _several(source: Source, image: Image) -> Iterator[str]:
    """A note where the file holds more than one picture; PG507 for one that lacks its end."""
    with source.open() as file:
        if fault := shortfall(file, source):
            help = "copy the file again, completely"
            raise DiagnosticError.of("PG507", f"{source}: {fault}", help=help)
        file.seek(0)
        if image.format == "GIF":
            count = gif_frames(file, source)
        else:
            count = 1 if image.format == "MPO" else getattr(image, "n_frames", 1)
    if count > 1:
        yield f"the file holds {count} pictures, of which the first is read"


def _check_sums(source: Source, image: Image) -> None:
    """Let Pillow check the checksums of a PNG: it decodes one without, and black where it is damaged."""
    from PIL import Image as Pillow

    if image.format == "PNG":
        with source.open() as file, Pillow.open(file, formats=["PNG"]) as again:
            again.verify()


def _fitted(source: Source, image: Image, room: int | None, least: int | None) -> Iterator[str]:
    """Keep to the room there is: a JPEG is decoded at a part of its size, others are refused (PG510)."""
    width, height = image.size
    takes = _takes(image, width * height)
    if room is None or takes <= room:
        return
    for share in (2, 4, 8) if least is not None and image.format in ("JPEG", "MPO") else ():
        small = (width // share, height // share)
        if min(small) >= (least or 1) and _takes(image, small[0] * small[1]) <= room:
            image.draft(None, small)
            yield (
                f"decoded at 1/{share} of its {width} x {height} pixels, which would take "
                f"{format_size(takes)}: more than the memory budget leaves for it"
            )
            return
    fits = room * width * height // takes
    shrink = sqrt(fits / (width * height))
    raise DiagnosticError.of(
        "PG510",
        f"{source}: reading its {width} x {height} pixels takes {format_size(takes)}, and the memory "
        f"budget leaves {format_size(room)}",
        help=f"scale it down to {int(width * shrink)} x {int(height * shrink)} pixels, or raise "
        f"{named('--memory')} by {format_size(takes - room)}",
    )


def _takes(image: Image, pixels: int) -> int:
    """The bytes that are held at once to read a picture and cut it, at so many of its pixels."""
    each = 10  # the pixels as they were read, the part that is cut out, the same in Pillow's layout
    if image.format == "TIFF" or "exif" in image.info:
        each += 4  # turned
    whole = _DECODERS.get(str(image.format), 0)
    if "progressive" in image.info:
        whole += 6  # coefficients of three channels
    strip = 8 * min(pixels, 4 * _STRIP)
    return pixels * each + strip + image.width * image.height * whole


def _deep_colours(image: Image) -> Iterator[str]:
    """A note where Pillow keeps 8 of 16 bits while it decodes."""
    layout = [str(tile.args) for tile in image.tile]  # type: ignore[attr-defined]
    if image.mode.startswith("RGB") and any(";16" in text for text in layout):
        yield "16 bits a value: 65535 is the brightest, and the upper 8 bits are kept"


def _about_values(image: Image, negative: bool, depth: int) -> Iterator[str]:
    """What becomes of values that are not 8 bits of red, green and blue."""
    if image.mode.startswith("I"):
        low, high = image.getextrema()
        top = (1 << depth) - 1
        black, white = (top, 0) if negative else (0, top)
        yield (
            f"{depth} bits a value: {black} is black and {white} white, and the upper 8 bits are kept "
            f"(its values: {low} to {high})"
        )
    if image.mode == "CMYK":
        yield "its colours are CMYK, for print: they are converted without a colour profile"
    if image.mode[-1] in "Aa" and image.mode != "La":
        low, _ = image.getchannel(image.mode[-1]).getextrema()
        transparent = bool(low < 255)  # type: ignore[operator]
    else:
        transparent = image.has_transparency_data
    if transparent:
        yield "transparency is left out: every pixel has the colour that is stored for it"


def _orientation(image: Image) -> Any:
    """The orientation that EXIF says, 1 to 8; None where EXIF says nothing or is damaged."""
    try:
        with quiet():
            exif = image.getexif()
            found = exif.get(_ORIENTATION)
            # Pillow turns a TIFF itself while it loads, and reads all that is left here.
            for key in list(exif) if image.format == "TIFF" else ():
                del exif[key]
    except Exception:  # noqa: BLE001 - whatever is wrong with it, the pixels are fine
        return None
    return found


def _turned(image: Image, orientation: Any) -> Image:
    """The picture upright."""
    from PIL.Image import Transpose

    methods = {
        2: Transpose.FLIP_LEFT_RIGHT,
        3: Transpose.ROTATE_180,
        4: Transpose.FLIP_TOP_BOTTOM,
        5: Transpose.TRANSPOSE,
        6: Transpose.ROTATE_270,
        7: Transpose.TRANSVERSE,
        8: Transpose.ROTATE_90,
    }
    method = methods.get(orientation) if isinstance(orientation, int) else None
    return image if method is None else image.transpose(method)


def _rgb(image: Image, negative: bool, depth: int) -> Pixels:
    """The pixels, converted and copied strip by strip, so that they are not there three times."""
    pixels = np.empty((image.height, image.width, 3), np.uint8)
    rows = max(1, _STRIP // image.width)
    for top in range(0, image.height, rows):
        strip = image.crop((0, top, image.width, min(top + rows, image.height)))
        if image.mode.startswith("I"):  # Pillow would cut off all above 255
            grey = np.asarray(strip).astype(np.int64).clip(0, (1 << depth) - 1) >> depth - 8
            pixels[top : top + rows] = (255 - grey if negative else grey)[:, :, None]
        else:
            pixels[top : top + rows] = np.asarray(strip.convert("RGB"))
    return pixels
